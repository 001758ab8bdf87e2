"""What a measurement will take, before it begins: seconds, disk, memory.  All of it is rough.

Seconds come from counting multiplications and from timing one product on this machine; factors and
constants were fitted to a few runs on a CPU (docs/reference/command.md). The true time may be half
or double of it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from pytest_crossdiff.engine.activations.rendering import shared_text
from pytest_crossdiff.engine.activations.shard_reading import MAX_PIECE_TOKENS
from pytest_crossdiff.engine.activations.template_tokens import (
    sampled_template_tokens,
    template_notes,
)
from pytest_crossdiff.engine.corpus.sampling import estimate as tokens_of
from pytest_crossdiff.engine.dictionary.sizing import choose_training_config, features
from pytest_crossdiff.engine.models.devices import choose_device, itemsize
from pytest_crossdiff.engine.models.loading.load import load_tokenizer
from pytest_crossdiff.engine.models.parts import OVERHEAD, count_loaded
from pytest_crossdiff.engine.models.reading.source_and_target import TEXT
from pytest_crossdiff.engine.models.skeletons import ModelShape, inspect_model
from pytest_crossdiff.engine.phases import (
    COMPARE,
    LEARNED,
    NULL_CONTROL,
    PLANTED_SIGNALS,
    TRAIN,
    VERIFY,
    expected,
    predictions_phase,
    read_phase,
    replies_phase,
)
from pytest_crossdiff.engine.plan import METRICS_TOKENS
from pytest_crossdiff.settings.default_layers import CAUSAL_SUFFIXES
from pytest_crossdiff.settings.kinds import OUTPUT
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.store.entry import MANIFEST
from pytest_crossdiff.text import roughly

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_crossdiff.engine.activations.template_tokens import TemplateTokens
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.sides import Side

READ_FACTOR, TRAIN_FACTOR, REPLY_FACTOR = 1.6, 1.6, 6.0
"""Time over the bare products of a forward pass, of a training step, and of a token of a reply."""
COMPARE_SHARE = 0.35
"""Of a forward pass of both models: comparing what they predict."""
EXCLUSIVE_SHARE, VERIFY_SHARE = 0.35, 0.6
CONTROLS_SHARE = {NULL_CONTROL: 0.3, PLANTED_SIGNALS: 0.5}
"""Of the time of training: a dictionary without shared features, as a share of one with them; and
what comes after, as shares of training all dictionaries of a run."""
LOAD_SECONDS, LOAD_RATE = 1.0, 5e8
"""Of loading a model: seconds, and weights a second."""
IN_PARTS = 600.0
"""Seconds from which on an estimate is given in parts."""
STEP_SECONDS = 0.007
"""Of a training step, whatever its size."""


class Workload(NamedTuple):
    """What is to be done.  unread: the models that the cache has no harvest of yet.

    layers: at which a model is read.  features, steps, batch: of the first dictionary, in whose
    cost dictionaries counts all of the run and missing those to be trained.  predicted: tokens on
    which predictions are compared, unpredicted: the models that the cache has none of yet.
    in_one_pass: whether those are read in the pass that reads the layers.  replies: tokens that
    each model may write, unanswered: the models that haven't.  controls: whether there are any.
    loaded: see `loaded`, where memory is asked for.
    """

    models: Mapping[Side, ModelShape]
    tokens: int
    layers: int
    features: int
    steps: int
    batch: int
    dictionaries: float
    missing: float
    unharvested: frozenset[Side]
    predicted: int = 0
    unpredicted: frozenset[Side] = frozenset()
    in_one_pass: bool = False
    replies: int = 0
    unanswered: frozenset[Side] = frozenset()
    controls: bool = False
    loaded: tuple[int, int] = (0, 0)


class Cost(NamedTuple):
    """seconds: by phase.  disk, memory: bytes.  reading: the same of memory without what takes
    whole models beside the layers: output metrics, replies, effects of differences.
    """

    seconds: dict[str, float]
    disk: int
    memory: int
    reading: int


def cost(workload: Workload, rate: float, *, itemsize: int) -> Cost:
    """The cost of `work` at `rate` multiply-adds a second and so many bytes a weight."""
    widths = sum(model.width for model in workload.models.values())
    product = workload.batch * workload.features * widths
    training = workload.steps * (STEP_SECONDS + TRAIN_FACTOR * product / rate)  # of the first
    seconds: dict[str, float] = {}
    for side, model in workload.models.items():
        if side in workload.unharvested:
            work = READ_FACTOR * model.read * workload.tokens
            seconds[read_phase(side)] = loading(model.weights) + work / rate
        if side in workload.unpredicted:
            work = READ_FACTOR * model.weights * workload.predicted
            if not workload.in_one_pass:
                seconds[predictions_phase(side)] = loading(model.weights) + work / rate
            seconds[COMPARE] = seconds.get(COMPARE, 0.0) + COMPARE_SHARE * work / rate
        if side in workload.unanswered:
            work = REPLY_FACTOR * model.weights * workload.replies
            seconds[replies_phase(side)] = loading(model.weights) + work / rate
    if workload.missing:
        seconds[TRAIN] = training * workload.missing
    seconds[VERIFY] = VERIFY_SHARE * training * workload.dictionaries
    if workload.controls:
        for name, share in CONTROLS_SHARE.items():
            seconds[name] = share * training * workload.dictionaries
    parameters = 2 * workload.features * widths
    vectors = workload.layers * workload.tokens * itemsize
    harvests = sum(workload.models[side].width * vectors for side in workload.unharvested)
    # in training with gradients and Adam's two means
    trained = int(4 * 4 * parameters * workload.missing)
    training_memory = trained + 4 * 6 * workload.batch * workload.features
    reading, memory = (
        max(int(OVERHEAD * weights * itemsize), training_memory) + 500_000_000
        for weights in workload.loaded
    )
    return Cost(seconds, harvests + trained, memory, reading)


def loading(weights: int) -> float:
    """Seconds until a model is in memory."""
    return LOAD_SECONDS + weights / LOAD_RATE


def total_cost(costs: Iterable[Cost]) -> Cost:
    """Of measurements of one pair at several layers; what is read of the models is read once."""
    costs = [*costs]
    phases = dict.fromkeys(phase for one in costs for phase in one.seconds)
    seconds = {
        phase: (sum if phase in LEARNED else max)(one.seconds.get(phase, 0.0) for one in costs)
        for phase in phases
    }
    memory, reading = max(one.memory for one in costs), max(one.reading for one in costs)
    return Cost(seconds, sum(one.disk for one in costs), memory, reading)


def predicted(plan: Plan) -> int:
    """Held-out tokens on which predictions are compared."""
    heldout = (tokens_of(shared_text(of)) for of in plan.sample.pieces if of.heldout)
    return min(METRICS_TOKENS, sum(heldout))


def rate(device: torch.device) -> float:
    """Multiply-adds a second of a product of single precision, timed for a tenth of a second."""
    a, b = torch.randn(512, 512, device=device), torch.randn(512, 512, device=device)
    done, began = 0, time.perf_counter()
    while done < 3 or time.perf_counter() - began < 0.1:
        b = a @ b / 23.0
        done += 1
    float(b[0, 0])  # waits for the device
    return float(done * 512**3 / (time.perf_counter() - began))


def _complete(plan: Plan, kind: str, key: str) -> bool:
    return (plan.store.entry(kind, key).path / MANIFEST).exists()


def _lacking(plan: Plan, kind: str, keys: Mapping[Side, str]) -> frozenset[Side]:
    """The models of which the cache has no such entry."""
    return frozenset(side for side in SIDES if not _complete(plan, kind, keys[side]))


def announce(plan: Plan, progress: Progress) -> None:
    """Say what the chat templates add to the texts, and how long it will roughly take; nothing
    where that can't be told.
    """
    try:
        device = choose_device(plan.settings.device)
        models = {side: skeleton(plan, side) for side in SIDES}
        added = _template_tokens(plan, models)
        for note in template_notes(added):
            progress.note(note)
        rough = _rough_workload(plan, models, added)
        found = cost(rough, rate(device), itemsize=itemsize(plan.settings.dtype, device))
        named = " -> ".join(_called(plan.references[side].reference) for side in SIDES)
        progress.estimate(f"{named}: {words(found)}", sum(found.seconds.values()))
        progress.expect([*expected(found.seconds, plan.settings)])
    except Exception:  # noqa: BLE001  whatever is wrong, the run itself says it better
        return


def words(found: Cost) -> str:
    """E.g. `this will take about 40 minutes (a rough estimate: read baseline 8 minutes, …)`; the
    parts of what takes long.
    """
    seconds = sum(found.seconds.values())
    parts = ", ".join(f"{phase} {roughly(s)}" for phase, s in found.seconds.items() if s >= 5)
    parts = f": {parts}" if parts and seconds >= IN_PARTS else ""
    return f"this will take about {roughly(seconds)} (a rough estimate{parts})"


def _called(reference: str) -> str:
    """The name of a folder, or a reference to a hub as it is."""
    return Path(reference).name if Path(reference).is_dir() else reference


def _template_tokens(plan: Plan, models: Mapping[Side, ModelShape]) -> dict[Side, TemplateTokens]:
    """What each model's chat template adds; {} where no template is used."""
    pieces = plan.sample.pieces
    if plan.settings.chat_template != "own" or all(piece.text is not None for piece in pieces):
        return {}
    found = {}
    for side in (side for side in SIDES if models[side].form == TEXT):
        tokenizer = load_tokenizer(
            plan.references[side],
            trust_remote_code=plan.settings.trust_remote_code,
            source=f"crossdiff_{side}",
        )
        limit = min(models[side].max_length or MAX_PIECE_TOKENS, MAX_PIECE_TOKENS)
        counted = sampled_template_tokens(pieces, tokenizer, limit)
        if counted is not None:
            found[side] = counted
    return found


def _rough_workload(
    plan: Plan, models: Mapping[Side, ModelShape], added: Mapping[Side, TemplateTokens]
) -> Workload:
    """The work with tokens as the sampling counts them, and those of the templates."""
    sizes = [(piece.heldout, tokens_of(shared_text(piece))) for piece in plan.sample.pieces]
    conversations = sum(piece.text is None for piece in plan.sample.pieces)
    template = max((of.template / of.conversations for of in added.values()), default=0.0)
    return workload(
        plan,
        models,
        tokens=sum(size for _, size in sizes) + int(template * conversations),
        pairs=sum(size for heldout, size in sizes if not heldout),
    )


def skeleton(plan: Plan, side: Side) -> ModelShape:
    """The model of `side`, empty.  Raises `ModelError`."""
    return inspect_model(
        plan.references[side],
        layer=plan.settings.layer_of(side),
        blocks=getattr(plan.settings, f"{side}_blocks"),
        source=f"crossdiff_{side}",
    )


def workload(plan: Plan, models: Mapping[Side, ModelShape], *, tokens: int, pairs: int) -> Workload:
    """What the settings make of so many tokens."""
    training = choose_training_config(plan.settings, pairs)
    innovation = plan.settings.architecture == "innovation"
    costs = dict.fromkeys(plan.crosscoder_keys, EXCLUSIVE_SHARE if innovation else 1.0)
    costs[plan.crosscoder_keys[0]] = 1.0
    in_one_pass = any(OUTPUT in of.values() for of in plan.layers_by_key.values())
    return Workload(
        models={
            side: model._replace(read=model.weights) if in_one_pass else model
            for side, model in models.items()
        },
        tokens=tokens,
        layers=1 + len(plan.settings.extra_probe_layers()),
        features=features(plan.settings, pairs, max(of.width for of in models.values())),
        steps=training.steps,
        batch=training.batch_size,
        dictionaries=sum(costs.values()),
        missing=sum(of for key, of in costs.items() if not _complete(plan, "crosscoder", key)),
        unharvested=_lacking(plan, "harvest", plan.harvest_keys),
        predicted=predicted(plan),
        unpredicted=_unpredicted(plan, models),
        in_one_pass=in_one_pass,
        replies=plan.settings.replies * len(plan.prompts),
        unanswered=_unanswered(plan, models),
        controls=plan.settings.controls,
    )


def loaded(plan: Plan, models: Mapping[Side, ModelShape]) -> tuple[int, int]:
    """Weights of the larger model in memory to read its layers, and at any time."""
    settings, reading = plan.settings, 0
    whole = _unpredicted(plan, models) | _unanswered(plan, models)
    whole |= frozenset(SIDES if settings.effect else ())
    for side in _lacking(plan, "harvest", plan.harvest_keys):
        layers, blocks = [*plan.layers_by_key[side].values()], getattr(settings, f"{side}_blocks")
        part = None
        if not settings.device_map:  # that deals out the whole model
            part = count_loaded(plan.references[side], layers, blocks)
        reading = max(reading, models[side].weights if part is None else part)
    return reading, max([reading, *(models[side].weights for side in whole)])


def _unanswered(plan: Plan, models: Mapping[Side, ModelShape]) -> frozenset[Side]:
    """The models that are to answer prompts."""
    if not plan.prompts or not _both_causal(models):
        return frozenset()
    return _lacking(plan, "replies", plan.reply_keys)


def _both_causal(models: Mapping[Side, ModelShape]) -> bool:
    return all(model.architecture.endswith(CAUSAL_SUFFIXES) for model in models.values())


def _unpredicted(plan: Plan, models: Mapping[Side, ModelShape]) -> frozenset[Side]:
    """The models that are to be read for the output metrics."""
    wanted = plan.settings.metrics and _both_causal(models)
    if not wanted or _complete(plan, "metrics", plan.metrics_key):
        return frozenset()
    return _lacking(plan, "states", plan.state_keys)
