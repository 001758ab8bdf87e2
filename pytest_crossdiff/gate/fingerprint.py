"""By what a difference is known again: where in the held-out text it fires, and where not.

Ids, feature numbers and directions all change when a dictionary is trained again; the texts don't.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_crossdiff.results.difference import Firing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_crossdiff.results.difference import Difference

MAX_LISTED_FIRINGS = 256
"""Places of a `Difference.firing` from which on there may be more of them."""
MAX_PLACES = 128
"""Places that a fingerprint keeps: half the text of the file, recognised as well
(docs/evidence/recognition.md)."""


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
    def of(cls, difference: Difference, pairs: int, kept: int = MAX_PLACES) -> Fingerprint:
        """That of `difference`, which was found on so many held-out `pairs`."""
        firing = sorted(difference.firing, key=lambda f: f.rank)
        complete = len(firing) < MAX_LISTED_FIRINGS and len(firing) <= kept
        # Of tokens that end at one character, such as the bytes of an emoji, the strongest counts.
        places: dict[tuple[str, int], float] = {}
        for f in firing[:kept]:
            places[f.piece, f.end] = max(f.activation, places.get((f.piece, f.end), 0.0))
        last = max((rank(place) for place in places), default=1.0)
        return cls(pairs, 1.0 if complete else last, places)

    @functools.cached_property
    def ranks(self) -> dict[tuple[str, int], float]:
        """The rank of each place, the least first."""
        return dict(sorted(((place, rank(place)) for place in self.places), key=lambda p: p[1]))

    @functools.cached_property
    def _sums(self) -> tuple[list[float], list[float], list[float]]:
        """Ranks in order, and the sums of activations and of their squares before each."""
        values = [self.places[place] for place in self.ranks]
        squares = itertools.accumulate((a * a for a in values), initial=0.0)
        return [*self.ranks.values()], [*itertools.accumulate(values, initial=0.0)], [*squares]

    def correlation(self, other: Fingerprint) -> float:
        """Pearson's, over all held-out places that both speak for; 0 where either never fires."""
        share = min(self.share, other.share)
        common = [p for p in self.places.keys() & other.places.keys() if self.ranks[p] <= share]
        count, total, squared = self._within(share)
        its_count, its_total, its_squared = other._within(share)
        fire = count + its_count - len(common)
        n = max(share * max(self.pairs, other.pairs), fire, 1.0)
        product = math.fsum(self.places[p] * other.places[p] for p in common)
        spread = max(0.0, squared - total**2 / n) * max(0.0, its_squared - its_total**2 / n)
        return (product - total * its_total / n) / math.sqrt(spread) if spread > 0.0 else 0.0

    def _within(self, share: float) -> tuple[int, float, float]:
        """Number, sum and sum of squares of the activations up to rank `share`."""
        ranks, sums, squares = self._sums
        count = bisect.bisect_right(ranks, share)
        return count, sums[count], squares[count]


def rank(place: tuple[str, int]) -> float:
    """Where `place` comes in the order of all places, 0 to 1."""
    return int(Firing("", *place, 0.0).rank, 16) / 16**16
