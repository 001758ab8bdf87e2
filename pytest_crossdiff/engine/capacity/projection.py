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
)
from pytest_crossdiff.engine.dictionary.sizing import choose_training_config, features
from pytest_crossdiff.engine.models.loading.heads import CAUSAL_SUFFIXES
from pytest_crossdiff.engine.models.parts import part_up_to
from pytest_crossdiff.engine.models.skeletons import build_empty, inspect_model
from pytest_crossdiff.engine.models.sources.references import ModelReference
from pytest_crossdiff.engine.phases import TRAIN, VERIFY, predictions_phase, read_phase
from pytest_crossdiff.engine.plan import METRICS_TOKENS
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.settings.kinds import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_crossdiff.engine.capacity.devices import Group
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.settings.kinds import Layer
    from pytest_crossdiff.sides import Side

CONTROLS = "null control and planted signals"
OVERHEAD = 1.15
"""Memory of reading over that of the weights that are loaded, at most (docs/evidence/scale.md)."""


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
    reading, training: bytes of memory.  a_model: devices that the larger model's part takes.
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
    folder = folder.parent if folder.is_file() else folder
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"there is no config.json at {path!r}",
            source=source,
            remedy="give a model's folder, or its config.json alone",
        )
    reference = ModelReference(path, "local", str(folder), "", source=source)
    shape = inspect_model(reference, layer=layer, blocks=blocks, source=source)
    part = part_up_to(reference, [layer], blocks, source)
    loaded = shape.weights
    if part is not None:
        model, _ = build_empty(reference, layer, source)
        left = {
            id(weight): weight.numel()
            for name in part.absent
            for weight in model.get_submodule(name).parameters()
        }
        loaded -= sum(left.values())
    return PlannedModel(
        shape.architecture,
        shape.layers,
        shape.layer,
        shape.width,
        shape.weights,
        loaded,
        shape.weights if layer == OUTPUT else shape.read,
    )


def project(
    models: Mapping[Side, PlannedModel], settings: Settings, group: Group, itemsize: int
) -> Projection:
    """What comparing `models` takes on `group`.  itemsize: bytes of a weight and of an activation.

    Every token of the corpus has a partner, and every model its share of the devices: the
    projection counts no waiting.
    """
    tokens, seeds = settings.tokens, settings.seeds
    pairs = int(tokens * (1 - settings.heldout))
    training = choose_training_config(settings, pairs)
    count = features(settings, pairs)
    width = sum(model.width for model in models.values())
    step = step_seconds(
        group.device, step_terms(training.batch_size, count, width, min(settings.k, count))
    )
    loaded = max(model.loaded for model in models.values()) * itemsize
    parameters = 2 * count * width
    return Projection(
        group,
        [
            *_reading(models, tokens, group, itemsize),
            *(_predicting(models, settings, group, itemsize) if settings.metrics else ()),
            *_learning(training.steps * step, seeds, pairs * width, group, settings),
        ],
        harvest=sum(model.width for model in models.values()) * tokens * itemsize,
        dictionaries=4 * 3 * parameters * seeds,
        reading=int(OVERHEAD * loaded),
        training=4 * 4 * parameters + 4 * 3 * training.batch_size * count,
        a_model=_devices(loaded, group),
    )


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
    trained: float, seeds: int, pairs_by_width: int, group: Group, settings: Settings
) -> list[Phase]:
    """Dictionaries and controls are dealt out, one to a device; verification is of all of them."""
    model = fitted()
    at_once = min(seeds, group.size)
    verified = seeds * model.verify * pairs_by_width
    found = [
        Phase(TRAIN, trained * math.ceil(seeds / at_once) / 3600, at_once),
        Phase(VERIFY, verified / 3600, 1),
    ]
    if settings.controls:
        others = 2 if group.size > 2 else 1  # the first device verifies meanwhile
        found.append(Phase(CONTROLS, model.controls * trained * seeds / others / 3600, others))
    return found
