"""The kinds of dictionary that are compared, and how their features are divided."""

from __future__ import annotations

ARCHITECTURES = ("innovation", "dfc", "standard")


def partition(architecture: str, features: int, share: float = 0.05) -> tuple[int, int, int]:
    """Numbers of shared, baseline-only and candidate-only features of a dictionary.

    share: of the features, in each exclusive part; a `standard` crosscoder has no such parts.
    """
    own = 0 if architecture == "standard" else max(1, round(features * share))
    return features - 2 * own, own, own
