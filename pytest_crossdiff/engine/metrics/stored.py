"""The output metrics of a planned pair in the cache, measured first where they are missing.

Imported at every cached run, so it imports neither torch nor numpy itself.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.engine.beside import computed, stored
from pytest_crossdiff.engine.metrics.entry_names import METRICS, UNCOMPARABLE
from pytest_crossdiff.results.output import OutputMetrics
from pytest_crossdiff.results.wording import describe_output

if TYPE_CHECKING:
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.store.cache import Store


class StoredMetrics(NamedTuple):
    """The output metrics of a pair; else the reason why it has none, "" where none were wanted."""

    output: OutputMetrics | None = None
    reason: str = ""

    def added_to(self, result: Result) -> Result:
        return dataclasses.replace(result, output=self.output, no_output=self.reason)


NOT_MEASURED = StoredMetrics()


def stored_metrics(plan: Plan) -> StoredMetrics | None:
    """What the cache holds, None where it holds nothing that is whole."""
    return metrics_at(plan.store, plan.metrics_key) if plan.settings.metrics else NOT_MEASURED


def metrics_at(store: Store, key: str) -> StoredMetrics | None:
    """What the cache holds under `key`, None where it holds nothing that is whole."""
    found = stored(store.entry("metrics", key), OutputMetrics, METRICS, UNCOMPARABLE)
    return None if found is None else StoredMetrics(*found)


def load_or_measure(plan: Plan, progress: Progress) -> StoredMetrics:
    """The output metrics, told on `progress` as soon as they are measured.

    They stand beside the verdict on differences, so what keeps them from being measured fails no
    run: a budget on them reports that they are missing.
    """
    known = stored_metrics(plan)
    if known is not None:
        return known
    from pytest_crossdiff.engine.metrics.measure import measure

    entry = plan.store.entry("metrics", plan.metrics_key)
    known = computed(
        entry,
        lambda: stored_metrics(plan),
        lambda: measure(plan, progress),
        lambda reason: StoredMetrics(reason=reason),
        progress,
    )
    if known.output is not None:
        progress.detail(f"output: {describe_output(known.output)}")
    else:
        progress.detail(f"output metrics not measured: {known.reason}")
    return known
