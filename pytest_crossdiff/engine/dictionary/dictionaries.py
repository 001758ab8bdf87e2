"""The trained dictionaries of a run: from the cache, or made here."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, TypeVar

from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.dictionary.innovation import copy_maps, fit_maps, set_maps
from pytest_crossdiff.engine.dictionary.trained import WEIGHTS, TrainedCrosscoder
from pytest_crossdiff.engine.dictionary.training import Trainer, TrainingConfig, train
from pytest_crossdiff.engine.plan import seeds
from pytest_crossdiff.errors import InsufficientData
from pytest_crossdiff.store.cache import DamagedEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.store.cache import Entry

T = TypeVar("T")

PAIRS_PER_FEATURE = 10
"""Training pairs a feature, where the size is ours to choose: a change planted in SmolLM2 was
missed at 27 and sometimes found at 10 (docs/how-it-works.md)."""
MIN_PAIRS_PER_FEATURE = 5
LEAST_FEATURES = 128
EPOCHS, LEAST_STEPS, MOST_STEPS = 15, 1_000, 10_000


def artefact(
    plan: Plan,
    kind: str,
    key: str,
    build: Callable[[Entry], None],
    read: Callable[[Entry], T],
    progress: Progress,
) -> T:
    """Read an artefact, built first where it isn't there, and anew where it is damaged."""
    entry = plan.store.entry(kind, key)
    with entry.lock(progress.note):
        try:
            if entry.read_manifest() is not None:
                return read(entry)
        except DamagedEntry as damage:
            entry.set_aside(damage.what)
        build(entry)
        return read(entry)


def crosscoders(
    plan: Plan, pairs: Pairs, device: torch.device, progress: Progress
) -> list[TrainedCrosscoder]:
    """One a seed; those that aren't in the cache are trained together."""
    settings, count = plan.settings, len(pairs.training())
    config = size(settings, count, pairs.a.harvest.width, pairs.b.harvest.width)
    todo = schedule(settings, count)
    with contextlib.ExitStack() as locks:
        missing = {}
        for seed, key in zip(seeds(settings), plan.crosscoder_keys, strict=True):
            # Every process takes the locks in this order, so none waits for one that waits for it.
            entry = plan.store.entry("crosscoder", key)
            locks.enter_context(entry.lock(progress.note))
            if not _is_there(entry):
                missing[seed] = entry
        if missing:
            curved = settings.maps == "curved"
            with progress.phase("fit maps", 1, "pair") if curved else contextlib.nullcontext():
                trainers = new_trainers(config, todo, pairs, list(missing), device, curved=curved)
            train(trainers, pairs, list(missing.values()), device, progress)
            for trainer, entry in zip(trainers, missing.values(), strict=True):
                loss = trainer.loss
                curve = loss[:: max(1, -(-len(loss) // 200))]
                meta = {"steps": todo.steps, "dead": trainer.dead, "loss": curve}
                model = trainer.model.cpu()
                TrainedCrosscoder(model, pairs.a.scale, pairs.b.scale, meta).save(entry)
        entries = (plan.store.entry("crosscoder", key) for key in plan.crosscoder_keys)
        return [TrainedCrosscoder.load(entry) for entry in entries]


def schedule(settings: Settings, count: int) -> TrainingConfig:
    """How a dictionary is trained on `count` pairs."""
    batch = min(settings.batch_size, count)
    steps = settings.steps or min(max(EPOCHS * count // batch, LEAST_STEPS), MOST_STEPS)
    return TrainingConfig(steps, batch, settings.learning_rate)


def features(settings: Settings, count: int) -> int:
    """How many features a dictionary for `count` training pairs has."""
    return settings.features or max(LEAST_FEATURES, count // PAIRS_PER_FEATURE // 32 * 32)


def size(settings: Settings, count: int, width_a: int, width_b: int) -> CrosscoderConfig:
    """The dictionary for `count` training pairs.

    Raises `InsufficientData` when they are too few, saying how many are needed.
    """
    wanted = features(settings, count)
    needed = wanted * MIN_PAIRS_PER_FEATURE
    if count < needed:
        raise InsufficientData(
            f"the corpus gives {count:,} training tokens; a dictionary of {wanted} features needs "
            f"{needed:,}",
            source=f"crossdiff_corpus, crossdiff_tokens = {settings.tokens:,}, "
            f"crossdiff_features = {settings.features or 'auto'}",
            remedy="add texts, raise crossdiff_tokens"
            + (" or lower crossdiff_features" if settings.features else ""),
        )
    own = (
        0
        if settings.architecture == "standard"
        else max(1, round(wanted * settings.exclusive_share))
    )
    return CrosscoderConfig(
        settings.architecture, width_a, width_b, wanted - 2 * own, own, own, min(settings.k, wanted)
    )


def new_trainers(
    config: CrosscoderConfig,
    todo: TrainingConfig,
    pairs: Pairs,
    chosen: Sequence[int],
    device: torch.device,
    like: Crosscoder | None = None,
    *,
    curved: bool = False,
) -> list[Trainer]:
    """Trainers of new dictionaries for `pairs`, one for each of the `chosen` seeds.

    like: a dictionary of these pairs, planted signals or not, where there is one.  curved: whether
    the maps may be, where there is none.
    """
    models = new_models(config, pairs, chosen, like, curved=curved)
    return [Trainer(model.to(device), todo) for model in models]


def new_models(
    config: CrosscoderConfig,
    pairs: Pairs,
    chosen: Sequence[int],
    like: Crosscoder | None = None,
    *,
    curved: bool = False,
) -> list[Crosscoder]:
    """New dictionaries with the maps of their pairs, as `new_trainers` says."""
    if config.architecture != "innovation":
        return [Crosscoder(config, seed) for seed in chosen]
    models = []
    if like is None:
        # Without the planted signals: as noise in what a map reads, they would keep it from
        # telling that two models are the same.
        maps = fit_maps(pairs._replace(spikes=None), curved=curved)
        like = Crosscoder(dataclasses.replace(config, map_units=maps.units), chosen[0])
        set_maps(like, maps)
        models.append(like)
    config = dataclasses.replace(config, map_units=like.config.map_units)
    for seed in chosen[len(models) :]:
        models.append(Crosscoder(config, seed))
        copy_maps(models[-1], like)
    return models


def _is_there(entry: Entry) -> bool:
    """Whether a complete and undamaged artefact lies there; a damaged one is set aside."""
    try:
        if entry.read_manifest() is None:
            return False
        entry.verified_path(WEIGHTS)
    except DamagedEntry as damage:
        entry.set_aside(damage.what)
        return False
    return True
