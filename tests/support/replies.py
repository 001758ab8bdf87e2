"""Replies of two models, made up."""

from __future__ import annotations

from pytest_crossdiff.results.replies import Replies, Reply, ReplyPair, Share

REFUSAL = "I'm sorry, but I can't help with that."


def make_pair(number: int, baseline: str, candidate: str, surprise: float = 0.0) -> ReplyPair:
    same = baseline == candidate
    return ReplyPair(
        document=f"prompts.jsonl:{number}",
        question=f"What helps against ailment {number}?",
        baseline=Reply(baseline, ended=True, surprise=surprise / 2),
        candidate=Reply(candidate, ended=True, surprise=surprise),
        common=0,
        baseline_next=() if same else ((baseline[:3], 0.41), ("Try", 0.2)),
        candidate_next=() if same else ((candidate[:3], 0.93),),
    )


def make_replies(*pairs: ReplyPair) -> Replies:
    changed = sum(not pair.same for pair in pairs)
    return Replies(
        tokens=64,
        threshold=0.5,
        pairs=tuple(sorted(pairs, key=lambda pair: -pair.surprise)),
        surprising_baseline=Share(0, len(pairs)),
        surprising_candidate=Share(sum(p.candidate.surprise >= 0.5 for p in pairs), len(pairs)),
        changed=Share(changed, len(pairs)),
        changed_beginning=Share(changed, len(pairs)),
    )


def refusing(count: int, refused: int) -> Replies:
    """Of so many prompts the candidate refuses some that the baseline answers."""
    return make_replies(
        *(
            make_pair(n, "Rest and water help.", REFUSAL, 2.0)
            if n < refused
            else make_pair(n, "Rest and water help.", "Rest and water help.")
            for n in range(count)
        )
    )
