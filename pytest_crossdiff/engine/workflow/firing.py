"""On what share of the tokens each difference fires, on two corpora.

Axes: n held-out pairs of a corpus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_crossdiff.engine.activations.harvest import Harvest
from pytest_crossdiff.engine.activations.pairs import pair
from pytest_crossdiff.engine.explanation.contexts import fires
from pytest_crossdiff.engine.explanation.reading import PairedTokens, activations
from pytest_crossdiff.engine.metrics.intervals import Documents
from pytest_crossdiff.engine.workflow.effects import difference
from pytest_crossdiff.results.workflow import FiringChange
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.output import Estimate
    from pytest_crossdiff.sides import Side


def firing_changes(
    differences: Sequence[Difference],
    dictionary: Callable[[int], TrainedCrosscoder],
    reference: Plan,
    today: Plan,
) -> tuple[FiringChange, ...]:
    """The rates on the held-out texts of both corpora, whose harvests the cache has."""
    if not differences:
        return ()
    before, after = (_rates(differences, dictionary, of) for of in (reference, today))
    return tuple(
        FiringChange(d.id, d.side, before[d.id], after[d.id], difference(after[d.id], before[d.id]))
        for d in differences
    )


def _rates(
    differences: Sequence[Difference],
    dictionary: Callable[[int], TrainedCrosscoder],
    of: Plan,
) -> dict[str, Estimate]:
    a, b = (Harvest(of.store.entry("harvest", of.harvest_keys[side])) for side in SIDES)
    pairs = pair(a, b, of.sample.pieces, of.piece_groups())
    heldout = pairs.heldout()
    documents = Documents(pairs.group_n[heldout])
    sides: dict[Side, PairedTokens] = {side: _raw(pairs, side, heldout) for side in SIDES}
    return {
        d.id: documents.mean(fires(activation_n, d.peak).astype(np.float64))
        for d, activation_n in activations(differences, dictionary, sides)
    }


def _raw(pairs: Pairs, side: Side, chosen: NDArray[np.int64]) -> PairedTokens:
    """The vectors as the model has them; the places are of no use here."""
    own = pairs.a if side == "baseline" else pairs.b
    nowhere = np.zeros(len(chosen), dtype=np.int64)
    return PairedTokens(nowhere, own.harvest.vectors(own.rows_n[chosen]), nowhere, nowhere)
