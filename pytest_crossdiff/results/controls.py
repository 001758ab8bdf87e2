"""What says how far a verdict can be trusted: planted signals, and a pair that is none."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_crossdiff.results.renamed import Renamed
from pytest_crossdiff.sides import Side


@dataclass(frozen=True)
class PlantedSignal:
    """A signal planted into one model's vectors, and whether it was found (METHOD 5).

    strength, density: as planted, on average.  realised: its strength on the held-out tokens that
    it came to stand on by chance, which is what can be found.  measured: the strength found for it,
    0 where it was not found.
    """

    side: Side
    strength: float
    density: float
    realised: float
    measured: float

    @property
    def found(self) -> bool:
        return self.measured > 0.0


@dataclass(frozen=True)
class NullControl:
    """The baseline held against itself, seen through a random map: nothing differs.

    found: differences reported all the same.  features, steps: of its dictionary.
    """

    found: int
    features: int
    steps: int


@dataclass(frozen=True)
class Controls:
    """What says how far a verdict can be trusted; () and None where a control was switched off."""

    planted_signals: tuple[PlantedSignal, ...] = ()
    null: NullControl | None = None

    spikes = Renamed("planted_signals")

    def limit(self, side: Side) -> float | None:
        """The limit of detection: the least strength at which a spike of `side` was found, as one
        was at every greater strength; None when none of the strongest was.
        """
        own = [spike for spike in self.planted_signals if spike.side == side]
        seen = {spike.strength for spike in own if spike.found}
        limit = None
        for strength in sorted({spike.strength for spike in own}, reverse=True):
            if strength not in seen:
                break
            limit = strength
        return limit
