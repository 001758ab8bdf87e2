"""What is kept of a difference that several dictionaries have."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_contexts import heldout_tokens

from pytest_crossdiff.engine.explanation.differences import _difference
from pytest_crossdiff.engine.verification.grouping import Group, Member, groups
from support.dictionaries import sparse
from support.results import make_feature


def dictionary(seed: int, f_np: list[list[float]], norm: float) -> Any:
    """One that makes so much of three features on four places, with rows of that length."""
    activations = np.array(f_np, dtype=np.float32)
    held = SimpleNamespace(
        f_np=activations,
        other=lambda part, rows: activations[rows][:, part] / 2,
        norm_p=np.full(3, norm),
        ablation=SimpleNamespace(norm=lambda _: 10.0),
    )
    features = [make_feature(seed)] * 3
    return SimpleNamespace(held=held, features=features, scaling=None)


def test_it_is_known_again_by_its_activation_on_average_over_the_dictionaries_that_have_it() -> (
    None
):
    verified = [
        dictionary(0, [[1, 9, 0], [0, 9, 0], [2, 9, 1], [0, 9, 0]], 20.0),
        dictionary(1, [[9, 9, 9]] * 4, 1.0),
        dictionary(2, [[0, 0, 4], [0, 0, 0], [0, 0, 8], [0, 0, 2]], 10.0),
    ]
    group = Group((Member(0, 0), Member(0, 2), Member(2, 2)), {0: 0.02, 2: 0.01}, "")
    found = _difference(
        group, verified, "candidate", heldout_tokens(["a b c d"]), np.zeros(4, np.int32)
    )
    # in the first dictionary 2, 0, 6 and 0, in the third 4, 0, 8 and 2
    assert {f.end: f.activation for f in found.firing} == {1: 3.0, 5: 7.0, 7: 1.0}
    assert [c.activation for c in found.contexts] == [6.0]  # texts are those of the strongest one
    assert (found.strength, found.strength_low) == (pytest.approx(0.015), 0.01)


class Found:
    """One dictionary's verified and undecided features: strength, and whether it is verified."""

    def __init__(self, f_np: list[list[float]], *features: tuple[float, bool]) -> None:
        strengths = [strength for strength, _ in features]
        firing = sparse(np.array(f_np, dtype=np.float32))
        joint = SimpleNamespace(strength=lambda of, _: sum(strengths[p] for p in of))
        self.held = SimpleNamespace(f_np=firing, ablation=joint, innovations=None)
        self.verified = [verified for _, verified in features]

    def positions(self, _: str, *, undecided: bool = False) -> list[int]:
        return [p for p, verified in enumerate(self.verified) if verified != undecided]


def test_what_is_verified_but_too_weak_doesnt_hide_what_is_strong_but_undecided() -> None:
    fires = [[1.0, 1.0], [0.0, 0.0], [2.0, 1.0], [0.0, 0.0]]
    weak_and_open = [Found(fires, (0.0001, True), (0.0007, False)) for _ in range(3)]
    (group,) = groups(weak_and_open, "candidate", 0.0002)
    assert group.doubt == "its interval reaches below the threshold"
    assert group.strength == pytest.approx(0.0008)
    strong_and_open = [Found(fires, (0.0003, True), (0.0007, False)) for _ in range(3)]
    (group,) = groups(strong_and_open, "candidate", 0.0002)
    assert not group.doubt
    assert group.strength == pytest.approx(0.0003)
    weak = [Found(fires, (0.0001, True), (0.00005, True)) for _ in range(3)]
    assert groups(weak, "candidate", 0.0002) == []
