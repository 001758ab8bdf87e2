"""What a run computes when the cache has no answer, step by step; each step is an artefact."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import numpy as np
import torch
import transformers

from pytest_crossdiff.engine.controls.beside import controls_beside
from pytest_crossdiff.engine.dictionary.crosscoders import load_or_train_crosscoders
from pytest_crossdiff.engine.explanation.differences import find
from pytest_crossdiff.engine.explanation.explain import explain
from pytest_crossdiff.engine.model_reading import read_pairs, timed
from pytest_crossdiff.engine.models.devices import (
    choose_device,
    crosscoder_device,
    give_back_free_memory,
)
from pytest_crossdiff.engine.phases import VERIFY, at_layer
from pytest_crossdiff.engine.plan import seeds
from pytest_crossdiff.engine.tokens import token_facts
from pytest_crossdiff.engine.verification.grouping import groups, total_strength
from pytest_crossdiff.engine.verification.verify import verify
from pytest_crossdiff.results.controls import Controls
from pytest_crossdiff.results.conversations import ConversationFacts
from pytest_crossdiff.results.result import SCHEMA, CorpusFacts, ModelFacts, Result, Training
from pytest_crossdiff.settings import fields
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.version import VERSION

if TYPE_CHECKING:
    from pytest_crossdiff.engine.activations.pairs import Pairs, SideActivations
    from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.engine.verification.model_distance import ModelDistance
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.sides import Side

EXECUTION_SETTINGS = ("cache_dir", "train", "replies", "references", "reference_corpus")
"""Settings that say where a result is kept or made, not what it is."""


def compute(plan: Plan, progress: Progress, spent: dict[str, float] | None = None) -> Result:
    """Harvest both models, one resident at a time, train, verify, and gather the result.

    spent: seconds that steps have taken before, by name.
    """
    seconds = dict(spent or {})
    pairs = read_pairs(plan, progress, seconds)
    with timed(seconds, "align"):
        tokenizers = token_facts(plan, pairs)
    give_back_free_memory()
    device = crosscoder_device(choose_device(plan.settings.device))
    chosen = seeds(plan.settings)
    with controls_beside(plan, pairs, device, progress) as finish_controls:
        with timed(seconds, "train crosscoder"):
            trained = load_or_train_crosscoders(plan, pairs, device, progress)
        give_back_free_memory()
        with timed(seconds, "verify features"):
            rows = len(chosen) * len(pairs.group_n)
            with progress.phase(at_layer(VERIFY, plan.settings), rows, "token") as bar:
                models = [t.model.to(device) for t in trained]
                verified = verify(models, chosen, pairs, plan.settings, device, bar)
            grouped = {side: groups(verified, side, plan.settings.least_strength) for side in SIDES}
            found = find(grouped, verified, pairs, plan.sample.pieces, plan.corpus.documents)
        give_back_free_memory()
        controlled = Controls()
        if plan.settings.controls:
            with timed(seconds, "controls"):
                controlled = finish_controls(trained[0].model)
    with timed(seconds, "explain"):
        found, accounted = explain(found, verified, pairs, plan, progress)
    config = trained[0].model.config
    fve = np.mean([v.held.ablation.fve() for v in verified], axis=0).tolist()
    return Result(
        schema=SCHEMA,
        key=plan.result_key,
        baseline=_facts(plan, "baseline", pairs.a, fve[0], verified[0].distance),
        candidate=_facts(plan, "candidate", pairs.b, fve[1], verified[0].distance),
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
            out_of_distribution=pairs.out_of_distribution,
            conversations=_conversations(plan, pairs),
        ),
        training=Training(
            architecture=config.architecture,
            shared=config.shared,
            baseline_only=config.baseline_only,
            candidate_only=config.candidate_only,
            k=config.k,
            steps=trained[0].meta["steps"],
            seeds=chosen,
            dead=tuple(t.meta["dead"] for t in trained),
            loss=tuple(tuple(t.meta["loss"]) for t in trained),
        ),
        controls=controlled,
        baseline_total_strength=total_strength(grouped["baseline"], verified, "baseline"),
        candidate_total_strength=total_strength(grouped["candidate"], verified, "candidate"),
        differences=found,
        accounting=accounted,
        features=tuple(f for v in verified for f in v.features),
        tokenizers=tokenizers,
        settings={
            f.name: str(getattr(plan.settings, f.name))
            for f in fields()
            if not f.decides and f.name not in EXECUTION_SETTINGS
        },
        versions={
            "pytest-crossdiff": VERSION,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
        seconds={name: round(value, 2) for name, value in seconds.items()},
    )


def crosscoders(plan: Plan, progress: Progress) -> list[TrainedCrosscoder]:
    """The dictionaries of a run, with whatever of them and of what they need the cache lacks made
    again.
    """
    pairs = read_pairs(plan, progress)
    device = crosscoder_device(choose_device(plan.settings.device))
    return load_or_train_crosscoders(plan, pairs, device, progress)


def _conversations(plan: Plan, pairs: Pairs) -> ConversationFacts | None:
    counts = pairs.conversations
    if counts is None:
        return None
    read = [piece.messages for piece in plan.sample.pieces if piece.text is None]
    meta = {"baseline": pairs.a.harvest.meta, "candidate": pairs.b.harvest.meta}
    return ConversationFacts(
        conversations=len(read),
        without_answer=sum(not any(m.answers for m in messages) for messages in read),
        answer_starts=counts.answer_starts,
        context_pairs=counts.context,
        repeated_pairs=counts.repeated,
        dated=tuple(side for side in SIDES if meta[side]["dated"]),
        unplaced=(meta["baseline"]["unplaced"], meta["candidate"]["unplaced"]),
    )


def _facts(
    plan: Plan, side: Side, of: SideActivations, fve: float, distance: ModelDistance
) -> ModelFacts:
    meta, which = of.harvest.meta, SIDES.index(side)
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
        unmapped=distance.unmapped[which],
        required_exclusivity=distance.exclusivity[which],
        median_norm=of.median_norm,
    )
