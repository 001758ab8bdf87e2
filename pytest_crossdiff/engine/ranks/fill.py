"""The expensive steps of a run, shared by the ranks: each artefact is made by one of them, or, a
harvest, by all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.engine.controls.controls import CONTROLS, control
from pytest_crossdiff.engine.dictionary.crosscoders import load_or_train_crosscoders
from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder
from pytest_crossdiff.engine.isolation import undisturbed
from pytest_crossdiff.engine.metrics.stored import load_or_measure
from pytest_crossdiff.engine.model_reading import read_pairs
from pytest_crossdiff.engine.models.devices import choose_device, crosscoder_device
from pytest_crossdiff.engine.pipeline import cached
from pytest_crossdiff.engine.plan import plan, seeds
from pytest_crossdiff.engine.ranks.agreement import must_agree
from pytest_crossdiff.engine.ranks.reading import read_together
from pytest_crossdiff.engine.replies.stored import load_or_answer
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.engine.ranks.group import Ranks
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.settings import Settings


def fill(settings: Settings, ranks: Ranks, progress: Progress) -> None:
    """Fill the cache with the artefacts of `settings`, all ranks together.

    The first rank returns once the dictionaries are there, to verify what they found; the others
    compute the controls meanwhile.  Raises `RankError` where ranks differ or one ends, and whatever
    keeps the run from measuring.
    """
    planned = plan(settings, None, progress.note)
    must_agree(ranks, planned)
    if ranks.share(ranks.is_first and cached(settings) is not None):
        return
    with undisturbed():
        if settings.compare_replies:
            if ranks.is_first:
                load_or_answer(planned, progress)
            ranks.wait()
            planned = plan(settings, None, progress.note)
        for number, measure in enumerate((load_or_measure, load_or_answer)):
            if number % ranks.count == ranks.rank:
                measure(planned, progress)
        for side in SIDES:
            layers = settings.layer_of(side), *settings.extra_probe_layers()
            keys = planned.harvest_keys[side], *planned.probe_keys[side]
            for layer, key in zip(layers, keys, strict=True):
                read_together(planned, layer, key, side, ranks, progress)
        _train(planned, ranks, progress)


def _train(planned: Plan, ranks: Ranks, progress: Progress) -> None:
    """Dictionaries and controls; a rank without a dictionary makes its controls meanwhile."""
    settings = planned.settings
    device = crosscoder_device(choose_device(settings.device))
    pairs = read_pairs(planned, SilentProgress())  # from the cache, one rank after the other
    shares = share_out(seeds(settings), ranks.count)
    own, controls = shares.seeds[ranks.rank], shares.controls[ranks.rank]
    if settings.dictionary_shards > 1:
        with ranks.sharing(settings.dictionary_shards) as exchange:
            if exchange is not None:
                load_or_train_crosscoders(planned, pairs, device, progress, exchange=exchange)
    elif own:
        load_or_train_crosscoders(planned, pairs, device, progress, own)
    elif settings.controls:
        for kind in controls:
            control(kind, planned, pairs, device, progress)
    ranks.wait()
    if not settings.controls or not controls:
        return
    first = TrainedCrosscoder.load(planned.store.entry("crosscoder", planned.crosscoder_keys[0]))
    for kind in controls:
        control(kind, planned, pairs, device, progress, first.model)


class Shares(NamedTuple):
    """What each rank makes: the dictionaries of these seeds, and these controls."""

    seeds: list[tuple[int, ...]]
    controls: list[tuple[str, ...]]


def share_out(seeds: Sequence[int], ranks: int) -> Shares:
    """The first rank has the first dictionary, which alone has shared features and takes as long as
    several others; these, and the controls, are dealt to the other ranks, the controls first to
    those that have no dictionary.
    """
    if ranks == 1:
        return Shares([tuple(seeds)], [()])
    dealt = [tuple(seeds[1:][n :: ranks - 1]) for n in range(ranks - 1)]
    free_first = sorted(range(ranks - 1), key=lambda n: len(dealt[n]))
    controls: list[tuple[str, ...]] = [()] * (ranks - 1)
    for place, n in enumerate(free_first):
        controls[n] = CONTROLS[place :: ranks - 1]
    return Shares([tuple(seeds[:1]), *dealt], [(), *controls])
