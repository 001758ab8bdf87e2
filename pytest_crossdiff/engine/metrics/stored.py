"""The output metrics of a planned pair in the cache, measured first where they are missing.

Imported at every cached run, so it imports neither torch nor numpy itself.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.engine.metrics.entry_names import METRICS, UNCOMPARABLE
from pytest_crossdiff.errors import CrossDiffError
from pytest_crossdiff.results.output import OutputMetrics
from pytest_crossdiff.results.result import build
from pytest_crossdiff.results.wording import describe_output
from pytest_crossdiff.store.cache import DamagedEntry

if TYPE_CHECKING:
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.results.result import Result


class StoredMetrics(NamedTuple):
    """The output metrics of a pair; else the reason why it has none, "" where none were wanted."""

    output: OutputMetrics | None = None
    reason: str = ""

    def added_to(self, result: Result) -> Result:
        return dataclasses.replace(result, output=self.output, no_output=self.reason)


NOT_MEASURED = StoredMetrics()


def stored_metrics(plan: Plan) -> StoredMetrics | None:
    """What the cache holds, None where it holds nothing that is whole."""
    if not plan.settings.metrics:
        return NOT_MEASURED
    entry = plan.store.entry("metrics", plan.metrics_key)
    try:
        manifest = entry.read_manifest()
        if manifest is None:
            return None
        if UNCOMPARABLE in manifest.meta:
            return StoredMetrics(reason=manifest.meta[UNCOMPARABLE])
        return StoredMetrics(build(OutputMetrics, json.loads(entry.read_bytes(METRICS))))
    except DamagedEntry as damage:
        entry.set_aside(damage.what)
        return None


def load_or_measure(plan: Plan, progress: Progress) -> StoredMetrics:
    """The output metrics, told on `progress` as soon as they are measured.

    They stand beside the verdict on differences, so what keeps them from being measured fails no
    run: a budget on them reports that they are missing.
    """
    known = stored_metrics(plan)
    if known is not None:
        return known
    from pytest_crossdiff.engine.metrics.measure import measure

    try:
        with plan.store.entry("metrics", plan.metrics_key).lock(progress.note):
            if stored_metrics(plan) is None:  # another process may have been faster
                measure(plan, progress)
        known = stored_metrics(plan)
        assert known is not None, "read when it is complete"
    except Exception as error:  # noqa: BLE001  the comparison of activations raises it again
        what = error.what if isinstance(error, CrossDiffError) else repr(error)
        known = StoredMetrics(reason=what.partition("\n")[0])
    if known.output is not None:
        progress.note(f"output: {describe_output(known.output)}")
    else:
        progress.note(f"output metrics not measured: {known.reason}")
    return known
