// The first page: the verdict, what differs, how sure we are, how it was measured.

const STATUS = {
  within: ["✓", "Within budget", "good"],
  exceeded: ["✗", "Over budget", "bad"],
  inconclusive: ["?", "Inconclusive", "unsure"],
  insufficient: ["!", "No verdict", "unsure"],
  "": ["·", "Measured; no verdict was asked for", "plain"],
};
const statusOf = (word) => STATUS[word] || ["·", word, "plain"];

function budget(value, limit, over, from, undecided) {
  if (limit === null) return [value, h("span", { class: "quiet" }, " · no budget")];
  return [h("span", { class: over ? "over" : "" }, value), ` · budget ${limit} · `, over ? h("strong", { class: "over" }, "✗ over") : undecided ? h("strong", { class: "undecided" }, "? undecided") : "✓ within", from ? h("div", { class: "quiet" }, visible(from)) : null];
}

// A command, which stands in backticks at the end, is there to be copied.
function adviceItem(what) {
  const [words, command] = visible(what).split("`");
  return h("li", {}, words.trim(), command ? [" ", h("code", { class: "command" }, command)] : null);
}

function checkTable(check) {
  const rows = check.sides.map((x) => [
    `${MARK[x.side]} only in the ${x.side} (${WHAT[x.side]})`,
    budget(x.possible ? `${whole(x.count)} and ${whole(x.possible)} possible` : whole(x.count), x.max_count, x.over_count, x.count_from, x.undecided && x.count + x.possible > x.max_count),
    budget(number(x.strength), x.max_strength === null ? null : number(x.max_strength), x.over_strength, x.strength_from, x.undecided && x.max_strength !== null && x.possible_strength > x.max_strength),
  ]);
  const [sign, words] = statusOf(check.status);
  return h("div", { class: "check" },
    REPORT.checks.length > 1 || check.test ? h("p", {}, h("strong", {}, `${sign} ${words}`), check.test ? [" in ", h("code", {}, visible(check.test))] : null) : null,
    check.reason ? h("p", {}, visible(check.reason)) : null,
    (check.metrics || []).filter((m) => m.status === "exceeded" || m.status === "undecided").map((m) => h("p", {}, `${m.name}: ${number(m.value)}, ${m.at_least ? "at least" : "at most"} ${m.limit} allowed · `, h("strong", { class: m.status === "exceeded" ? "over" : "undecided" }, m.status === "exceeded" ? "✗ over" : "? undecided"))),
    check.advice.length ? [h("p", {}, "What would decide it:"), h("ul", {}, check.advice.map(adviceItem))] : null,
    rows.length ? table("Differences against their budgets", ["", "differences", "joint strength"], rows) : null);
}

// The result in two sentences.
function gist() {
  const parts = SIDES.map((side) => {
    const { count, possible, strength } = REPORT.sides.find((x) => x.side === side);
    const all = DIFFERENCES.filter((d) => d.side === side);
    const old = all.filter((d) => state(d) === "accepted").length;
    const found = all.filter((d) => d.certainty === "confirmed" && state(d) !== "accepted");
    const best = found.reduce((a, b) => (a && a.strength >= b.strength ? a : b), null);
    return h("li", { class: count ? side : "" }, h("strong", {}, `${MARK[side]} ${count ? plural(count, old ? "new difference" : "difference") : old ? "No new difference" : "No difference"} only in the ${side} (${WHAT[side]})`),
      count ? [", joint strength ", number(strength)] : "",
      possible ? `${count ? "," : ""} and ${plural(possible, "possible one")}` : "",
      old ? `${count || possible ? "," : ""} and ${plural(old, "accepted one")}` : "",
      best ? ["; the strongest, ", h("a", { href: href("difference", best.id) }, visible(best.id)), ", fires on ", h("bdi", { class: "mono" }, cut(best.fires, 60))] : null);
  });
  return h("ul", { class: "gist" }, parts);
}

function banner() {
  const [sign, words, mood] = statusOf(worst());
  return h("div", { class: `banner ${mood}` },
    h("h1", { tabindex: "-1" }, h("span", { class: "sign", "aria-hidden": "true" }, sign), words),
    h("p", { class: "models" }, h("bdi", {}, visible(shortName(RESULT.baseline.reference))), ` ${place(RESULT.baseline)} → `, h("bdi", {}, visible(shortName(RESULT.candidate.reference))), ` ${place(RESULT.candidate)}`),
    gist(),
    (REPORT.notes || []).length ? h("ul", { class: "notes" }, REPORT.notes.map((note) => h("li", {}, h("strong", {}, "Note: "), visible(note)))) : null,
    REPORT.checks.length > 3 ? h("details", {}, h("summary", {}, `${REPORT.checks.length} verdicts`), REPORT.checks.map(checkTable)) : REPORT.checks.map(checkTable));
}

// Who decided what before, and what of it is here.
function acceptances() {
  if (!REPORT.accepted.length) return null;
  const rows = REPORT.accepted.map((a) => [
    a.state === "missing" ? h("bdi", {}, visible(a.difference)) : h("a", { href: href("difference", a.difference) }, visible(a.difference)),
    a.state, h("bdi", {}, visible(a.description) || "–"), number(a.strength), h("bdi", {}, visible(a.reason)), [`${visible(a.by)}, `, h("span", { class: "num" }, visible(a.date))], h("span", { class: "num" }, visible(a.expires) || "–")]);
  return section("Accepted before", table("The entries of this comparison in the file of accepted differences; what has grown, has expired or is new counts, and what is missing can be removed", ["id", "state", "what it was", "strength then", "reason", "by", "until"], rows));
}

// The same pair at other layers, for a suite that asks several.
function layers() {
  if (!REPORT.layers.length) return null;
  const on = (layer, side) => layer.sides.find((x) => x.side === side);
  const found = (x) => [h("strong", {}, whole(x.count)), x.possible ? ` and ${whole(x.possible)} possible` : "", h("div", { class: "quiet" }, `strength ${number(x.strength)}`)];
  const both = (layer, show) => ["baseline", "candidate"].map((side, i) => [i ? " → " : "", show(on(layer, side), i)]);
  const rows = REPORT.layers.map((layer) => {
    const name = both(layer, (x, i) => place(x).replace(i ? "block " : / of \d+/, ""));
    const verdicts = layer.statuses.map((word) => h("div", {}, statusOf(word).slice(0, 2).join(" ")));
    return [layer.key === RESULT.key ? [h("strong", {}, name), h("div", { class: "quiet" }, "this report")] : layer.page ? h("a", { href: encodeURIComponent(layer.page) }, name) : [name, h("div", { class: "quiet" }, "no report was written")],
      verdicts.length ? verdicts : h("span", { class: "none" }, "not asked for"), ...SIDES.map((side) => found(on(layer, side))),
      [both(layer, (x) => percent(x.fve)), h("div", { class: "quiet" }, "limit of detection ", both(layer, (x) => number(x.limit_of_detection)))]];
  });
  return section("Layers compared", table("The same models, texts and settings at each layer that this run measured; accepted differences are left out", ["baseline → candidate", "verdict", ...SIDES.map((side) => `${MARK[side]} only in the ${side}`), "variance explained"], rows));
}

// Has the model changed, or the workflow around it?
function workflow() {
  const w = RESULT.workflow;
  if (!w) return RESULT.no_workflow ? section("Since the last sign-off", h("p", {}, "Model and workflow were not told apart: ", visible(RESULT.no_workflow))) : null;
  const row = (name, what, effect) => [h("strong", {}, name), what, estimate(w.loss[effect]), w.kl ? estimate(w.kl[effect]) : "–"];
  const words = { new: "new", gone: "gone", share: "another share of the documents", texts: "other texts" };
  const slices = w.slices.map((x) => [h("bdi", {}, visible(x.name)), words[x.drift], percent(x.reference), percent(x.today), estimate(x.loss)]);
  const firing = w.firing.map((x) => [visible(x.difference), estimate(x.reference, percent), estimate(x.today, percent), estimate(x.change, percent)]);
  return section("Since the last sign-off",
    table(`Has the model changed, or the workflow? ${plural(w.reference_documents, "held-out document")} of the last sign-off, ${whole(w.documents)} of today; nats a token, with 95 % intervals over documents`, ["", "", "loss", "KL"],
      [row("model", "the candidate instead of the baseline, on the texts of the last sign-off", "model"), row("workflow", "today's texts instead of those, with the baseline", "workflow"), row("together", "what both change beyond that", "interaction")]),
    slices.length ? table("Slices that have drifted (permutation test over documents)", ["slice", "", "share then", "share today", "loss of the baseline"], slices) : h("p", {}, "No slice has drifted."),
    firing.length ? fold("How often the confirmed differences fire", table("Share of the compared tokens", ["difference", "then", "today", "change"], firing)) : null);
}

function whatDiffers() {
  if (!(DIFFERENCES.length + FEATURES.length)) return h("p", {}, "No feature of either model was tested as a difference.");
  const features = Object.values(RESULT.reconciled).filter(Boolean).map((text) => h("p", { class: "quiet" }, visible(text), "."));
  return DIFFERENCES.length ? [drawMap(), features, fold("All differences and tested features", browser())] : [h("p", {}, "No tested feature is a difference."), fold("All tested features, each with the reason of rejection", browser())];
}

const overview = () => h("div", {}, banner(), inCommon(), strongest(), testsAtRisk(), workflow(), accounting(),
  section("What differs", whatDiffers()),
  population(), output(), replies(), acceptances(), layers(), controls(),
  section("How it was measured", fold("The two models", models()), measurement()));
