// How far the measurement can be trusted, and how it was made.

function controls() {
  const { planted_signals: signals, null: empty } = RESULT.controls;
  const limits = Object.fromEntries(REPORT.sides.map((x) => [x.side, x.limit_of_detection]));
  const floor = empty ? `${plural(empty.found, "difference")} found between the baseline and itself, seen through a random map (${whole(empty.features)} features, ${whole(empty.steps)} steps)` : NOT_MEASURED();
  const limit = (side) => {
    const at = REPORT.sides.find((x) => x.side === side).detection_limits || [];
    if (!at.length) return typeof limits[side] === "number" ? `strength ${number(limits[side])}` : NOT_MEASURED();
    return at.map((x, i) => `${i ? "; " : ""}${x.strength === null ? "the strongest planted signals are detected with less than 80 % probability" : `strength ${number(x.strength)} is detected with 80 % probability`} on ${percent(x.density)} of the tokens`);
  };
  const rows = [...signals].sort((a, b) => a.side.localeCompare(b.side) || b.strength - a.strength || b.density - a.density).map((x) =>
    [`${MARK[x.side]} ${x.side}`, number(x.strength), percent(x.density), number(x.realised), h("span", { class: x.measured ? "yes" : "no" }, x.measured ? "✓ detected" : "✗ missed"), x.measured ? number(x.measured) : "–"]);
  return section("How sure we are",
    facts([["false positives in the null control", floor], ...SIDES.map((side) => [`limit of detection, ${side}`, limit(side)])], "long"),
    rows.length ? h("details", {}, h("summary", {}, `${plural(rows.length, "planted signal")}, one by one`), table("Signals planted into one model, and whether they were detected", ["side", "strength", "density", "strength on held-out text", "detected", "strength measured"], rows)) : null);
}

function modelCard(side) {
  const m = RESULT[side];
  return h("div", { class: `card ${side}` }, h("h3", {}, `${MARK[side]} ${side}`), h("p", { class: "ref" }, h("bdi", {}, visible(shortName(m.reference)))), shortName(m.reference) === m.reference ? null : h("p", { class: "quiet" }, h("bdi", {}, visible(m.reference))),
    facts([["architecture", visible(m.architecture)], ["read", m.layer === m.layers ? `its predictions, after ${m.layers} blocks` : `after block ${m.layer} of ${m.layers} (counted from 0)`], ["width", whole(m.width)], ["number type", m.dtype], ["variance explained", share(m.fve, side)], ["model distance (variance that a linear map from the other model leaves)", share(m.unmapped, side)], ["required exclusivity", number(m.required_exclusivity)],
      ["weights", h("code", { title: visible(m.digest) }, cut(visible(m.digest), 13))]]));
}

const models = () => h("div", { class: "columns" }, modelCard("baseline"), modelCard("candidate"));

function coverage() {
  const sides = ["baseline", "candidate"];
  const row = (name, show) => [name, ...sides.map((side) => show(RESULT[side], side))];
  return table("Tokens and characters that are aligned, and those that were left out", ["", ...sides.map((side) => `${MARK[side]} ${side}`)], [
    row("tokens aligned", (m, side) => share(m.aligned_tokens / Math.max(1, m.tokens - m.special), side)),
    row("characters aligned", (m, side) => share(m.aligned_characters / Math.max(1, m.characters), side)),
    row("tokens read", (m) => whole(m.tokens)), row("special tokens left out", (m) => whole(m.special)),
    row("norm outliers left out", (m) => whole(m.outliers)), row("characters cut off at the maximum input length", (m) => whole(m.truncated)),
  ]);
}

function corpus() {
  const c = RESULT.corpus;
  return facts([["texts", h("bdi", {}, visible(c.source))], ["documents", `${whole(c.documents)} of ${plural(c.records, "record")} (${whole(c.empty)} empty, ${whole(c.duplicates)} duplicate)`],
    ["read", `${plural(c.sampled_documents, "document")}, ${whole(c.heldout_documents)} of them held out`], ["token pairs", `${whole(c.train_pairs)} for training, ${whole(c.heldout_pairs)} held out`],
    ...(c.out_of_distribution ? [["left out", `${plural(c.out_of_distribution, "out-of-distribution text")}: both models predict them worse than token frequencies do`]] : []),
    ...conversations(c.conversations),
    ["digest", h("code", { title: visible(c.digest) }, cut(visible(c.digest), 13))]]);
}

function conversations(c) {
  if (!c) return [];
  const sides = ["baseline", "candidate"];
  return [["conversations", `${whole(c.conversations)}, ${plural(c.answer_starts, "token pair")} where an answer begins`],
    ...(c.context_pairs ? [["context", `${plural(c.context_pairs, "token pair")} of system and user turns: what a model predicts there is never said`]] : []),
    ...(c.repeated_pairs ? [["repeated", `${plural(c.repeated_pairs, "token pair")} in beginnings that several conversations share: counted once`]] : []),
    ...(c.without_answer ? [["no answer", `${plural(c.without_answer, "conversation")} without an assistant's turn: all turns are compared`]] : []),
    ...(c.dated.length ? [["date", `the chat template of the ${c.dated.join(" and the ")} writes today's date: read as on 26 July 2024`]] : []),
    ...sides.flatMap((side, i) => c.unplaced[i] ? [["left out", `${plural(c.unplaced[i], "character")} of reasoning and tool calls by the ${side}'s chat template`]] : [])];
}

function training() {
  const t = RESULT.training;
  return [lossCurves(t), facts([["architecture", t.architecture], ["features", `${whole(t.shared)} shared, ${whole(t.baseline_only)} of the baseline, ${whole(t.candidate_only)} of the candidate`],
    ["active features per token", whole(t.k)], ["steps", whole(t.steps)], ["dictionaries", `${t.seeds.length} (seed ${t.seeds.join(", ")})`], ["dead features", t.dead.join(", ") || NOT_MEASURED()]])];
}

function settingsTable(caption, rows) {
  return table(caption, ["setting", "value", "set in", "what it is"], rows.map((x) => [h("code", {}, `crossdiff_${x.name}`), h("bdi", {}, visible(x.value) || "–"), x.source ? visible(x.source) : h("span", { class: "none" }, "not kept"), x.help]), { class: "settings" });
}

function settings() {
  const chosen = (x) => x.value !== x.default || !["", "default"].includes(x.source);
  const [own, rest] = [REPORT.settings.filter(chosen), REPORT.settings.filter((x) => !chosen(x))];
  return [own.length ? fold("What was set, and where", settingsTable("Settings that were given", own)) : null,
    rest.length ? fold(`${plural(rest.length, "setting")} at the default`, settingsTable("Settings at their defaults", rest)) : null];
}

// Folded away until asked for; it stays open while one looks at a difference and comes back.
const OPEN = new Set();
const fold = (title, ...children) => h("details", { open: OPEN.has(title), ontoggle: (e) => (e.target.open ? OPEN.add(title) : OPEN.delete(title)) }, h("summary", {}, title), children);

function measurement() {
  const seconds = Object.entries(RESULT.seconds).map(([name, v]) => [name, duration(v)]);
  return [fold("Texts and alignment", corpus(), coverage()), fold("Training", training()),
    settings(),
    fold("Versions and time", facts([...Object.entries(RESULT.versions), ...seconds, ["result", h("code", { class: "key" }, visible(RESULT.key))]]))];
}
