"""An upgrade that changes nothing that matters: an int8 copy of the encoder in use.

Its weights differ from the original's by a few percent everywhere, and no feature comes or goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from example_suite import models

if TYPE_CHECKING:
    from pytest_crossdiff import CrossDiff

pytestmark = [
    pytest.mark.usefixtures("minilm", "minilm_int8"),
    pytest.mark.crossdiff(candidate=models.minilm_int8.folder),
]


def test_gate(crossdiff: CrossDiff) -> None:
    crossdiff.assert_within_budget()
