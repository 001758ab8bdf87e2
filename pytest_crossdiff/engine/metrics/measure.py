"""The output metrics of a planned pair: from the cache, or by reading each model once."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from safetensors.numpy import save_file

from pytest_crossdiff.engine.activations.rendering import shared_text
from pytest_crossdiff.engine.corpus.sampling import estimate
from pytest_crossdiff.engine.metrics.divergence import actual_log_probabilities, divergences
from pytest_crossdiff.engine.metrics.entry_names import METRICS, POSITIONS, UNCOMPARABLE
from pytest_crossdiff.engine.metrics.final_states import FinalStates, read_final_states
from pytest_crossdiff.engine.metrics.heads import UncomparableError
from pytest_crossdiff.engine.metrics.matching import match_spans, match_tokens
from pytest_crossdiff.engine.metrics.summary import Texts, span_metrics, token_metrics
from pytest_crossdiff.engine.models.devices import choose_device, crosscoder_device
from pytest_crossdiff.engine.models.loaded import load_configured
from pytest_crossdiff.engine.models.loading.next_token import class_without_next_token
from pytest_crossdiff.engine.plan import METRICS_TOKENS
from pytest_crossdiff.errors import ActivationError
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.store.artefact import read_or_build

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_crossdiff.engine.corpus.sampling import Piece
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.results.output import OutputMetrics
    from pytest_crossdiff.sides import Side
    from pytest_crossdiff.store.cache import Entry


class Measured(NamedTuple):
    """The metrics, and what was found at each position, by column, for a closer look."""

    metrics: OutputMetrics
    columns: Mapping[str, np.ndarray]


def measure(plan: Plan, progress: Progress) -> None:
    """Fill the entry of the plan's metrics, which is locked and open.

    Raises `ModelError` and `ActivationError` where a model can't be read; that a pair has no
    predictions to compare is kept instead.
    """
    entry = plan.store.entry("metrics", plan.metrics_key)
    began = time.perf_counter()
    try:
        for side in SIDES:
            _refuse_without_next_token(plan, side)
        states = {side: _states(plan, side, progress) for side in SIDES}
    except UncomparableError as error:
        entry.complete({UNCOMPARABLE: error.what})
        return
    found = compare(plan, states["baseline"], states["candidate"], progress)
    entry.write(METRICS, json.dumps(dataclasses.asdict(found.metrics), allow_nan=False).encode())
    with entry.writing(POSITIONS) as path:
        save_file({name: np.ascontiguousarray(x) for name, x in found.columns.items()}, path)
    keys = [plan.state_keys[side] for side in SIDES]
    seconds = time.perf_counter() - began
    documents = found.metrics.documents
    entry.complete({"states": keys, "documents": documents, "seconds": seconds})


def compare(plan: Plan, a: FinalStates, b: FinalStates, progress: Progress) -> Measured:
    """The metrics of two models' final states.

    Raises `ActivationError` where the models predict nothing of the same text.
    """
    device = crosscoder_device(choose_device(plan.settings.device))
    texts = Texts(plan.sample.pieces, plan.piece_groups(), plan.corpus.documents)
    matched = match_tokens(a, b)
    if matched is not None:
        with progress.phase("compare predictions", len(matched.rows_a), "token") as bar:
            found = divergences(a, b, matched, device, bar)
        metrics = token_metrics(found, matched, a, b, texts)
        at = matched.rows_a
        places = {"piece": a.piece_n[at], "start": a.starts_n[at], "end": a.ends_n[at]}
        values: dict[str, np.ndarray] = {
            "kl": found.kl_m,
            "tempered_kl": found.tempered_m,
            "logp_baseline": found.logp_a,
            "logp_candidate": found.logp_b,
        }
        values |= {"top_baseline": found.top_a, "top_candidate": found.top_b}
        values |= {"p_top_baseline": found.p_top_a, "p_top_candidate": found.p_top_b}
        return Measured(metrics, places | values)
    spans = match_spans(a, b, plan.sample.pieces)
    if not len(spans.piece_s):
        raise ActivationError("the two models never predict the same stretch of the held-out texts")
    with progress.phase("compare predictions", len(a.ids_n) + len(b.ids_n), "token") as bar:
        both = [actual_log_probabilities(x, device, bar) for x in (a, b)]
    metrics = span_metrics(both[0], both[1], spans, texts)
    return Measured(metrics, {"piece": spans.piece_s, "end": spans.end_s})


def _refuse_without_next_token(plan: Plan, side: Side) -> None:
    """Raise `UncomparableError` where the config says so, before either model is loaded."""
    if kind := class_without_next_token(plan.references[side]):
        raise UncomparableError(f"the {side}, {kind}, predicts no next token")


def _states(plan: Plan, side: Side, progress: Progress) -> FinalStates:
    def build(entry: Entry) -> None:
        progress.detail(f"loading the {side}: {plan.references[side].reference}")
        # Any block will do: the head is what is read.
        settings = plan.settings.with_values(**{f"{side}_layer": 1.0})
        model = load_configured(settings, side, plan.references[side])
        try:
            with entry.checked_by(model.reference.must_be_unchanged):
                read_final_states(
                    model,
                    chosen_pieces(plan),
                    entry,
                    chat_template=plan.settings.chat_template,
                    label=side,
                    progress=progress,
                )
        finally:
            model.unload()

    entry = plan.store.entry("states", plan.state_keys[side])
    return read_or_build(entry, build, FinalStates.load, progress.note)


def chosen_pieces(plan: Plan) -> dict[int, Piece]:
    """The held-out pieces on which predictions are compared, by their index: all, or as many, in
    an order drawn by chance, as `METRICS_TOKENS` allow.
    """
    heldout = [i for i, piece in enumerate(plan.sample.pieces) if piece.heldout]
    chosen: dict[int, Piece] = {}
    total = 0
    for i in np.random.default_rng(0).permutation(heldout).tolist():
        if total >= METRICS_TOKENS:
            break
        chosen[i] = plan.sample.pieces[i]
        total += estimate(shared_text(chosen[i]))
    return dict(sorted(chosen.items()))
