// The page of a difference, and that of a single feature.

function evidence(x) {
  return [
    ...(x.kind === "rewritten" ? [["kind", "rewritten: the other model represents these tokens too, but writes nothing similar there"]] : []),
    ["exclusivity", [number(x.exclusivity), ` (95 % interval ${number(x.exclusivity_low)} to ${number(x.exclusivity_high)})`]],
    ["R² own / other model", `${number(x.r2_own)} / ${number(x.r2_other)}`],
    ["p-value", number(x.p_value, 2)],
    ["density", `${percent(x.density)} of tokens`],
    ["held-out documents", whole(x.documents)],
    ["peak", `${number(x.peak)} × the norm`],
  ];
}

function effectFacts(d) {
  const e = d.effect;
  if (place(RESULT[d.side]) === "output") return h("p", {}, "It is a difference of the output itself.");
  if (!e) return h("p", {}, "Effect of removing it on the output: ", NOT_MEASURED());
  const unit = e.measure === "kl" ? " nats a token (KL divergence)" : " relative change of the last hidden state";
  const texts = [["As it is", e.plain], ["With more of it", e.steered]].filter(([, text]) => text);
  return [
    facts([["where it fires", `${number(e.firing)}${unit}, ${plural(e.firing_tokens, "token")}`], ["elsewhere", `${number(e.elsewhere)}${unit}, ${plural(e.elsewhere_tokens, "token")}`]]),
    e.raised.length ? [h("h3", {}, "Tokens it makes likelier where it fires"), tokenList(e.raised)] : null,
    e.lowered.length ? [h("h3", {}, "Tokens it makes less likely there"), tokenList(e.lowered)] : null,
    texts.length ? h("div", { class: "twin" }, texts.map(([name, text]) => h("div", {}, h("div", { class: "who" }, name, " (written by the model)"), h("p", { class: "ctx", dir: "auto" }, shown(e.prompt), h("span", { class: "gen" }, shown(text)))))) : null,
  ];
}

const tokenList = (tokens) => h("ul", { class: "tokens" }, tokens.map((t) => h("li", {}, h("bdi", { class: "mono" }, cut(visible(t), 40)))));

// What both models say where it fires, as a sentence.
function saidSentence(d) {
  const s = d.said;
  if (!s) return null;
  const word = (w, p) => [h("bdi", { class: "mono" }, `‘${visible(w)}’`), ` (${percent(p)})`];
  return h("p", { class: "said" }, "After ", h("bdi", { class: "mono" }, `‘${visible(s.after)}’`), " the candidate says ", word(s.candidate, s.candidate_probability), ", the baseline ", word(s.baseline, s.baseline_probability), ".",
    d.kl_share === null ? null : ` ${percent(d.kl_share)} of the output's change (KL) lies where it fires.`);
}

// In the output: what its model predicts there, and what the other predicts instead.
function saidParts(d) {
  if (place(RESULT[d.side]) !== "output") return [];
  const { promoted, suppressed } = d.description;
  return [["predicts there", promoted], [`the ${OTHER[d.side]} instead`, suppressed]].filter(([, words]) => words.length)
    .map(([name, words]) => [name, h("bdi", { class: "mono" }, words.slice(0, 4).map((w) => `‘${cut(visible(w), 40)}’`).join(" "))]);
}

function descriptionParts(d) {
  const { words: lifted, promoted, suppressed, positions: tenths, slices } = d.description;
  const parts = [];
  if (lifted.length) parts.push(h("h3", {}, "Words near it"), h("ul", { class: "tokens" }, lifted.map(([word, lift]) => h("li", {}, h("bdi", { class: "mono" }, cut(visible(word), 40)), h("span", { class: "quiet" }, ` ${number(lift, 2)} × as often`)))));
  const read = place(RESULT[d.side]) === "output";
  if (promoted.length) parts.push(h("h3", {}, read ? "What it predicts there, and the other model doesn't" : "Tokens its direction makes likelier by itself"), tokenList(promoted));
  if (suppressed.length) parts.push(h("h3", {}, read ? "What the other model predicts there instead" : "Tokens its direction makes less likely by itself"), tokenList(suppressed));
  if (tenths.length) parts.push(h("h3", {}, "Where in a text"), positions(tenths, d.side));
  const named = Object.entries(slices).sort((a, b) => b[1] - a[1]);
  if (named.length) parts.push(h("h3", {}, "Parts of the corpus"), table("Share of tokens on which it fires in each part of the corpus", ["part", "fires on"], named.map(([name, value]) => [visible(name), percent(value)])));
  return parts.length ? parts : h("p", {}, NOT_MEASURED());
}

function tokenTable(d) {
  if (!d.tokens.length) return h("p", {}, NOT_MEASURED());
  return table("The tokens on which it fires most, held-out text", ["token", "fires", "occurs", "share"],
    d.tokens.map((t) => [h("bdi", { class: "mono" }, `‘${cut(visible(t.token), 60)}’`), whole(t.fired), whole(t.occurs), share(t.fired / Math.max(1, t.occurs), d.side)]));
}

function neighbours(d) {
  const order = [...DIFFERENCES].sort((a, b) => b.strength - a.strength);
  const at = order.indexOf(d);
  const link = (x, text) => (x ? h("a", { href: href("difference", x.id) }, text.replace("ID", visible(x.id))) : null);
  return h("nav", { class: "crumbs", "aria-label": "Differences" }, h("a", { href: "#/" }, "← Overview"),
    link(order[at - 1], "stronger: ID"), link(order[at + 1], "weaker: ID"), h("span", { class: "quiet" }, `${at + 1} of ${order.length} by strength`));
}

function acceptanceNote(a) {
  const since = { grown: ` It counts again: it is ${a.growth === null ? "much" : `${number(a.growth)} times`} as strong as what was accepted.`, expired: ` It counts again: that held until ${visible(a.expires)}.` };
  return h("p", { class: "note" }, "Accepted", a.by ? ` by ${visible(a.by)}` : "", a.date ? ` on ${visible(a.date)}` : "", a.expires && a.state === "accepted" ? ` until ${visible(a.expires)}` : "", `: ${visible(a.reason) || "no reason given"}.`, since[a.state] || "", a.description ? h("div", { class: "quiet" }, "When it was accepted: ", h("bdi", {}, visible(a.description))) : null);
}

function differencePage(d) {
  const strength = d.strength_low === d.strength_high ? number(d.strength) : `${number(d.strength)} (${number(d.strength_low)} to ${number(d.strength_high)} over dictionaries)`;
  const accepted = d.accepted ? acceptanceNote(d.accepted) : null;
  const certain = d.certainty === "confirmed" ? null : h("p", { class: "note" }, `Possible, not confirmed: ${visible(d.doubt) || "no reason kept"}.`);
  return h("article", {}, neighbours(d),
    h("h1", { tabindex: "-1" }, `${visible(d.id)}: `, h("span", { class: "fires" }, h("bdi", {}, cut(d.fires, 120) || "no tokens kept"))),
    h("p", { class: "chips" }, sideChip(d.side), stateChip(d.certainty), d.accepted ? stateChip(d.accepted.state) : null), saidSentence(d),
    d.label ? h("p", {}, h("strong", {}, visible(d.label)), h("span", { class: "quiet" }, " — a label, unverified")) : null, accepted, certain,
    facts([["strength", strength], ...saidParts(d), ...evidence(d), ["dictionaries that have it", `${seedsOf(d)} (seed ${d.seeds.join(", ")})`],
      d.latent_scaling.length ? ["latent scaling ε, r", d.latent_scaling.map((v) => number(v)).join(", ")] : null]),
    section("Contexts", contextList(d)),
    h("div", { class: "flow" }, section("Tokens", tokenTable(d)), section("Activation", histogram(d)), section("Effect on the output", effectFacts(d)), section("Description", descriptionParts(d))),
    state(d) === "accepted" ? null : h("p", { class: "quiet" }, "Wanted? ", h("code", {}, d.accept), " records the acceptance beside the tests."),
    section("Its features", h("ul", { class: "inline" }, d.features.map((id) => h("li", {}, FEATURE_BY_ID.has(id) ? h("a", { href: href("feature", id) }, id) : id)))));
}

function featurePage(f) {
  const verdict = f.difference
    ? ["Verified; part of ", h("a", { href: href("difference", f.difference.id) }, `difference ${visible(f.difference.id)}`), ", where its contexts are."]
    : f.rejected ? `Not a difference: ${visible(f.rejected)}.${f.undecided ? " More text may verify it." : ""}` : "Verified.";
  return h("article", {}, h("nav", { class: "crumbs", "aria-label": "Features" }, h("a", { href: "#/" }, "← Overview")),
    h("h1", { tabindex: "-1" }, `Feature ${f.id}`), h("p", { class: "chips" }, sideChip(f.side), stateChip(f.state)), h("p", {}, verdict),
    facts([["strength", number(f.strength)], ...evidence(f), ["dictionary", `seed ${f.seed}, feature ${f.index}`]]));
}
