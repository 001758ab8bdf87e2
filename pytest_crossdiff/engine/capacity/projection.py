"""What a comparison of two models takes, by phase: from their configs, without their weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.engine.capacity.cost_model import (
    LOAD_BANDWIDTH,
    fitted,
    read_seconds,
    read_terms,
    step_seconds,
    step_terms,
    verify_seconds,
    verify_terms,
)
from pytest_crossdiff.engine.dictionary.sizing import choose_training_config, divided, features
from pytest_crossdiff.engine.models.parts import OVERHEAD, count_loaded
from pytest_crossdiff.engine.models.skeletons import inspect_model
from pytest_crossdiff.engine.models.sources.files import CONFIG, is_regular
from pytest_crossdiff.engine.models.sources.references import ModelReference
from pytest_crossdiff.engine.phases import TRAIN, VERIFY, predictions_phase, read_phase
from pytest_crossdiff.engine.plan import METRICS_TOKENS
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.settings.default_layers import CAUSAL_SUFFIXES
from pytest_crossdiff.settings.kinds import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_crossdiff.engine.capacity.devices import Group
    from pytest_crossdiff.engine.dictionary.crosscoder import CrosscoderConfig
    from pytest_crossdiff.engine.dictionary.training import TrainingConfig
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.settings.kinds import Layer
    from pytest_crossdiff.sides import Side

CONTROLS = "null control and planted signals"


class PlannedModel(NamedTuple):
    """A model, known by its config.  weights: all; loaded: those that reading its block takes;
    run: those of the blocks up to it, with which a token is multiplied.
    """

    architecture: str
    layers: int
    layer: int
    width: int
    weights: int
    loaded: int
    run: int


class Phase(NamedTuple):
    """A phase.  hours: of wall time; devices: that work at the same time."""

    name: str
    hours: float
    devices: int


class Projection(NamedTuple):
    """What a comparison takes on a group of devices.

    phases: in their order.  harvest, dictionaries: bytes on disk, the latter with checkpoints.
    reading, training: bytes of memory, the latter of the dictionaries that one device trains
    together.  a_model: devices that the larger model's part takes.
    """

    group: Group
    phases: Sequence[Phase]
    harvest: int
    dictionaries: int
    reading: int
    training: int
    a_model: int

    @property
    def hours(self) -> float:
        return sum(phase.hours for phase in self.phases)

    @property
    def device_hours(self) -> float:
        """Of devices that work; those that wait are not counted."""
        return sum(phase.hours * phase.devices for phase in self.phases)


def model_at(path: str, layer: Layer, blocks: str, source: str) -> PlannedModel:
    """The model whose config is at `path`: its folder, or the file.  Raises `ModelError`."""
    folder = Path(path).expanduser()
    folder = folder.parent if folder.exists() and not folder.is_dir() else folder
    if not is_regular(folder / CONFIG, source):
        raise ModelError(
            f"there is no config.json at {path!r}",
            source=source,
            remedy="give a model's folder, or its config.json alone",
        )
    reference = ModelReference(path, "local", str(folder), "", source=source)
    shape = inspect_model(reference, layer=layer, blocks=blocks, source=source)
    loaded = count_loaded(reference, [layer], blocks, source)
    return PlannedModel(
        shape.architecture,
        shape.layers,
        shape.layer,
        shape.width,
        shape.weights,
        shape.weights if loaded is None else loaded,
        shape.weights if layer == OUTPUT else shape.read,
    )


def project(
    models: Mapping[Side, PlannedModel], settings: Settings, group: Group, itemsize: int
) -> Projection:
    """What comparing `models` takes on `group`.  itemsize: bytes of a weight and of an activation.

    Every token of the corpus has a partner, and every model its share of the devices: the
    projection counts no waiting.
    """
    tokens, pairs = settings.tokens, int(settings.tokens * (1 - settings.heldout))
    widths = [model.width for model in models.values()]
    whole = divided(settings, features(settings, pairs, max(widths)), *widths)
    others = [whole.exclusive_only()] * (settings.seeds - 1)
    training = choose_training_config(settings, pairs)
    loaded = max(model.loaded for model in models.values()) * itemsize
    return Projection(
        group,
        [
            *_reading(models, tokens, group, itemsize),
            *(_predicting(models, settings, group, itemsize) if settings.metrics else ()),
            *_learning([whole, *others], training, pairs, group, settings),
        ],
        harvest=sum(widths) * tokens * itemsize,
        dictionaries=4 * 3 * sum(2 * of.weights for of in (whole, *others)),
        reading=int(OVERHEAD * loaded),
        training=max(_memory(of, training) for of in _dealt([whole, *others], group)),
        a_model=_devices(loaded, group),
    )


def _memory(configs: Sequence[CrosscoderConfig], training: TrainingConfig) -> int:
    """Bytes that training these together takes: parameters, gradients and Adam's two means, and
    what a step makes of a batch.
    """
    of_steps = (4 * 3 * training.batch_size * of.features for of in configs)
    return sum(4 * 4 * 2 * of.weights for of in configs) + sum(of_steps)


def _dealt(configs: Sequence[CrosscoderConfig], group: Group) -> list[list[CrosscoderConfig]]:
    """The dictionaries of each device that trains any, as several processes share them out."""
    if group.size == 1:
        return [[*configs]]
    others = min(len(configs), group.size) - 1
    return [[*configs[:1]], *([*configs[1:][i::others]] for i in range(others))]


def _devices(weights: int, group: Group) -> int:
    """How many devices hold so many bytes of weights."""
    return max(1, math.ceil(OVERHEAD * weights / group.device.memory))


def _pass(name: str, tokens: int, loaded: int, run: int, group: Group, itemsize: int) -> Phase:
    """One model reads `tokens`: as many copies of it as fit share them, and the devices of a copy
    work one after another.
    """
    a_model = _devices(loaded * itemsize, group)
    copies = max(1, group.size // a_model)
    load = loaded * itemsize / LOAD_BANDWIDTH
    read = read_seconds(group.device, read_terms(tokens, run))
    return Phase(name, (load + read / copies) / 3600, copies * a_model)


def _reading(
    models: Mapping[Side, PlannedModel], tokens: int, group: Group, itemsize: int
) -> list[Phase]:
    return [
        _pass(read_phase(side), tokens, of.loaded, of.run, group, itemsize)
        for side, of in models.items()
    ]


def _predicting(
    models: Mapping[Side, PlannedModel], settings: Settings, group: Group, itemsize: int
) -> list[Phase]:
    """The output metrics: the whole model on held-out texts."""
    if any(not of.architecture.endswith(CAUSAL_SUFFIXES) for of in models.values()):
        return []
    tokens = min(METRICS_TOKENS, int(settings.tokens * settings.heldout))
    return [
        _pass(predictions_phase(side), tokens, of.weights, of.weights, group, itemsize)
        for side, of in models.items()
    ]


def _learning(
    configs: Sequence[CrosscoderConfig],
    training: TrainingConfig,
    pairs: int,
    group: Group,
    settings: Settings,
) -> list[Phase]:
    """Dictionaries and controls are dealt out, one to a device; verification is of all of them.
    A control is a dictionary without shared features, trained and verified.
    """

    def trained(of: Sequence[CrosscoderConfig]) -> float:
        steps = (step_seconds(group.device, step_terms(training.batch_size, one)) for one in of)
        return fitted().training * training.steps * sum(steps)

    def verified(of: Sequence[CrosscoderConfig]) -> float:
        return verify_seconds(group.device, verify_terms(pairs, settings.tokens - pairs, of))

    dealt = _dealt(configs, group)
    found = [
        Phase(TRAIN, max(map(trained, dealt)) / 3600, len(dealt)),
        Phase(VERIFY, verified(configs) / 3600, 1),
    ]
    if settings.controls:
        others = 2 if group.size > 2 else 1  # the first device verifies meanwhile
        control = [configs[0].exclusive_only()]
        both = 2 * (trained(control) + verified(control))
        found.append(Phase(CONTROLS, both / others / 3600, others))
    return found
