"""What each side has at its layer, and one pair measured at several layers, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_crossdiff.results.detection import DetectionLimit
from pytest_crossdiff.results.result import layer_name
from pytest_crossdiff.sides import Side

if TYPE_CHECKING:
    from pytest_crossdiff.results.result import Result


@dataclass(frozen=True)
class LayerSide:
    """What one model has at its layer that the other hasn't: confirmed differences, possible ones,
    joint strength (accepted ones don't count); and the variance explained and the limit of
    detection there, the strength found with 80 % probability, None where no control tells.

    detection_limits: the same at each density.  layer, layers: see `ModelFacts`.
    """

    side: Side
    layer: int
    layers: int
    count: int
    possible: int
    strength: float
    fve: float
    limit_of_detection: float | None
    detection_limits: tuple[DetectionLimit, ...] = ()

    @property
    def layer_name(self) -> str:
        return layer_name(self.layer, self.layers)

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
            counted.controls.limits(side),
        )


@dataclass(frozen=True)
class MeasuredLayer:
    """A measurement that differs from that of the report in nothing but the layers, or is it.

    key: of its result.  statuses: of the verdicts on it, without repetition.  page: the file of its
    own report beside this one, "" where there is none.
    """

    key: str
    sides: tuple[LayerSide, ...]
    statuses: tuple[str, ...]
    page: str
