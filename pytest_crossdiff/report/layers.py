"""One pair of models measured at several layers in one session, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_crossdiff.result import SIDES, Side

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_crossdiff.report.summary import PairSummary


@dataclass(frozen=True)
class LayerSide:
    """What one model has at its layer that the other hasn't: confirmed differences, possible ones,
    joint strength (accepted ones don't count); and the variance explained and the limit of
    detection there, None where that is not known.
    """

    side: Side
    layer: int
    count: int
    possible: int
    strength: float
    fve: float
    limit_of_detection: float | None


@dataclass(frozen=True)
class Layer:
    """A measurement that differs from that of the report in nothing but the layers, or is it.

    key: of its result.  statuses: of the verdicts on it, without repetition.  page: the file of its
    own report beside this one, "" where there is none.
    """

    key: str
    sides: tuple[LayerSide, ...]
    statuses: tuple[str, ...]
    page: str


def compared(key: str, pairs: Iterable[PairSummary], pages: Mapping[str, str]) -> tuple[Layer, ...]:
    """The layers at which the pair with the result `key` was measured, from the first block up; ()
    where it was at one only.

    pages: names of report files by key of the result.
    """
    known = {pair.key: pair for pair in pairs}
    if key not in known:
        return ()
    alike = [pair for pair in known.values() if pair.but_layers == known[key].but_layers]
    if len(alike) < 2:
        return ()
    alike.sort(key=lambda pair: (pair.baseline.layer, pair.candidate.layer, pair.key))
    return tuple(_layer(pair, pages.get(pair.key, "")) for pair in alike)


def _layer(pair: PairSummary, page: str) -> Layer:
    models = zip(SIDES, (pair.baseline, pair.candidate), strict=True)
    sides = tuple(
        LayerSide(side, m.layer, m.count, m.possible, m.strength, m.fve, m.limit)
        for side, m in models
    )
    return Layer(pair.key, sides, tuple(dict.fromkeys(c.status for c in pair.checks)), page)
