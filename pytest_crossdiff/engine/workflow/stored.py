"""The split of a change into model and workflow in the cache, made first where it is missing.

Imported at every cached run, so it imports neither torch nor numpy itself.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_crossdiff.engine.beside import computed, stored
from pytest_crossdiff.engine.workflow.entry_names import NO_WORKFLOW, WORKFLOW
from pytest_crossdiff.results.wording import describe_workflow
from pytest_crossdiff.results.workflow import Workflow
from pytest_crossdiff.store.digest import digest

if TYPE_CHECKING:
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.store.entry import Entry

VERSION = 1
"""Raised when the code makes something else of the same input."""


class StoredWorkflow(NamedTuple):
    """The split; else the reason why there is none, "" where none was wanted."""

    workflow: Workflow | None = None
    reason: str = ""

    def added_to(self, result: Result) -> Result:
        return dataclasses.replace(result, workflow=self.workflow, no_workflow=self.reason)


def stored_workflow(today: Plan, reference: Plan | None) -> StoredWorkflow | None:
    """What the cache holds, None where it holds nothing that is whole."""
    if reference is None:
        return StoredWorkflow()
    if not today.settings.metrics:
        return StoredWorkflow(reason="crossdiff_metrics = false")
    found = stored(_entry(today, reference), Workflow, WORKFLOW, NO_WORKFLOW)
    return None if found is None else StoredWorkflow(*found)


def load_or_split(
    today: Plan, reference: Plan | None, result: Result, progress: Progress
) -> StoredWorkflow:
    """The split of the change of `result`, told on `progress`.

    It stands beside the verdict on differences, so what keeps it from being made fails no run.
    """
    known = stored_workflow(today, reference)
    if known is not None or reference is None:
        return known or StoredWorkflow()
    from pytest_crossdiff.engine.workflow.measure import measure

    entry = _entry(today, reference)
    known = computed(
        entry,
        lambda: stored_workflow(today, reference),
        lambda: measure(entry, today, reference, result, progress),
        lambda reason: StoredWorkflow(reason=reason),
        progress,
    )
    if known.workflow is not None:
        progress.note(f"since the last sign-off: {describe_workflow(known.workflow)}")
    else:
        progress.note(f"model and workflow not told apart: {known.reason}")
    return known


def _entry(today: Plan, reference: Plan) -> Entry:
    keys: dict[str, Any] = {
        "version": VERSION,
        "result": today.result_key,
        "metrics": [reference.metrics_key, today.metrics_key],
        "harvests": [reference.harvest_keys[side] for side in reference.harvest_keys],
        "slices": [[d.part for d in of.corpus.documents] for of in (reference, today)],
        "fdr": today.settings.fdr,
    }
    return today.store.entry("workflow", digest(keys))
