"""The change since the last sign-off, from the predictions and activations on two corpora."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file

from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder, entries_of
from pytest_crossdiff.engine.metrics.entry_names import POSITIONS
from pytest_crossdiff.engine.metrics.stored import load_or_measure
from pytest_crossdiff.engine.model_reading import read_models
from pytest_crossdiff.engine.workflow.effects import (
    Corpus,
    drifted_slices,
    kl_effects,
    loss_effects,
)
from pytest_crossdiff.engine.workflow.entry_names import NO_WORKFLOW, WORKFLOW
from pytest_crossdiff.engine.workflow.firing import firing_changes
from pytest_crossdiff.results.workflow import Workflow

if TYPE_CHECKING:
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.store.entry import Entry


def measure(entry: Entry, today: Plan, reference: Plan, result: Result, progress: Progress) -> None:
    """Fill the entry, which is locked and open.

    Raises `ModelError` where a model can't be read; that a pair has no predictions to compare token
    by token is kept instead.
    """
    for of in (reference, today):
        metrics = load_or_measure(of, progress)
        if metrics.output is None or metrics.output.unit != "token":
            entry.complete({NO_WORKFLOW: metrics.reason or "the models differ in their tokens"})
            return
    confirmed = [d for d in result.differences if d.certainty == "confirmed"]
    if confirmed:
        read_models(reference, progress)
    entries = entries_of(today.result_key, result.training.seeds, today.store) if confirmed else {}
    before, after = _corpus(reference), _corpus(today)
    found = Workflow(
        reference=reference.corpus.source,
        reference_documents=len(np.unique(before.document_n)),
        documents=len(np.unique(after.document_n)),
        loss=loss_effects(before, after),
        kl=kl_effects(before, after),
        firing=firing_changes(
            confirmed, lambda seed: TrainedCrosscoder.load(entries[seed]), reference, today
        ),
        slices=drifted_slices(before, after, today.settings.fdr),
    )
    entry.write(WORKFLOW, json.dumps(dataclasses.asdict(found), allow_nan=False).encode())
    entry.complete({"metrics": [reference.metrics_key, today.metrics_key]})


def _corpus(plan: Plan) -> Corpus:
    """What the metrics found at each position."""
    columns = load_file(plan.store.entry("metrics", plan.metrics_key).verified_path(POSITIONS))
    groups = np.asarray(plan.piece_groups(), dtype=np.int64)
    parts = np.array([plan.corpus.documents[p.document].part for p in plan.sample.pieces])
    piece_n = columns["piece"]
    return Corpus(
        groups[piece_n],
        parts[piece_n],
        -columns["logp_baseline"].astype(np.float64),
        -columns["logp_candidate"].astype(np.float64),
        columns["kl"].astype(np.float64),
    )
