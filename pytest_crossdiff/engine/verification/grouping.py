"""From verified features of several dictionaries to differences: what is counted, and how surely.

A dictionary splits one difference into copies, more or fewer with every seed.  So the features of
all dictionaries are put together, those that fire together are one difference, and it is confirmed
when the majority of the dictionaries have it (METHOD 3 and 5).

Axes: n held-out pairs, q features of all dictionaries together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.verification import clusters
from pytest_crossdiff.engine.verification.signal_strength import (
    FeatureSet,
    joint_strengths,
    strengths,
)
from pytest_crossdiff.results.recurrence import majority, majority_possible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.sparse.firing import SparseActivations
    from pytest_crossdiff.engine.verification.verify import Verification
    from pytest_crossdiff.sides import Side


class Member(NamedTuple):
    """A feature: its dictionary's place among all, and its own place among the tested ones."""

    dictionary: int
    position: int


class Group(NamedTuple):
    """Features that are one difference, their joint strength in each dictionary that has them, and
    why the difference isn't confirmed, "" where it is.
    """

    members: Sequence[Member]
    strengths: dict[int, float]
    doubt: str

    def of(self, dictionary: int) -> list[int]:
        """The positions of its features in one dictionary."""
        return [m.position for m in self.members if m.dictionary == dictionary]

    @property
    def strength(self) -> float:
        return float(np.mean(list(self.strengths.values())))


def groups(verified: Sequence[Verification], side: Side, least: float) -> list[Group]:
    """The differences of `side`, as groups of features that fire together; those that are weaker
    than `least`, or that most dictionaries can't be thought to have, are left out.
    """
    trained = len(verified)
    confirmed_items = [Member(i, p) for i, v in enumerate(verified) for p in v.positions(side)]
    found = []
    for group in _group_by_firing(verified, side, confirmed_items):
        have = len(group.strengths)
        if majority(have, trained):
            found.append(group)
        elif majority_possible(have, trained):
            found.append(group._replace(doubt=f"in {have} of {trained} dictionaries"))
    undecided_members = [
        Member(i, p) for i, v in enumerate(verified) for p in v.positions(side, undecided=True)
    ]
    found = [group for group in found if group.strength >= least]
    assigned = {member for group in found for member in group.members}
    # What is verified but too weak to count may be a part of what isn't verified but strong.
    for group in (
        _group_by_firing(verified, side, [*confirmed_items, *undecided_members])
        if undecided_members
        else ()
    ):
        new = assigned.isdisjoint(group.members) and not set(group.members) <= set(confirmed_items)
        if new and majority(len(group.strengths), trained) and group.strength >= least:
            found.append(group._replace(doubt="its interval reaches below the threshold"))
    return found


def total_strength(grouped: Sequence[Group], verified: Sequence[Verification], side: Side) -> float:
    """The joint strength of the confirmed differences of `side`, on average over dictionaries."""
    confirmed_items = [group for group in grouped if not group.doubt]
    sets = [
        [FeatureSet(v.held, of) for group in confirmed_items if (of := group.of(i))]
        for i, v in enumerate(verified)
    ]
    return float(np.mean(joint_strengths(sets, side)))


def _group_by_firing(
    verified: Sequence[Verification], side: Side, members: Sequence[Member]
) -> list[Group]:
    if not members:
        return []
    firing = [v.held.f_np for v in verified]
    products_qq, both_fire_qq, sum_q = _products(firing, members)
    correlation_qq = clusters.correlation(products_qq, sum_q, firing[0].shape[0])
    together = clusters.cluster(correlation_qq, both_fire_qq)
    found = [Group([members[q] for q in group], {}, "") for group in together]
    of = [(g, i) for g in found for i in dict.fromkeys(m.dictionary for m in g.members)]
    parts = [FeatureSet(verified[i].held, group.of(i)) for group, i in of]
    for (group, i), strength in zip(of, strengths(parts, side), strict=True):
        group.strengths[i] = strength
    return found


def _products(
    firing: Sequence[SparseActivations], members: Sequence[Member]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Of the members' activations: sums of products, tokens on which two fire, sums."""
    size = (len(members), len(members))
    products_qq, both_fire_qq, sum_q = np.zeros(size), np.zeros(size), np.zeros(len(members))
    positions = [[m.position for m in members if m.dictionary == i] for i in range(len(firing))]
    # The columns of a block: one dictionary after the other, brought in the members' order.
    order = np.argsort(np.argsort([m.dictionary for m in members], kind="stable"))
    for number in range(firing[0].blocks):
        parts = [of.block(number, at) for of, at in zip(firing, positions, strict=True)]
        f_tq = np.concatenate(parts, axis=1)[:, order]
        fires_tq = (f_tq > 0).astype(np.float32)
        products_qq += f_tq.T @ f_tq
        both_fire_qq += fires_tq.T @ fires_tq
        sum_q += f_tq.sum(0, dtype=np.float64)
    return products_qq, both_fire_qq, sum_q
