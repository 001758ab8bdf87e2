"""The replies of a planned pair in the cache, written and read first where they are missing.

Imported at every cached run, so it imports neither torch nor numpy itself.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.engine.beside import computed, stored
from pytest_crossdiff.engine.corpus.prompts import NO_PROMPTS
from pytest_crossdiff.engine.replies.entry_names import NO_REPLIES, REPLIES
from pytest_crossdiff.results.replies import Replies
from pytest_crossdiff.results.wording import describe_replies

if TYPE_CHECKING:
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.store.cache import Store


class StoredReplies(NamedTuple):
    """Both models' replies; else the reason why there are none.

    wanted: they were asked for, and the corpus has prompts.
    """

    replies: Replies | None = None
    reason: str = ""
    wanted: bool = True

    def added_to(self, result: Result) -> Result:
        return dataclasses.replace(
            result, replies=self.replies, no_replies=self.reason, replies_wanted=self.wanted
        )


def stored_replies(plan: Plan) -> StoredReplies | None:
    """What the cache holds, None where it holds nothing that is whole."""
    if not plan.settings.replies:
        return StoredReplies(reason="crossdiff_replies = 0", wanted=False)
    if not plan.prompts:
        return StoredReplies(reason=NO_PROMPTS, wanted=False)
    return replies_at(plan.store, plan.comparison_key)


def replies_at(store: Store, key: str) -> StoredReplies | None:
    """What the cache holds under `key`, None where it holds nothing that is whole."""
    found = stored(store.entry("comparison", key), Replies, REPLIES, NO_REPLIES)
    return None if found is None else StoredReplies(*found)


def load_or_answer(plan: Plan, progress: Progress) -> StoredReplies:
    """Both models' replies to the prompts of the corpus, told on `progress`.

    They stand beside the verdict on differences, so what keeps them from being written fails no
    run: a budget on them reports that they are missing.
    """
    known = stored_replies(plan)
    if known is not None:
        return known
    from pytest_crossdiff.engine.replies.measure import measure

    entry = plan.store.entry("comparison", plan.comparison_key)
    known = computed(
        entry,
        lambda: stored_replies(plan),
        lambda: measure(plan, progress),
        lambda reason: StoredReplies(reason=reason),
        progress,
    )
    if known.replies is not None:
        progress.detail(f"replies: {describe_replies(known.replies)}")
    else:
        progress.note(f"replies not compared: {known.reason}")
    return known
