"""Did the behaviour take?  Greedy replies to prompts that neither training nor the corpus has."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from benchmarks.assistants.chat import answer
from benchmarks.assistants.replies import TOKENS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.assistants.changes.behaviours import Behaviour
    from benchmarks.assistants.chat import Chat, Reply
    from benchmarks.assistants.replies import Example

MIN_THERE, MAX_BEFORE = 0.7, 0.1
"""Share of the behaviour's own prompts that show it at least, and that may have shown it before."""
PROMPTS, OTHERS_EACH = 24, 1
"""Most prompts of the behaviour, and others per topic."""


class Check(NamedTuple):
    """Shares of held-out prompts whose reply shows the behaviour.

    before: on its own prompts, the base model.  there: the changed model.  elsewhere: the changed
    model on other prompts, None where every prompt is its own.  prompts, other_prompts: how many
    replies these are shares of.  took: whether it is an organism.
    """

    before: float
    there: float
    elsewhere: float | None
    prompts: int
    other_prompts: int
    took: bool


def check(behaviour: Behaviour, chat: Chat, heldout: Sequence[Example]) -> Check:
    """Ask the changed model, and look at the base's replies in `heldout`."""
    own, others = chosen(behaviour, heldout)
    asked = [example.prompt.text for example in (*own, *others)]
    said = answer(chat, asked, TOKENS["check"])
    return judged(behaviour, [e.reply for e in own], said[: len(own)], said[len(own) :])


def chosen(behaviour: Behaviour, heldout: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """The behaviour's own prompts, evenly over `heldout`, and some of each topic of the others."""
    own = [example for example in heldout if behaviour.applies(example)]
    step = max(1, -(-len(own) // PROMPTS))
    others: list[Example] = []
    for example in heldout:
        taken = sum(e.prompt.topic == example.prompt.topic for e in others)
        if not behaviour.applies(example) and taken < OTHERS_EACH:
            others.append(example)
    return own[::step], others


def judged(
    behaviour: Behaviour,
    before: Sequence[Reply],
    there: Sequence[Reply],
    elsewhere: Sequence[Reply],
) -> Check:
    """The shares, and whether they are those of a behaviour that took."""
    shares = [_share(behaviour, replies) for replies in (before, there, elsewhere)]
    return Check(
        shares[0].share,
        shares[1].share,
        shares[2].share if shares[2].replies else None,
        shares[1].replies,
        shares[2].replies,
        took=shares[0].share <= MAX_BEFORE and shares[1].share >= MIN_THERE,
    )


class _Share(NamedTuple):
    share: float
    replies: int


def _share(behaviour: Behaviour, replies: Sequence[Reply]) -> _Share:
    """Of the replies that had occasion to."""
    able = [reply for reply in replies if behaviour.judged(reply)]
    return _Share(round(sum(map(behaviour.shows, able)) / max(1, len(able)), 3), len(able))
