"""Hooks that a conftest.py or another plugin can implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result


def pytest_crossdiff_result(config: pytest.Config, result: Result) -> None:
    """Called once for each pair that the run measured or read from the cache.

    Under pytest-xdist it is called in the main process, whichever worker measured.  E.g., in
    `conftest.py`, keep the counts of every run:

        import json

        def pytest_crossdiff_result(config, result):
            counts = {side: len(result.of(side)) for side in ("baseline", "candidate")}
            (config.rootpath / "crossdiff-counts.json").write_text(json.dumps(counts))
    """


@pytest.hookspec(firstresult=True)
def pytest_crossdiff_label_feature(
    config: pytest.Config, difference: Difference, result: Result
) -> str | None:
    """Called for each difference of each pair that the run measured or read from the cache; the
    first answer that isn't None becomes its `label`.

    A label is shown as unverified, and neither the verdict nor the cache knows it.  When the hook
    raises, pytest warns and goes on.  Under pytest-xdist it is called in the process that asks for
    the pair.  E.g., in `conftest.py`, look it up in a file that a person or a language model wrote:

        import json

        def pytest_crossdiff_label_feature(config, difference):
            names = json.loads((config.rootpath / "names.json").read_text())
            for token in difference.tokens:
                if token.token in names:
                    return names[token.token]
    """
