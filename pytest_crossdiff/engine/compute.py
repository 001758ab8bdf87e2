"""What a run computes when the cache has no answer, step by step; each step is an artefact."""

from __future__ import annotations

import contextlib
import platform
import time
from typing import TYPE_CHECKING, TypeVar

import torch
import transformers

from pytest_crossdiff import __version__
from pytest_crossdiff.engine.activations import pair
from pytest_crossdiff.engine.artefacts import TrainedCrosscoder
from pytest_crossdiff.engine.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.hardware import choose_device
from pytest_crossdiff.engine.harvest import Harvest, harvest
from pytest_crossdiff.engine.innovation import set_maps
from pytest_crossdiff.engine.models import load
from pytest_crossdiff.engine.training import Trainer, TrainingConfig, train
from pytest_crossdiff.engine.verification import verify
from pytest_crossdiff.errors import InsufficientData
from pytest_crossdiff.options import fields
from pytest_crossdiff.result import (
    SCHEMA,
    SIDES,
    Controls,
    CorpusFacts,
    ModelFacts,
    Result,
    Training,
)
from pytest_crossdiff.store.cache import DamagedEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_crossdiff.engine import activations
    from pytest_crossdiff.engine.activations import Pairs
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.options import Settings
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.result import Side
    from pytest_crossdiff.store.cache import Entry

T = TypeVar("T")

PAIRS_PER_FEATURE = 10
"""Training pairs a feature, where the size is ours to choose: a change planted in SmolLM2 was
missed at 27 and sometimes found at 10 (docs/how-it-works.md)."""
MIN_PAIRS_PER_FEATURE = 5
LEAST_FEATURES = 128
ELSEWHERE = ("cache_dir", "train")
"""Settings that say where a result is kept or made, not what it is."""
EPOCHS, LEAST_STEPS, MOST_STEPS = 15, 1_000, 10_000


def compute(plan: Plan, progress: Progress) -> Result:
    """Harvest both models, one resident at a time, train, verify, and gather the result."""
    seconds: dict[str, float] = {}
    harvests = {}
    for side in SIDES:
        with _timed(seconds, f"read {side}"):
            harvests[side] = _harvest(plan, side, progress)
    groups: dict[str, int] = {}
    group_of = [
        groups.setdefault(plan.corpus.documents[piece.document].group, len(groups))
        for piece in plan.sample.pieces
    ]
    with _timed(seconds, "align"):
        pairs = pair(harvests["baseline"], harvests["candidate"], plan.sample.pieces, group_of)
    device = choose_device(plan.settings.device)
    with _timed(seconds, "train crosscoder"):
        trained = _crosscoder(plan, pairs, device, progress)
    with _timed(seconds, "verify features"):
        verified = verify(
            trained.model.to(device),
            pairs,
            plan.sample.pieces,
            plan.corpus.documents,
            plan.settings,
            device,
            progress,
        )
    config = trained.model.config
    return Result(
        schema=SCHEMA,
        key=plan.result_key,
        baseline=_facts(plan, "baseline", pairs.a, verified.fve[0]),
        candidate=_facts(plan, "candidate", pairs.b, verified.fve[1]),
        corpus=CorpusFacts(
            source=plan.corpus.source,
            digest=plan.corpus.digest,
            records=plan.corpus.records,
            documents=len({document.group for document in plan.corpus.documents}),
            empty=plan.corpus.empty,
            duplicates=plan.corpus.duplicates,
            sampled_documents=plan.sample.documents,
            heldout_documents=plan.sample.heldout_documents,
            train_pairs=len(pairs.training()),
            heldout_pairs=len(pairs.heldout()),
        ),
        training=Training(
            architecture=config.architecture,
            shared=config.shared,
            baseline_only=config.baseline_only,
            candidate_only=config.candidate_only,
            k=config.k,
            steps=trained.meta["steps"],
            seeds=(plan.settings.seed,),
            dead=(trained.meta["dead"],),
            loss=(tuple(trained.meta["loss"]),),
        ),
        controls=Controls(),
        baseline_total_strength=verified.total_strength[0],
        candidate_total_strength=verified.total_strength[1],
        differences=verified.differences,
        features=verified.features,
        settings={
            f.name: str(getattr(plan.settings, f.name))
            for f in fields()
            if not f.metadata["decides"] and f.name not in ELSEWHERE
        },
        versions={
            "pytest-crossdiff": __version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
        seconds={name: round(value, 2) for name, value in seconds.items()},
    )


@contextlib.contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - began


def _artefact(
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


def _harvest(plan: Plan, side: Side, progress: Progress) -> Harvest:
    settings = plan.settings

    def build(entry: Entry) -> None:
        progress.note(f"loading the {side}: {plan.references[side].reference}")
        model = load(
            plan.references[side],
            layer=plan.layer(side),
            blocks=getattr(settings, f"{side}_blocks"),
            dtype=settings.dtype,
            device=settings.device,
            trust_remote_code=settings.trust_remote_code,
            source=f"crossdiff_{side}",
        )
        try:
            harvest(
                model,
                plan.sample.pieces,
                entry,
                chat_template=settings.chat_template,
                label=side,
                progress=progress,
            )
        finally:
            model.unload()

    return _artefact(plan, "harvest", plan.harvest_keys[side], build, Harvest, progress)


def _crosscoder(
    plan: Plan, pairs: Pairs, device: torch.device, progress: Progress
) -> TrainedCrosscoder:
    def build(entry: Entry) -> None:
        settings, count = plan.settings, len(pairs.training())
        config = size(settings, count, pairs.a.harvest.width, pairs.b.harvest.width)
        model = Crosscoder(config, settings.seed)
        if config.architecture == "innovation":
            set_maps(model, pairs)
        batch = min(settings.batch_size, count)
        steps = settings.steps or min(max(EPOCHS * count // batch, LEAST_STEPS), MOST_STEPS)
        trainer = Trainer(
            model.to(device), TrainingConfig(steps, batch, settings.learning_rate, settings.seed)
        )
        train(trainer, pairs, entry, device, progress)
        loss = trainer.loss
        TrainedCrosscoder(
            model.cpu(),
            pairs.a.scale,
            pairs.b.scale,
            {
                "steps": steps,
                "dead": trainer.dead,
                "loss": loss[:: max(1, -(-len(loss) // 200))],
            },
        ).save(entry)

    return _artefact(
        plan, "crosscoder", plan.crosscoder_key, build, TrainedCrosscoder.load, progress
    )


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


def _facts(plan: Plan, side: Side, of: activations.Side, fve: float) -> ModelFacts:
    meta = of.harvest.meta
    return ModelFacts(
        reference=plan.references[side].reference,
        digest=plan.references[side].digest,
        architecture=meta["architecture"],
        layer=meta["layer"],
        layers=meta["layers"],
        width=meta["width"],
        dtype=meta["dtype"],
        tokens=meta["tokens"],
        special=meta["special"],
        outliers=of.outliers,
        truncated=meta["truncated"],
        characters=of.characters,
        aligned_tokens=of.aligned_tokens,
        aligned_characters=of.aligned_characters,
        fve=fve,
        median_norm=of.median_norm,
    )
