// What the surprising replies share, in sentences.
function inCommon() {
  const found = REPORT.in_common;
  if (!found || !found.sentences.length) return null;
  return section(`What the candidate's ${whole(found.total)} surprising replies have in common`,
    h("ul", { class: "plainlist" }, found.sentences.map((sentence) => h("li", {}, h("bdi", {}, visible(sentence))))));
}

// Both models' answers to the prompts of the corpus, side by side.

function replies() {
  const r = RESULT.replies;
  if (!r) return RESULT.no_replies ? section("What the models reply", h("p", {}, "Not compared: ", visible(RESULT.no_replies))) : null;
  const share = (x) => `${x.count} of ${x.total}`;
  const answer = (of, next) => [h("bdi", {}, visible(of.text) || "–"), h("div", { class: "note" }, `${number(of.surprise)} nats a token less likely to the other model than its own reply${of.ended ? "" : "; cut at the limit"}`), next.length ? h("div", { class: "note" }, "where they part: ", next.slice(0, 5).map(([token, p]) => [h("bdi", { class: "mono" }, `‘${visible(token)}’`), ` ${percent(p)} `])) : null];
  const rows = r.pairs.filter((p) => p.baseline.text !== p.candidate.text || p.baseline.ended !== p.candidate.ended).slice(0, 50)
    .map((p) => [h("bdi", {}, visible(p.question.slice(0, 300))), answer(p.baseline, p.baseline_next), answer(p.candidate, p.candidate_next)]);
  return section("What the models reply",
    facts([["surprising to the baseline", `${share(r.surprising_candidate)} of the candidate's replies: a token of them is at least ${number(r.threshold)} nats less likely to the baseline than a token of its own reply`],
      ["surprising to the candidate", `${share(r.surprising_baseline)} of the baseline's replies`],
      ["different", `${share(r.changed)}, from the first word ${share(r.changed_beginning)}`], ["length", `at most ${whole(r.tokens)} tokens, greedy`]], "long"),
    rows.length ? fold("Replies that differ, the most surprising first", table("Replies to the same prompts", ["prompt", `${MARK.baseline} baseline`, `${MARK.candidate} candidate`], rows)) : null);
}
