"""The entry to the main job: the cache answers without torch; only what is missing is computed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pytest_crossdiff.engine.metrics.stored import NOT_MEASURED, load_or_measure, stored_metrics
from pytest_crossdiff.engine.plan import Plan, plan, reference_plan
from pytest_crossdiff.engine.population.stored import (
    NOT_JUDGED,
    load_or_judge,
    stored_population,
)
from pytest_crossdiff.engine.replies.stored import StoredReplies, load_or_answer, stored_replies
from pytest_crossdiff.engine.workflow.stored import (
    StoredWorkflow,
    load_or_split,
    stored_workflow,
)
from pytest_crossdiff.errors import InsufficientData
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.results.result import Result
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.store.cache import DamagedEntry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder
    from pytest_crossdiff.engine.plan import Texts
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.store.cache import Entry

RESULT = "result.json"


class Outcome(NamedTuple):
    """A result, whether it came from the cache, and the folder where it is kept."""

    result: Result
    cached: bool
    entry: Path
    plan: Plan


def cached(
    settings: Settings, texts: Texts | None = None, note: Callable[[str], None] | None = None
) -> Outcome | None:
    """The stored outcome for these settings, or None; never computes and never imports torch.

    note: told in words when something damaged was found in the cache.
    """
    return _stored(plan(settings, texts, note), reference_plan(settings))


def run(
    settings: Settings, texts: Texts | None = None, progress: Progress | None = None
) -> Outcome:
    """Compare the two models: from the cache, or by harvest, training and verification.

    texts replace the corpus that `settings` names.  Raises a `CrossDiffError` for whatever keeps us
    from measuring; an interrupted run goes on where it was when called again.
    """
    progress = progress or SilentProgress()
    planned = plan(settings, texts, progress.note)
    signed_off = reference_plan(settings)
    for reference in planned.references.values():
        if reference.remark:
            progress.note(reference.remark)
    for remark in planned.corpus.remarks():
        progress.note(remark)
    found = _stored(planned, signed_off)
    if found is not None:
        return found if settings.train == "never" else _extended(found, signed_off, progress)
    if settings.train == "never":
        raise InsufficientData(
            "the cache has no result for these models, texts and settings",
            source=f"{settings.sources.get('train', 'default')} = never; the cache is "
            f"{planned.store.root}",
            remedy="run once with crossdiff_train = auto where there is time for it, and share the "
            "cache folder",
        )
    progress.detail("looking at both models before anything is measured")
    planned = answered(planned, texts, progress)
    signed_off = signed_off and answered(signed_off, None, progress)
    entry = planned.store.entry("result", planned.result_key)
    with entry.lock(progress.note):
        found = _stored(planned, signed_off)  # another process may have been faster
        if found is None:
            from pytest_crossdiff.engine.compute import compute
            from pytest_crossdiff.engine.estimate import announce
            from pytest_crossdiff.engine.isolation import undisturbed
            from pytest_crossdiff.engine.model_reading import read_in_one_pass, timed

            with undisturbed():
                announce(planned, progress)
                seconds: dict[str, float] = {}
                for side in SIDES:
                    with timed(seconds, f"read {side}"):
                        read_in_one_pass(planned, side, progress)
                metrics = load_or_measure(planned, progress)
                replies = load_or_answer(planned, progress)
                population = load_or_judge(planned, progress)
                result = compute(planned, progress, seconds)
            entry.write(RESULT, result.to_json().encode())
            entry.complete({"crosscoders": list(planned.crosscoder_keys)})
            workflow = load_or_split(planned, signed_off, result, progress)
            result = _with(result, metrics, replies, population, workflow)
            found = Outcome(result, False, entry.path, planned)
    return found


def answered(planned: Plan, texts: Texts | None, progress: Progress) -> Plan:
    """The plan with both models' replies among its texts where that is asked for; they are written
    first where they are missing.  Raises `InsufficientData` where they can't be.
    """
    if not planned.settings.compare_replies:
        return planned
    found = load_or_answer(planned, progress)
    if found.replies is None:
        where = planned.settings.sources.get("compare_replies", "crossdiff_compare_replies")
        raise InsufficientData(
            f"there are no replies to compare: {found.reason}",
            source=f"{where} = true",
            remedy="set crossdiff_compare_replies = false",
        )
    return plan(planned.settings, texts, progress.note)


def load_crosscoder(outcome: Outcome, progress: Progress | None = None) -> TrainedCrosscoder:
    """The first crosscoder behind an outcome, with the normalisation of its inputs.

    It is trained again where it was removed from the cache or is damaged.  Raises
    `InsufficientData` where nothing may be trained.
    """
    from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder

    planned, progress = outcome.plan, progress or SilentProgress()
    entry = planned.store.entry("crosscoder", planned.crosscoder_keys[0])
    try:
        if entry.read_manifest() is not None:
            return TrainedCrosscoder.load(entry)
    except DamagedEntry as damage:
        entry.set_aside(damage.what)
    if planned.settings.train == "never":
        raise InsufficientData(
            "the cache has the result of these models, but not the dictionary",
            source=f"{planned.settings.sources.get('train', 'default')} = never; the cache is "
            f"{planned.store.root}",
            remedy="run once with crossdiff_train = auto; it is trained again",
        )
    from pytest_crossdiff.engine.compute import crosscoders
    from pytest_crossdiff.engine.isolation import undisturbed

    with undisturbed():
        return crosscoders(planned, progress)[0]


def _extended(found: Outcome, signed_off: Plan | None, progress: Progress) -> Outcome:
    """A stored outcome with its output metrics, its replies and the split into model and workflow,
    measured now where they are missing.
    """
    metrics = load_or_measure(found.plan, progress)
    replies = load_or_answer(found.plan, progress)
    population = load_or_judge(found.plan, progress)
    workflow = load_or_split(found.plan, signed_off, found.result, progress)
    return found._replace(result=_with(found.result, metrics, replies, population, workflow))


def _stored(planned: Plan, signed_off: Plan | None) -> Outcome | None:
    """The stored outcome, with what stands beside it where that is stored too."""
    entry = planned.store.entry("result", planned.result_key)
    try:
        if entry.read_manifest() is None:
            return None
        result = _named_as_now(_read(entry, planned.result_key), planned)
    except DamagedEntry as damage:
        entry.set_aside(damage.what)
        return None
    metrics = stored_metrics(planned) or NOT_MEASURED
    replies = stored_replies(planned) or StoredReplies()
    population = stored_population(planned) or NOT_JUDGED
    workflow = stored_workflow(planned, signed_off) or StoredWorkflow()
    result = _with(result, metrics, replies, population, workflow)
    return Outcome(result, True, entry.path, planned)


class _Beside(Protocol):
    """What is kept beside a result."""

    def added_to(self, result: Result) -> Result: ...


def _with(result: Result, *parts: _Beside) -> Result:
    for part in parts:
        result = part.added_to(result)
    return result


def _named_as_now(result: Result, planned: Plan) -> Result:
    """The result with models and texts called as the settings call them: the same ones may lie
    elsewhere by now, as in a folder that was copied.
    """
    a, b = (
        dataclasses.replace(result.model(side), reference=planned.references[side].reference)
        for side in SIDES
    )
    corpus = dataclasses.replace(result.corpus, source=planned.corpus.source)
    return dataclasses.replace(result, baseline=a, candidate=b, corpus=corpus)


def _read(entry: Entry, key: str) -> Result:
    """The stored result.  Raises `DamagedEntry`, also where it is that of another key."""
    result = Result.from_json(entry.read_bytes(RESULT).decode())
    if result.key != key:
        raise DamagedEntry(f"{entry.path} holds the result of another key, {result.key}")
    return result
