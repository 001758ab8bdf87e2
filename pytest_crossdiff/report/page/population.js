// What reference models say of either model of the pair.

function judgedBy() {
  const words = { within: "✓ no larger than a reference's", exceeded: "✗ larger than every reference's", undecided: "? single features differ", unmeasured: "! not judged" };
  const rows = REPORT.checks.flatMap((check) => (check.population || []).map((x) => [`${MARK[x.side]} ${x.side}`, words[x.status],
    x.status === "unmeasured" ? visible(x.reason) : [number(x.largest), h("div", { class: "quiet" }, `largest of a reference ${number(x.threshold)}`)],
    x.references ? `1 in ${x.references + 1}` : "–"]));
  return rows.length ? table("Largest deviation from the references; a model like the references would be flagged with at most the probability in the last column, provided that without a difference it is exchangeable with them", ["", "", "deviation", "probability at most"], rows) : null;
}

function population() {
  const p = RESULT.population;
  if (!p) return RESULT.no_population ? section("Against reference models", h("p", {}, "Not judged: ", visible(RESULT.no_population)), judgedBy()) : null;
  const state = (x) => (x.left_out ? `left out: ${x.left_out}` : x.same_as ? `nearly identical with ${x.same_as}: they count once` : "");
  const references = p.references.map((x) => [h("bdi", {}, visible(x.name)), x.largest === null ? "–" : number(x.largest), x.loss === null ? "–" : number(x.loss), visible(state(x))]);
  const written = (f) => (f.share ?? null) !== null;
  const amount = (f, x) => (written(f) ? percent(x) : `${number(x)} nats`);
  const measured = (f) => (written(f) ? [plural(f.spans, "continuation"), h("div", { class: "quiet" }, `${percent(f.share)} of its own, ${percent(f.references_share)} of the references'`)]
    : [`${plural(f.spans, "span")} of ${plural(f.documents, "document")}`, f.also.length ? h("div", { class: "quiet" }, `the same spans: ${visible(f.also.join(", "))}`) : null]);
  const features = p.judged.map((x) => table(`Features in which the ${x.side} deviates from the references, those that explain most first; the shift of a word that models write is in shares of what they go on with, of others in nats a span`, ["feature", "shift", "z", "p", "flagged above", "measured on"],
    x.features.map((f) => [h("bdi", { class: "mono" }, visible(f.name)), amount(f, f.shift), number(f.z), [number(f.p_value), f.significant ? h("div", { class: "quiet" }, "significant") : null], amount(f, f.smallest_flagged), measured(f)])));
  return section("Against reference models", judgedBy(),
    p.warnings.length ? h("ul", { class: "notes" }, p.warnings.map((note) => h("li", {}, h("strong", {}, "Note: "), visible(note)))) : null,
    features, fold("The references", table(`Each judged by all others, over ${plural(p.features, "feature")} of ${plural(p.spans, "span")}${p.continuations ? ` and ${plural(p.words, "word")} of ${plural(p.continuations, "continuation")}` : ""}`, ["reference", "largest deviation", "nats a character", ""], references)));
}
