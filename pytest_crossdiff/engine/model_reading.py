"""Both models of a run, read and aligned: from the cache, or by one forward pass over the texts for
all of the layers that are missing there.
"""

from __future__ import annotations

import contextlib
import functools
import time
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.engine.activations.harvest import Harvest, harvest
from pytest_crossdiff.engine.activations.pairs import pair, with_extra_layers
from pytest_crossdiff.engine.activations.shard_reading import Reading, token_limit
from pytest_crossdiff.engine.metrics.final_states import StatesListener
from pytest_crossdiff.engine.metrics.heads import UncomparableError
from pytest_crossdiff.engine.metrics.measure import chosen_pieces
from pytest_crossdiff.engine.models.devices import choose_device, choose_dtype
from pytest_crossdiff.engine.models.lineage import WeightSample, related
from pytest_crossdiff.engine.models.loaded import also_at, load_configured
from pytest_crossdiff.engine.models.one_pass import agree_in_one_pass
from pytest_crossdiff.engine.models.parts import load_block, part_up_to
from pytest_crossdiff.engine.models.readers.choice import TRANSFORMERS, checked_reader
from pytest_crossdiff.engine.self_checks import checked, checked_texts
from pytest_crossdiff.errors import CrossDiffError, ModelError
from pytest_crossdiff.settings.kinds import OUTPUT
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.store.artefact import is_whole, read_or_build

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.engine.models.loading.partial import Part
    from pytest_crossdiff.engine.models.readers.reader import Reader
    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.settings.kinds import Layer
    from pytest_crossdiff.sides import Side
    from pytest_crossdiff.store.cache import Entry


def read_pairs(plan: Plan, progress: Progress, seconds: dict[str, float] | None = None) -> Pairs:
    """Both models' activations, read where they aren't in the cache, and aligned.

    seconds: gets the time of each step.
    """
    seconds = {} if seconds is None else seconds
    harvests = {}
    for side in SIDES:
        with timed(seconds, f"read {side}"):
            harvests[side] = list(_harvests(plan, side, progress))
    with timed(seconds, "align"):
        (a, *further_a), (b, *further_b) = harvests["baseline"], harvests["candidate"]
        pairs = pair(a, b, plan.sample.pieces, plan.piece_groups())
        pairs = with_extra_layers(pairs, further_a, further_b)
        weights = (_weights(plan, side, progress) for side in SIDES)
        return pairs._replace(related=related(*weights))


def read_models(plan: Plan, progress: Progress) -> None:
    """Have both models' activations on the plan's texts in the cache, and nothing more."""
    for side in SIDES:
        read_in_one_pass(plan, side, progress)
        for harvested in _harvests(plan, side, progress):
            del harvested


@contextlib.contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds inside to those of `name`."""
    began = time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began


def _harvests(plan: Plan, side: Side, progress: Progress) -> Iterator[Harvest]:
    """A model at its layer, and at those that probes may read besides."""
    for key in (plan.harvest_keys[side], *plan.probe_keys[side]):
        yield _harvest(plan, plan.layers_by_key[side][key], key, side, progress)


def _harvest(plan: Plan, layer: Layer, key: str, side: Side, progress: Progress) -> Harvest:
    def build(entry: Entry) -> None:
        model = prepared_model(plan, layer, side, progress)
        try:
            _fill(plan, side, [model], [entry], progress)
        finally:
            model.unload()

    return read_or_build(plan.store.entry("harvest", key), build, Harvest, progress.note)


def read_in_one_pass(plan: Plan, side: Side, progress: Progress) -> None:
    """Read the model of `side` at every layer of the run that the cache lacks, and take what its
    head reads besides, in one forward pass; nothing where one isn't enough for that.

    What can't be read so is left to be read by itself, which says what is wrong with it.
    """
    layers = plan.layers_by_key[side]
    if plan.settings.reader != TRANSFORMERS:
        return
    if plan.references[side].archived or (len(layers) < 2 and OUTPUT not in layers.values()):
        return
    entries = {key: plan.store.entry("harvest", key) for key in sorted(layers)}
    states = plan.store.entry("states", plan.state_keys[side])
    with contextlib.ExitStack() as locks:
        # Every process takes them in this order, so none waits for one that waits for it.
        for entry in (*entries.values(), states):
            locks.enter_context(entry.lock(progress.note))
        missing = {key: entry for key, entry in entries.items() if not is_whole(entry)}
        wanted = [layers[key] for key in missing]
        with_states = OUTPUT in wanted and plan.settings.metrics and not is_whole(states)
        if len(wanted) + with_states < 2:
            return
        with contextlib.suppress(CrossDiffError):
            model = prepared_model(plan, wanted[0], side, progress, also=wanted[1:])
            try:
                views = [model, *(_also_at(plan, at, side, model, progress) for at in wanted[1:])]
                # of the texts the shortest and the longest
                if len(views) == 1 or agree_in_one_pass(views, checked_texts(plan, model)[::2]):
                    taken = states if with_states else None
                    _fill(plan, side, views, [*missing.values()], progress, taken)
            finally:
                model.unload()


def _fill(
    plan: Plan,
    side: Side,
    views: Sequence[LoadedModel],
    entries: Sequence[Entry],
    progress: Progress,
    states: Entry | None = None,
) -> None:
    """Read `views` in one pass into their entries.  states: gets what the head reads."""
    listener = None
    if states is not None:
        with contextlib.suppress(UncomparableError):  # the output metrics will say so
            listener = StatesListener(views[0], chosen_pieces(plan), side)
    reader = reader_of(plan, views[0])
    pieces, template = plan.sample.pieces, plan.settings.chat_template
    reading = Reading(views, pieces, template, side, listener, reader)
    with contextlib.ExitStack() as checks:
        for entry in (*entries, states) if states is not None else entries:
            checks.enter_context(entry.checked_by(views[0].reference.must_be_unchanged))
        began = time.perf_counter()
        try:
            harvest(reading, entries, label=side, progress=progress)
        finally:
            if reader is not None:
                reader.close()
        if states is not None and listener is not None:
            listener.save(states, reading.jobs, time.perf_counter() - began)


def reader_of(plan: Plan, model: LoadedModel) -> Reader | None:
    """What the settings have read `model` instead of transformers, checked on texts of the run."""
    name = plan.settings.reader
    if name == TRANSFORMERS:
        return None
    return checked_reader(name, model, checked_texts(plan, model), token_limit(model))


def _also_at(
    plan: Plan, layer: Layer, side: Side, model: LoadedModel, progress: Progress
) -> LoadedModel:
    """`model` at another layer, checked there."""
    blocks, source = getattr(plan.settings, f"{side}_blocks"), model.reference.source
    view = also_at(model, layer, blocks, plan.settings.sources.get(side, source))
    checked(plan, _at(plan, layer, side), side, progress.note, view)
    return view


def _at(plan: Plan, layer: Layer, side: Side) -> Settings:
    return plan.settings.with_values(**{f"{side}_layer": layer})


def prepared_model(
    plan: Plan,
    layer: Layer,
    side: Side,
    progress: Progress,
    *,
    sampled: bool = True,
    also: Sequence[Layer] = (),
) -> LoadedModel:
    """The model of `side` at `layer`, checked on texts of the run; of its weights no more is loaded
    than is read there and at the layers of `also`.  sampled: whether its weights are, too.
    """
    reference = plan.references[side]
    progress.detail(f"loading the {side}: {reference.reference}")
    settings = _at(plan, layer, side)
    blocks, source = getattr(settings, f"{side}_blocks"), reference.source
    part = part_up_to(reference, (layer, *also), blocks, source)
    if part is not None and sampled:
        with contextlib.suppress(ModelError):  # the whole model will be sampled
            _sample_weights(plan, side, _BlocksInFiles(part, reference, settings), progress)
    model = load_configured(settings, side, reference, with_head=OUTPUT in also, part=part)
    try:
        checked(plan, settings, side, progress.note, model)
        if sampled and model.part is None:
            _sample_weights(plan, side, model, progress)
    except BaseException:
        model.unload()
        raise
    return model


class _BlocksInFiles(NamedTuple):
    """A model whose blocks are loaded one at a time."""

    part: Part
    reference: ModelReference
    settings: Settings

    def sample(self) -> WeightSample:
        """Of its weights, as they would be in memory."""
        device = choose_device(self.settings.device)
        load = functools.partial(load_block, self.part, self.reference)
        dtype, source = choose_dtype(self.settings.dtype, device), self.reference.source
        return WeightSample.of_blocks(
            self.reference.reference, self.part.layers, lambda i: load(i, dtype, source)
        )


def _weights(plan: Plan, side: Side, progress: Progress) -> WeightSample:
    """A sample of the model's weights: taken when it was read, or else when it is loaded again."""

    def build(entry: Entry) -> None:
        model = load_configured(plan.settings, side, plan.references[side])
        try:
            _keep_weights(model, entry)
        finally:
            model.unload()

    entry = plan.store.entry("weights", plan.weights_keys[side])
    return read_or_build(entry, build, WeightSample.load, progress.note)


def _sample_weights(
    plan: Plan, side: Side, model: LoadedModel | _BlocksInFiles, progress: Progress
) -> None:
    """The same of a model that is loaded, or of its files."""
    entry = plan.store.entry("weights", plan.weights_keys[side])
    keep = functools.partial(_keep_weights, model)
    read_or_build(entry, keep, WeightSample.load, progress.note)


def _keep_weights(model: LoadedModel | _BlocksInFiles, entry: Entry) -> None:
    with entry.checked_by(model.reference.must_be_unchanged):
        found = model.sample() if isinstance(model, _BlocksInFiles) else WeightSample.of(model)
        found.save(entry)
