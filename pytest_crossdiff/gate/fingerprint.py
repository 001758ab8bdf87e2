"""By what a difference is known again: where in the held-out text it fires, and where not.

Ids, feature numbers and directions all change when a dictionary is trained anew; the texts don't.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_crossdiff.result import Firing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_crossdiff.result import Difference

LISTED = 256
"""Places of a `Difference.firing` from which on there may be more of them."""
KEPT = 128
"""Places that a fingerprint keeps: half the text of the file, recognised as well
(docs/accepting.md)."""


@dataclass(frozen=True)
class Fingerprint:
    """Activations by place, a place being a piece of text by its digest and a character of it.

    pairs: held-out places in all.  share: up to which rank, 0 to 1, the fingerprint speaks for all
    places: of those, the ones that aren't in `places` do not fire.  Ranks are hashes, so that is a
    random sample of the text, and the same one for every fingerprint.
    """

    pairs: int
    share: float
    places: Mapping[tuple[str, int], float]

    @classmethod
    def of(cls, difference: Difference, pairs: int, kept: int = KEPT) -> Fingerprint:
        """That of `difference`, which was found on so many held-out `pairs`."""
        firing = sorted(difference.firing, key=lambda f: f.rank)
        complete = len(firing) < LISTED and len(firing) <= kept
        # Of tokens that end at one character, such as the bytes of an emoji, the strongest counts.
        places: dict[tuple[str, int], float] = {}
        for f in firing[:kept]:
            places[f.piece, f.end] = max(f.activation, places.get((f.piece, f.end), 0.0))
        last = max((rank(place) for place in places), default=1.0)
        return cls(pairs, 1.0 if complete else last, places)

    @functools.cached_property
    def ranked(self) -> dict[tuple[str, int], tuple[float, float]]:
        """Rank and activation of each place."""
        return {place: (rank(place), value) for place, value in self.places.items()}

    def correlation(self, other: Fingerprint) -> float:
        """Pearson's, over all held-out places that both speak for; 0 where either never fires."""
        share = min(self.share, other.share)
        mine = {p: a for p, (r, a) in self.ranked.items() if r <= share}
        its = {p: a for p, (r, a) in other.ranked.items() if r <= share}
        n = max(share * max(self.pairs, other.pairs), len(mine.keys() | its.keys()), 1.0)
        both = math.fsum(a * its[p] for p, a in mine.items() if p in its)
        covariance = both - math.fsum(mine.values()) * math.fsum(its.values()) / n
        spread = math.sqrt(_spread(mine, n) * _spread(its, n))
        return covariance / spread if spread > 0.0 else 0.0


def rank(place: tuple[str, int]) -> float:
    """Where `place` comes in the order of all places, 0 to 1."""
    return int(Firing("", *place, 0.0).rank, 16) / 16**16


def _spread(activations: Mapping[tuple[str, int], float], n: float) -> float:
    values = activations.values()
    return max(0.0, math.fsum(a * a for a in values) - math.fsum(values) ** 2 / n)
