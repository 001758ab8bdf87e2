// How much the two models' predictions differ.

const estimate = (x, show = number) => (x ? (x.low === null ? show(x.value) : `${show(x.value)} [${show(x.low)}, ${show(x.high)}]`) : "–");
const percentilesOf = (found) => Object.entries(found).map(([name, x]) => `${name} %: ${number(x.value)}`).join(", ");

function metricRows(o) {
  const unit = o.unit === "token" ? "token" : "byte";
  return [
    o.kl && ["KL(baseline ‖ candidate), nats a token", estimate(o.kl)], o.kl && ["its percentiles", percentilesOf(o.kl_percentiles)],
    o.tempered_kl && [`KL with the candidate at temperature ${number(o.temperature)}, its nearest`, estimate(o.tempered_kl)],
    o.same_top && ["same top token", estimate(o.same_top, percent)],
    o.probability_change && ["change of the actual token's probability, mean", estimate(o.probability_change)],
    o.probability_change && ["the same, root mean square", estimate(o.probability_change_rms)],
    o.probability_change && ["its percentiles", percentilesOf(o.probability_change_percentiles)],
    [`change of a ${o.unit}'s log p, root mean square, nats`, estimate(o.log_probability_change_rms)],
    [`perplexity ratio, by ${unit}`, estimate(o.perplexity_ratio)],
    [`loss of the baseline, nats a ${unit}`, estimate(o.baseline_loss)], [`loss of the candidate, nats a ${unit}`, estimate(o.candidate_loss)],
  ].filter(Boolean);
}

function limitsOf() {
  const words = { within: "✓ within", exceeded: "✗ over", undecided: "? the limit lies inside the interval", unmeasured: "! not measured" };
  const rows = REPORT.checks.flatMap((check) => (check.metrics || []).map((m) => [m.name, m.value === null ? visible(m.reason) : estimate(m), `${m.at_least ? "at least" : "at most"} ${number(m.limit)}`, words[m.status], visible(m.origin)]));
  return rows.length ? table("The metrics that have a budget", ["metric", "measured", "allowed", "", "set in"], rows) : null;
}

const saidWith = (word, p) => [h("bdi", { class: "mono" }, `‘${visible(word)}’`), ` ${percent(p)}`];
const changedRows = (positions) => positions.map((p) => [h("bdi", { class: "mono" }, `…${visible(p.before.slice(-60))}`), h("bdi", { class: "mono" }, visible(p.token)), number(p.kl), saidWith(p.baseline_top, p.baseline_probability), saidWith(p.candidate_top, p.candidate_probability)]);
const changedHead = ["text before", "next in the text", "KL", `${MARK.baseline} baseline`, `${MARK.candidate} candidate`];

// How much of the output's change is accounted for.
function accounting() {
  const a = RESULT.accounting, o = RESULT.output;
  if (!a) return null;
  const confident = o && o.temperature !== null ? `${o.temperature > 1 ? "more confident" : "less confident"} (temperature ${number(o.temperature)})` : "more or less confident";
  const rows = [["at the confirmed differences", percent(a.differences)], [`the candidate is ${confident} in what both models say`, percent(a.confidence)], ["unexplained", percent(a.unexplained)]];
  const slices = a.slices.map((x) => [h("bdi", {}, visible(x.name)), number(x.kl), percent(x.unexplained)]);
  return section("How much of the change is explained", table("Shares of the change of the output (KL divergence) on held-out texts", ["", "share"], rows),
    slices.length ? fold("By slice of the corpus", table("The least explained first", ["slice", "KL", "unexplained"], slices)) : null,
    a.positions.length ? fold("Where the unexplained change is largest", table("One position of each document at most; KL is what is unexplained", changedHead, changedRows(a.positions))) : null);
}

function output() {
  const o = RESULT.output;
  if (!o) return RESULT.no_output ? section("What the models predict", h("p", {}, "Not measured: ", visible(RESULT.no_output)), limitsOf()) : null;
  const slices = [...o.slices].sort((a, b) => (b.kl ? b.kl.value : b.positions) - (a.kl ? a.kl.value : a.positions))
    .map((x) => [h("bdi", {}, visible(x.name)), whole(x.documents), whole(x.positions), estimate(x.kl), estimate(x.same_top, percent), estimate(x.perplexity_ratio)]);
  return section("What the models predict", limitsOf(),
    table(`How much the predictions differ on ${plural(o.positions, o.unit)} of ${plural(o.documents, "held-out document")}, with 95 % intervals over documents`, ["metric", "value"], metricRows(o)),
    slices.length > 1 ? table("By slice of the corpus, the largest change first", ["slice", "documents", `${o.unit}s`, "KL", "same top token", "perplexity ratio"], slices) : null,
    o.largest.length ? fold("Where the predictions differ most", table("One position of each document at most", changedHead, changedRows(o.largest))) : null);
}
