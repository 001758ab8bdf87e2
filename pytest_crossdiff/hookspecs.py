"""Hooks that a conftest.py or another plugin can implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from pytest_crossdiff.result import Result


def pytest_crossdiff_result(config: pytest.Config, result: Result) -> None:
    """Called once for each pair that the run measured or read from the cache.

    Under pytest-xdist it is called in the main process, whichever worker measured.  E.g., in
    `conftest.py`, keep the counts of every run:

        import json

        def pytest_crossdiff_result(config, result):
            counts = {side: len(result.of(side)) for side in ("baseline", "candidate")}
            (config.rootpath / "crossdiff-counts.json").write_text(json.dumps(counts))
    """
