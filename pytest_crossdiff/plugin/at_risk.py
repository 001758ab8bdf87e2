"""The tests that one model passes and the other fails, from what a session recorded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_crossdiff.results.result import build
from pytest_crossdiff.results.tests import RecordedRun, TestsAtRisk

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest


def find(config: pytest.Config, recorded: Iterable[str], keys: Iterable[str]) -> TestsAtRisk | None:
    """What is to be said of them; None where every test has one outcome on both models.

    recorded: runs as JSON.  keys: of the results that the session measured.  An error is shown
    instead of the differences: the session's own result stands all the same.
    """
    runs = [build(RecordedRun, json.loads(text)) for text in recorded]
    outcomes: dict[str, dict[tuple[str, ...], bool | None]] = {}
    for run in runs:
        outcomes.setdefault(run.name, {})[run.sides] = run.passed
    if not any({True, False} <= {*of.values()} for of in outcomes.values()):
        return None  # without loading anything
    from pytest_crossdiff.engine import pipeline
    from pytest_crossdiff.engine.tests_at_risk import find_tests_at_risk
    from pytest_crossdiff.errors import CrossDiffError
    from pytest_crossdiff.report import stored
    from pytest_crossdiff.report.live.progress import progress_for
    from pytest_crossdiff.settings.resolution import resolve
    from pytest_crossdiff.store.cache import Store

    try:
        layers = [*resolve(config).by_layer().values()]
        settings = layers[0]
        store = Store.at(settings.cache_dir)
        results = [stored.read_by_key(key, store).result for key in keys]
        if not results:  # measured by an earlier run, perhaps
            results = [found.result for of in layers if (found := pipeline.cached(of))]
        return find_tests_at_risk(runs, results, settings, store, progress_for(config))
    except CrossDiffError as error:
        return TestsAtRisk((), 0, 0, 0, error.what)
