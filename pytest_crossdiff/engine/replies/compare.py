"""Both models' replies side by side."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from pytest_crossdiff.results.replies import Replies, Reply, ReplyPair, Share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_crossdiff.engine.corpus.prompts import Prompt
    from pytest_crossdiff.engine.replies.write import Written
    from pytest_crossdiff.results.replies import Likeliest

SURPRISING = 0.5
"""Nats a token from which a reply is surprising: on average the other model finds a token of its
own reply 1.6 times as likely as a token of this one.

A fine-tune on the base model's own answers is more confident in everything it says, so
the ratio of the two models' probabilities is large for all of its replies; what the *other* model
thinks of them, next to what it would have said itself, is not.
"""


def compare(
    prompts: Sequence[Prompt],
    baseline: Sequence[Written],
    candidate: Sequence[Written],
    baseline_read: Sequence[float] | None,
    candidate_read: Sequence[float] | None,
    tokens: int,
) -> Replies:
    """baseline_read: mean log p that the *candidate* gives to a token of the baseline's replies,
    and the other way round, nats; None where that model is archived and reads nothing, so that no
    reply of the other counts as surprising, of none.
    """
    unread = [None] * len(prompts)
    pairs = [
        _pair(prompt, a, b, _surprise(b, read_a), _surprise(a, read_b))
        for prompt, a, b, read_a, read_b in zip(
            prompts,
            baseline,
            candidate,
            baseline_read or unread,
            candidate_read or unread,
            strict=True,
        )
    ]
    pairs.sort(key=lambda pair: (-pair.surprise, pair.document))
    count = len(pairs)
    return Replies(
        tokens=tokens,
        threshold=SURPRISING,
        pairs=tuple(pairs),
        surprising_baseline=Share(
            sum(p.baseline.surprise >= SURPRISING for p in pairs),
            0 if baseline_read is None else count,
        ),
        surprising_candidate=Share(
            sum(p.candidate.surprise >= SURPRISING for p in pairs),
            0 if candidate_read is None else count,
        ),
        changed=Share(sum(not p.same for p in pairs), count),
        changed_beginning=Share(sum(_begins_otherwise(p) for p in pairs), count),
    )


def _surprise(own: Written, read: float | None) -> float:
    """How much likelier the reader finds its own reply than the other's, nats a token."""
    return 0.0 if read is None else own.mean_log_p - read


def _pair(prompt: Prompt, a: Written, b: Written, of_a: float, of_b: float) -> ReplyPair:
    both = zip(a.text, b.text, strict=False)
    common = sum(1 for _ in itertools.takewhile(lambda two: two[0] == two[1], both))
    same = a.text == b.text and a.ended == b.ended
    return ReplyPair(
        document=prompt.document,
        question=prompt.question,
        baseline=Reply(a.text, a.ended, of_a),
        candidate=Reply(b.text, b.ended, of_b),
        common=common,
        baseline_next=() if same else _at(a, common),
        candidate_next=() if same else _at(b, common),
        slice=prompt.slice,
    )


def _at(reply: Written, character: int) -> Likeliest:
    """What the model found likeliest at the token that holds `character`, or ends the reply."""
    found = [step for step, start in enumerate(reply.starts) if start <= character]
    return reply.likeliest[found[-1]] if found else ()


def _begins_otherwise(pair: ReplyPair) -> bool:
    """Whether the first word differs."""
    first_a, first_b = (of.text.split(maxsplit=1)[:1] for of in (pair.baseline, pair.candidate))
    return first_a != first_b
