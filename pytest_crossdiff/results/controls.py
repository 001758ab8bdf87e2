"""What says how far a verdict can be trusted: planted signals, and a pair that is none."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_crossdiff.results.detection import DetectionLimit, detection_limit
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
    """The baseline compared with itself, seen through a random map: nothing differs.

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

    def limits(self, side: Side) -> tuple[DetectionLimit, ...]:
        """The limit of detection on `side` at each density that was planted, by what became of the
        signals (see `detection_limit`), at the strength that each had on the held-out tokens.
        """
        own = [signal for signal in self.planted_signals if signal.side == side]
        by_density: dict[float, list[tuple[float, bool]]] = {}
        for signal in own:
            stood = by_density.setdefault(signal.density, [])
            if signal.realised > 0:
                stood.append((signal.realised, signal.found))
        return tuple(
            DetectionLimit(density, detection_limit(by_density[density]))
            for density in sorted(by_density)
        )

    def limit(self, side: Side) -> float | None:
        """The strength found with 80 % probability at every density, None where it is unknown."""
        limits = [limit.strength for limit in self.limits(side)]
        known = [limit for limit in limits if limit is not None]
        return max(known) if known and len(known) == len(limits) else None

    def insensitive(self, side: Side) -> bool:
        """Whether fewer than half of the strongest signals of `side` were found."""
        own = [signal for signal in self.planted_signals if signal.side == side]
        strongest = max((signal.strength for signal in own), default=0.0)
        found = [signal.found for signal in own if signal.strength == strongest]
        return 2 * sum(found) < len(found)
