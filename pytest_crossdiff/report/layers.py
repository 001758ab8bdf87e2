"""What each side has at its layer, and one pair measured at several layers, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_crossdiff.results.difference import Side
from pytest_crossdiff.results.result import place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_crossdiff.report.summary import PairSummary
    from pytest_crossdiff.results.result import Result


@dataclass(frozen=True)
class LayerSide:
    """What one model has at its layer that the other hasn't: confirmed differences, possible ones,
    joint strength (accepted ones don't count); and the variance explained and the limit of
    detection there, the least strength that would have been found, None where no control tells.

    layer, layers: see `ModelFacts`.
    """

    side: Side
    layer: int
    layers: int
    count: int
    possible: int
    strength: float
    fve: float
    limit_of_detection: float | None

    @property
    def place(self) -> str:
        return place(self.layer, self.layers)

    @classmethod
    def of(cls, counted: Result, side: Side) -> LayerSide:
        """That of `side`.  counted: the result as if it had only the differences that count."""
        model = counted.model(side)
        return cls(
            side,
            model.layer,
            model.layers,
            len(counted.of(side)),
            len(counted.of(side, "possible")),
            counted.total_strength(side),
            model.fve,
            counted.limit_of_detection(side),
        )


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
    alike.sort(key=lambda pair: (*(model.has.layer for model in pair.models), pair.key))
    return tuple(_layer(pair, pages.get(pair.key, "")) for pair in alike)


def _layer(pair: PairSummary, page: str) -> Layer:
    statuses = dict.fromkeys(check.status for check in pair.checks)
    return Layer(pair.key, tuple(model.has for model in pair.models), tuple(statuses), page)
