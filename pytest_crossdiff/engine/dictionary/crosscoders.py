"""The trained dictionaries of a run: from the cache, or made here."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

import torch

from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.dictionary.innovation import copy_maps, fit_maps, set_maps
from pytest_crossdiff.engine.dictionary.sharded.exchange import Exchange
from pytest_crossdiff.engine.dictionary.sharded.shards import must_have_features
from pytest_crossdiff.engine.dictionary.sizing import (
    choose_crosscoder_config,
    choose_training_config,
)
from pytest_crossdiff.engine.dictionary.trained import SHARDS, WEIGHTS, TrainedCrosscoder
from pytest_crossdiff.engine.dictionary.training import Trainer, TrainingConfig, train
from pytest_crossdiff.engine.phases import TRAIN, at_layer
from pytest_crossdiff.engine.plan import seeds
from pytest_crossdiff.store.cache import DamagedEntry

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.store.cache import Entry


def load_or_train_crosscoders(
    plan: Plan,
    pairs: Pairs,
    device: torch.device,
    progress: Progress,
    chosen: Collection[int] = (),
    exchange: Exchange | None = None,
) -> list[TrainedCrosscoder]:
    """One a seed, of all or of the `chosen` ones; those that aren't in the cache are trained
    together.  exchange: the processes that train dictionaries in shards, None: this one alone.

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
    whole = seeds(settings)[0]
    configs = {seed: config if seed == whole else config.exclusive_only() for seed in keys}
    if settings.dictionary_shards > 1:
        entries = {seed: plan.store.entry("crosscoder", key) for seed, key in keys.items()}
        exchange = exchange or Exchange(settings.dictionary_shards)
        _train_in_shards(
            entries, configs, training_config, pairs, device, progress, exchange, settings
        )
        return [TrainedCrosscoder.load(entry) for entry in entries.values()]
    with contextlib.ExitStack() as locks:
        missing = {}
        for seed, key in keys.items():
            # Every process takes the locks in this order, so none waits for one that waits for it.
            entry = plan.store.entry("crosscoder", key)
            locks.enter_context(entry.lock(progress.note))
            if not _is_there(entry):
                missing[seed] = entry
        if missing:
            configs = {seed: configs[seed] for seed in missing}
            curved = settings.maps == "curved"
            with progress.phase("fit maps", 1, "pair") if curved else contextlib.nullcontext():
                trainers = new_trainers(configs, training_config, pairs, device, curved=curved)
            label = at_layer(TRAIN, settings)
            train(trainers, pairs, list(missing.values()), device, progress, label)
            for trainer, entry in zip(trainers, missing.values(), strict=True):
                _save(trainer.model.cpu(), trainer.dead, trainer.loss, pairs, entry)
        return [
            TrainedCrosscoder.load(plan.store.entry("crosscoder", key)) for key in keys.values()
        ]


def _train_in_shards(
    entries: Mapping[int, Entry],
    configs: Mapping[int, CrosscoderConfig],
    training_config: TrainingConfig,
    pairs: Pairs,
    device: torch.device,
    progress: Progress,
    exchange: Exchange,
    settings: Settings,
) -> None:
    """Train the dictionaries of `entries`, by seed, that aren't there, one after the other; the
    first process of `exchange` keeps the entries.  Raises `SettingsError` where there are more
    shards than features.
    """
    must_have_features(configs.values(), exchange.shards, settings.sources)
    # With torch.distributed.checkpoint, whose import takes most of a second.
    from pytest_crossdiff.engine.dictionary.sharded.training import discard, train_in_shards

    maps_from = None
    for seed, entry in entries.items():
        first = exchange.rank == 0
        with entry.lock(progress.note) if first else contextlib.nullcontext():
            if int(exchange.count(torch.tensor([first and _is_there(entry)]).int())):
                continue
            curved = settings.maps == "curved"
            (model,) = new_models({seed: configs[seed]}, pairs, maps_from, curved=curved)
            trainer, whole = train_in_shards(
                model, training_config, pairs, entry.path / SHARDS, exchange, device, progress,
                at_layer(TRAIN, settings),
            )  # fmt: skip
            dead = trainer.dead
            if whole is not None:
                _save(whole, dead, trainer.loss, pairs, entry)
                discard(entry.path / SHARDS)
            maps_from = trainer.any_shard.cpu()
    exchange.wait()


def _save(model: Crosscoder, dead: int, loss: Sequence[float], pairs: Pairs, entry: Entry) -> None:
    curve = loss[:: max(1, -(-len(loss) // 200))]
    meta = {"steps": len(loss), "dead": dead, "loss": curve}
    TrainedCrosscoder(model, pairs.a.scale, pairs.b.scale, meta).save(entry)


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
