"""The trained dictionaries of a run: from the cache, or made here."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.dictionary.innovation import copy_maps, fit_maps, set_maps
from pytest_crossdiff.engine.dictionary.sizing import (
    choose_crosscoder_config,
    choose_training_config,
)
from pytest_crossdiff.engine.dictionary.trained import WEIGHTS, TrainedCrosscoder
from pytest_crossdiff.engine.dictionary.training import Trainer, TrainingConfig, train
from pytest_crossdiff.engine.phases import TRAIN, at_layer
from pytest_crossdiff.engine.plan import seeds
from pytest_crossdiff.store.cache import DamagedEntry

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import torch

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.store.cache import Entry


def load_or_train_crosscoders(
    plan: Plan,
    pairs: Pairs,
    device: torch.device,
    progress: Progress,
    chosen: Collection[int] = (),
) -> list[TrainedCrosscoder]:
    """One a seed, of all or of the `chosen` ones; those that aren't in the cache are trained
    together.

    In `innovation` the first of a run has the shared features and the others have none: what these
    learn says nothing of the exclusive ones, and from seed to seed it comes to the same.
    """
    settings, count = plan.settings, len(pairs.training())
    keys = {
        seed: key
        for seed, key in zip(seeds(settings), plan.crosscoder_keys, strict=True)
        if seed in (chosen or seeds(settings))
    }
    config = choose_crosscoder_config(settings, count, pairs.a.harvest.width, pairs.b.harvest.width)
    training_config = choose_training_config(settings, count)
    with contextlib.ExitStack() as locks:
        missing = {}
        for seed, key in keys.items():
            # Every process takes the locks in this order, so none waits for one that waits for it.
            entry = plan.store.entry("crosscoder", key)
            locks.enter_context(entry.lock(progress.note))
            if not _is_there(entry):
                missing[seed] = entry
        if missing:
            whole = seeds(settings)[0]
            configs = {s: config if s == whole else config.exclusive_only() for s in missing}
            curved = settings.maps == "curved"
            with progress.phase("fit maps", 1, "pair") if curved else contextlib.nullcontext():
                trainers = new_trainers(configs, training_config, pairs, device, curved=curved)
            label = at_layer(TRAIN, settings)
            train(trainers, pairs, list(missing.values()), device, progress, label)
            for trainer, entry in zip(trainers, missing.values(), strict=True):
                loss = trainer.loss
                curve = loss[:: max(1, -(-len(loss) // 200))]
                meta = {"steps": training_config.steps, "dead": trainer.dead, "loss": curve}
                model = trainer.model.cpu()
                TrainedCrosscoder(model, pairs.a.scale, pairs.b.scale, meta).save(entry)
        entries = (plan.store.entry("crosscoder", key) for key in keys.values())
        return [TrainedCrosscoder.load(entry) for entry in entries]


def new_trainers(
    configs: Mapping[int, CrosscoderConfig],
    training_config: TrainingConfig,
    pairs: Pairs,
    device: torch.device,
    maps_from: Crosscoder | None = None,
    *,
    curved: bool = False,
) -> list[Trainer]:
    """Trainers of new dictionaries for `pairs`, one a seed, of one architecture.

    maps_from: a dictionary of these pairs, planted signals or not, where there is one.  curved:
    whether the maps may be, where there is none.
    """
    models = new_models(configs, pairs, maps_from, curved=curved)
    return [Trainer(model.to(device), training_config) for model in models]


def new_models(
    configs: Mapping[int, CrosscoderConfig],
    pairs: Pairs,
    maps_from: Crosscoder | None = None,
    *,
    curved: bool = False,
) -> list[Crosscoder]:
    """New dictionaries with the maps of their pairs, as `new_trainers` says."""
    seed, config = next(iter(configs.items()))
    if config.architecture != "innovation":
        return [Crosscoder(of, seed) for seed, of in configs.items()]
    if maps_from is None:
        # Without the planted signals: as noise in what a map reads, they would keep it from
        # telling that two models are the same.
        maps = fit_maps(pairs._replace(planted_signals=None), curved=curved)
        maps_from = Crosscoder(dataclasses.replace(config, map_units=maps.units), seed)
        set_maps(maps_from, maps)
    models, units = [], maps_from.config.map_units
    for seed, of in configs.items():
        models.append(Crosscoder(dataclasses.replace(of, map_units=units), seed))
        copy_maps(models[-1], maps_from)
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
