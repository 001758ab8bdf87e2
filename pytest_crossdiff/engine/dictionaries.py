"""The trained dictionaries of a run and its null control: from the cache, or made here."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

from pytest_crossdiff.engine.artefacts import CHECKPOINT, TrainedCrosscoder
from pytest_crossdiff.engine.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.differences import groups
from pytest_crossdiff.engine.innovation import set_maps
from pytest_crossdiff.engine.null import null_pairs
from pytest_crossdiff.engine.plan import seeds
from pytest_crossdiff.engine.training import Trainer, TrainingConfig, train
from pytest_crossdiff.engine.verification import verify
from pytest_crossdiff.errors import InsufficientData
from pytest_crossdiff.result import SIDES, NullControl
from pytest_crossdiff.store.cache import DamagedEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from pytest_crossdiff.engine.activations import Pairs
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.options import Settings
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.store.cache import Entry

T = TypeVar("T")

PAIRS_PER_FEATURE = 10
"""Training pairs a feature, where the size is ours to choose: a change planted in SmolLM2 was
missed at 27 and sometimes found at 10 (docs/how-it-works.md)."""
MIN_PAIRS_PER_FEATURE = 5
LEAST_FEATURES = 128
EPOCHS, LEAST_STEPS, MOST_STEPS = 15, 1_000, 10_000
NULL_SHARE = 4
"""The null control's dictionary is smaller by this factor, and trained for half as many steps."""


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
            entry = plan.store.entry(kind, key)
        build(entry)
        return read(entry)


def crosscoders(
    plan: Plan, pairs: Pairs, device: torch.device, progress: Progress
) -> list[TrainedCrosscoder]:
    """One a seed; those that aren't in the cache are trained together."""
    settings, count = plan.settings, len(pairs.training())
    config = size(settings, count, pairs.a.harvest.width, pairs.b.harvest.width)
    batch = min(settings.batch_size, count)
    steps = settings.steps or min(max(EPOCHS * count // batch, LEAST_STEPS), MOST_STEPS)
    todo = TrainingConfig(steps, batch, settings.learning_rate)
    with contextlib.ExitStack() as locks:
        missing = {}
        for seed, key in zip(seeds(settings), plan.crosscoder_keys, strict=True):
            # Every process takes the locks in this order, so none waits for one that waits for it.
            entry = plan.store.entry("crosscoder", key)
            locks.enter_context(entry.lock(progress.note))
            if not _is_there(entry):
                missing[seed] = plan.store.entry("crosscoder", key)
        if missing:
            trainers = [_trainer(config, todo, pairs, seed, device) for seed in missing]
            train(trainers, pairs, list(missing.values()), device, progress)
            for trainer, entry in zip(trainers, missing.values(), strict=True):
                loss = trainer.loss
                curve = loss[:: max(1, -(-len(loss) // 200))]
                meta = {"steps": steps, "dead": trainer.dead, "loss": curve}
                model = trainer.model.cpu()
                TrainedCrosscoder(model, pairs.a.scale, pairs.b.scale, meta).save(entry)
        entries = (plan.store.entry("crosscoder", key) for key in plan.crosscoder_keys)
        return [TrainedCrosscoder.load(entry) for entry in entries]


def null_control(
    plan: Plan, pairs: Pairs, like: TrainedCrosscoder, device: torch.device, progress: Progress
) -> NullControl:
    """The procedure on a pair in which nothing differs, at an eighth of a dictionary's cost."""

    def build(entry: Entry) -> None:
        same, c = null_pairs(pairs), like.model.config
        own, shared = -(-c.baseline_only // NULL_SHARE), max(1, c.shared // NULL_SHARE)
        config = CrosscoderConfig(
            c.architecture, c.width_a, c.width_a, shared, own, own, min(c.k, shared)
        )
        settings, steps = plan.settings, max(1, like.meta["steps"] // 2)
        batch = min(settings.batch_size, len(pairs.training()))
        todo = TrainingConfig(steps, batch, settings.learning_rate)
        trainer = _trainer(config, todo, same, settings.seed, device)
        train([trainer], same, [entry], device, progress)
        with progress.phase("null control", len(pairs.group_n), "token") as bar:
            found = verify(trainer.model, settings.seed, same, settings, device, bar)
        count = sum(len(groups([found], side, settings.min_strength)) for side in SIDES)
        counts = {"found": count, "features": config.features, "steps": steps}
        entry.complete(counts, without=(CHECKPOINT,))

    def read(entry: Entry) -> NullControl:
        manifest = entry.read_manifest()
        assert manifest is not None, "read when it is complete"
        return NullControl(**manifest.meta)

    return artefact(plan, "null", plan.null_key, build, read, progress)


def size(settings: Settings, count: int, width_a: int, width_b: int) -> CrosscoderConfig:
    """The dictionary for `count` training pairs.

    Raises `InsufficientData` when they are too few, saying how many are needed.
    """
    wanted = settings.features or max(LEAST_FEATURES, count // PAIRS_PER_FEATURE // 32 * 32)
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


def _trainer(
    config: CrosscoderConfig, todo: TrainingConfig, pairs: Pairs, seed: int, device: torch.device
) -> Trainer:
    model = Crosscoder(config, seed)
    if config.architecture == "innovation":
        # Without the planted signals: as noise in what a map reads, they would keep it from telling
        # that two models are the same.
        set_maps(model, pairs._replace(spikes=None))
    return Trainer(model.to(device), todo)


def _is_there(entry: Entry) -> bool:
    """Whether a complete and undamaged artefact lies there; a damaged one is set aside."""
    try:
        if entry.read_manifest() is None:
            return False
        TrainedCrosscoder.load(entry)
    except DamagedEntry as damage:
        entry.set_aside(damage.what)
        return False
    return True
