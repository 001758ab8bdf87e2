"""Another family of language models: SmolLM2-135M against Gemma-3-270M, on explicit opt-in.

Gemma's licence isn't an open-source one: `--accept-gemma-terms` says that you have read and accept
it, and nothing is downloaded otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from example_suite import models

if TYPE_CHECKING:
    from pytest_crossdiff import CrossDiff

pytestmark = [
    pytest.mark.usefixtures("smollm2", "gemma"),
    pytest.mark.crossdiff(
        baseline=models.smollm2.folder,
        candidate=models.gemma3_270m.folder,
        baseline_layer=10,
        candidate_layer=9,
        tokens=20_000,
    ),
]


def test_nearly_every_token_is_compared(crossdiff: CrossDiff) -> None:
    assert crossdiff.result.baseline.token_coverage > 0.95
    assert crossdiff.result.candidate.token_coverage > 0.95


def test_gate(crossdiff: CrossDiff) -> None:
    crossdiff.assert_candidate_only(max_strength=0.15)
    crossdiff.assert_baseline_only(max_strength=0.15)
