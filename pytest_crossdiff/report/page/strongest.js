// Below the verdict: the strongest differences, each with what it does, where, and how to accept it.

const SHOWN = 3;

// Replies to a prompt in whose text it fires, else ones that part with the words of the sentence.
function repliesOf(d) {
  const pairs = ((RESULT.replies || {}).pairs || []).filter((p) => p.baseline.text !== p.candidate.text);
  const documents = new Set(d.contexts.map((c) => c.document));
  const starts = (next, word) => next.slice(0, 2).some(([token]) => token === word);
  return pairs.find((p) => documents.has(p.document)) ||
    (d.said && pairs.find((p) => starts(p.candidate_next, d.said.candidate) && starts(p.baseline_next, d.said.baseline))) || null;
}

function strongestCard(d) {
  const telling = d.contexts[d.telling]; // none names such a token, or it is left out of a large report
  const context = telling || d.contexts[0] || null;
  const pair = repliesOf(d);
  const most = context ? Math.max(context.activation, 1e-9) : 1;
  return h("li", { class: `card ${d.side}` },
    h("h3", {}, h("a", { href: href("difference", d.id) }, visible(d.id)), ` ${MARK[d.side]} only in the ${d.side} (${WHAT[d.side]})`, state(d) === "confirmed" ? null : [" ", stateChip(state(d))]),
    h("p", { class: "said" }, d.label ? h("span", { class: "quiet" }, visible(d.label), " (a label, unverified): ") : null, h("bdi", {}, visible(d.sentence)), "."),
    context && !telling ? h("p", { class: "quiet" }, "It is strongest here, at another token:") : null,
    context ? contextText(context, d.side, "own", most) : null,
    h("p", { class: "quiet" }, d.numbers),
    pair ? h("div", { class: "twin" }, h("p", { class: "quiet asked" }, "Asked: ", h("bdi", {}, cut(visible(pair.question), 300))), ["baseline", "candidate"].map((side) =>
      h("div", {}, h("div", { class: "who" }, `${MARK[side]} ${side} replies`), h("bdi", {}, cut(visible(pair[side].text), 400) || "–")))) : null,
    d.certainty === "confirmed" ? null : h("p", { class: "note" }, "Possible, not confirmed: ", visible(d.doubt), "."),
    h("details", {}, h("summary", {}, `Wanted? How to accept ${visible(d.id)}`), h("p", {}, h("code", { class: "command" }, d.accept))));
}

function strongest() {
  const new_ = DIFFERENCES.filter((d) => state(d) !== "accepted");
  const rank = (d) => (d.certainty === "confirmed" ? 1 : 0);
  const first = [...new_].sort((a, b) => rank(b) - rank(a) || b.strength - a.strength).slice(0, SHOWN);
  if (!first.length) return null;
  return section(first.length === 1 ? "The difference" : "The strongest differences", h("ul", { class: "strongest" }, first.map(strongestCard)));
}

// Ordinary tests that one model passes and the other fails.
function testsAtRisk() {
  const found = REPORT.at_risk;
  if (!found) return null;
  const said = (of) => `${cut(of.prompt.length ? of.prompt[of.prompt.length - 1][1] : "", 120)} → ${of.side}: ${cut(of.output, 200)}`;
  const rows = found.tests.map((t) => [
    h("code", {}, visible(t.name)), `${MARK[t.passes]} ${t.passes}`,
    t.differences.length ? h("ul", { class: "plainlist" }, t.differences.map((x) => h("li", {}, h("a", { href: href("difference", x.difference) }, visible(x.difference)), ` (${visible(x.layer)}) fires on ${percent(x.share)} of its tokens: `, h("bdi", {}, visible(x.what))))) : h("span", { class: "none" }, found.reason ? "not compared" : "no difference explains it"),
    t.unexplained.length ? h("ul", { class: "plainlist" }, t.unexplained.slice(0, 3).map((x) => h("li", {}, h("bdi", {}, visible(said(x)))))) : "–"]);
  const what = found.reason ? `No difference was compared: ${visible(found.reason)}.` : `${plural(found.tested, "difference")} compared on the texts of ${found.read} of them (permutation test over tests).`;
  return section("Tests that one model passes and the other fails",
    h("p", {}, `${whole(found.tests.length)} of ${plural(found.pairs, "test")} that ran on both models. ${what}`),
    rows.length ? table("These tests and the differences that fire on their texts", ["test", "passes", "differences that fire", "texts without any"], rows) : null);
}
