"""Both models answer and read each other's answers, one model in memory at a time."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from pytest_crossdiff.engine.models.loaded import load_configured
from pytest_crossdiff.engine.replies.compare import compare
from pytest_crossdiff.engine.replies.entry_names import NO_REPLIES, REPLIES
from pytest_crossdiff.engine.replies.read import log_probabilities
from pytest_crossdiff.engine.replies.write import (
    WritesNothingError,
    answer,
    read_replies,
    vocabulary_of,
)
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.store.artefact import read_or_build

if TYPE_CHECKING:
    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.sides import Side
    from pytest_crossdiff.store.cache import Entry


def measure(plan: Plan, progress: Progress) -> None:
    """Fill the entry of the plan's comparison of replies, which is locked and open.

    The baseline's replies are kept for every later candidate.  Raises `ModelError` and
    `CorpusError` where a model can't be loaded or asked; that it writes no text is kept instead.
    """
    entry = plan.store.entry("comparison", plan.comparison_key)
    try:
        written = {side: _written(plan, side, progress) for side in SIDES}
    except WritesNothingError as error:
        entry.complete({NO_REPLIES: error.what})
        return
    read: dict[Side, list[float] | None] = {}
    for reader, writer in (SIDES[::-1], SIDES):
        if plan.references[reader].archived:
            progress.note(f"replies of the {writer} not read by the {reader}, which is archived")
            read[writer] = None
            continue
        model = _load(plan, reader)
        try:
            read[writer] = log_probabilities(
                model,
                plan.prompts,
                read_replies(written[writer]),
                vocabulary_of(written[writer]),
                label=reader,
                progress=progress,
            )
            model.reference.must_be_unchanged()
        finally:
            model.unload()
    found = compare(
        plan.prompts,
        read_replies(written["baseline"]),
        read_replies(written["candidate"]),
        read["baseline"],
        read["candidate"],
        plan.settings.replies,
    )
    entry.write(REPLIES, json.dumps(dataclasses.asdict(found), ensure_ascii=False).encode())
    entry.complete({"replies": [plan.reply_keys[side] for side in SIDES]})


def _written(plan: Plan, side: Side, progress: Progress) -> Entry:
    def build(entry: Entry) -> None:
        progress.detail(f"loading the {side}: {plan.references[side].reference}")
        model = _load(plan, side)
        try:
            with entry.checked_by(model.reference.must_be_unchanged):
                answer(
                    model,
                    plan.prompts,
                    entry,
                    tokens=plan.settings.replies,
                    label=side,
                    progress=progress,
                )
        finally:
            model.unload()

    entry = plan.store.entry("replies", plan.reply_keys[side])
    return read_or_build(entry, build, _same, progress.note)


def _same(entry: Entry) -> Entry:
    read_replies(entry)  # raises where it is damaged
    return entry


def _load(plan: Plan, side: Side) -> LoadedModel:
    # Any block will do: the head is what writes.
    settings = plan.settings.with_values(**{f"{side}_layer": 1.0})
    return load_configured(settings, side, plan.references[side], with_head=True)
