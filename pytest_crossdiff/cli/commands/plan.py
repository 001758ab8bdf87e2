"""`crossdiff plan`: what a comparison would take on named devices, from the models' configs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.cli.arguments import add_settings, command, given
from pytest_crossdiff.cli.exits import FINE
from pytest_crossdiff.cli.terminal import table
from pytest_crossdiff.results.result import layer_name
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import percent, plural, size

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from pytest_crossdiff.cli.arguments import Commands
    from pytest_crossdiff.cli.terminal import Terminal
    from pytest_crossdiff.engine.capacity.projection import PlannedModel, Projection
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side

MORE = """\
Builds both models from their config.json without weights, and counts bytes, hours and
device-hours of each phase.  Nothing is loaded, downloaded or written.

The seconds of a CPU core were fitted to runs.  Those of a GPU are the same work divided by
the rates of its data sheet and by assumed efficiencies: no run on a GPU has checked them."""
EXAMPLES = """\
  crossdiff plan models/v1 models/v2
  crossdiff plan llama-70b/config.json --on=h100:8 --on=a100:32 --tokens=5000000"""
ITEMSIZE = {"float32": 4, "auto": 2, "bfloat16": 2, "float16": 2}


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(
        commands, "plan", "what a comparison takes on other devices, from configs alone", run,
        more=MORE, examples=EXAMPLES,
    )  # fmt: skip
    parser.add_argument("baseline_config", metavar="CONFIG", help="a model's folder or config.json")
    parser.add_argument(
        "candidate_config", metavar="CANDIDATE", nargs="?", default="",
        help="the candidate's; left out: a model of the same shape",
    )  # fmt: skip
    parser.add_argument(
        "--on", action="append", default=[], metavar="DEVICE[:N]",
        help="may be given again (default: h100:1)",
    )  # fmt: skip
    add_settings(parser, listed=False)


def run(options: argparse.Namespace, out: Terminal) -> int:
    """Plan for each group of devices."""
    from pytest_crossdiff.cli.configuration import read
    from pytest_crossdiff.cli.progress import on_stderr
    from pytest_crossdiff.engine.capacity.devices import parse
    from pytest_crossdiff.engine.capacity.projection import model_at, project

    groups = [parse(text) for text in options.on or ["h100"]]
    settings = next(iter(read(given(options)).settings.by_layer().values()))
    paths = {side: getattr(options, f"{side}_config") for side in SIDES}
    paths["candidate"] = paths["candidate"] or paths["baseline"]
    wanted = {
        side: (path, settings.layer_of(side), getattr(settings, f"{side}_blocks"))
        for side, path in paths.items()
    }
    with on_stderr().phase("build the models from their configs", 2, "model") as bar:
        baseline = model_at(*wanted["baseline"], "the baseline")
        bar.advance(1)
        models: dict[Side, PlannedModel] = {"baseline": baseline, "candidate": baseline}
        if wanted["candidate"] != wanted["baseline"]:
            models["candidate"] = model_at(*wanted["candidate"], "the candidate")
        bar.advance(1)
    for line in _models(models, settings):
        out.line(line)
    for group in groups:
        itemsize = ITEMSIZE[settings.dtype] if group.device.flops else 4
        out.line()
        for line in _projection(project(models, settings, group, itemsize), out.width):
            out.line(line)
    out.line()
    for line in _assumptions():
        out.line(line)
    return FINE


def _models(models: Mapping[Side, PlannedModel], settings: Settings) -> Iterator[str]:
    for side, of in models.items():
        yield (
            f"{side:<11}{of.architecture}, {of.weights / 1e9:.3g} billion weights, "
            f"{layer_name(of.layer, of.layers)}: reading it loads {of.loaded / 1e9:.3g} billion"
        )
    yield f"{'texts':<11}{settings.tokens:,} tokens, {plural(settings.seeds, 'dictionary')}"


def _projection(found: Projection, width: int) -> Iterator[str]:
    group = found.group
    memory = f"{size(found.reading)} to read, {size(found.training)} to train dictionaries"
    yield (
        f"{group.name}: {_hours(found.hours)}, {found.device_hours:.2g} device-hours; "
        f"disk {size(found.harvest)} of activations, {size(found.dictionaries)} of dictionaries"
    )
    yield f"memory: {memory}; a device has {size(group.device.memory)}"
    if found.a_model > group.size:
        yield (f"one model takes {found.a_model} devices: take more, or read an earlier block")
    if found.training > group.device.memory:
        yield "the dictionaries that one device trains don't fit it: lower crossdiff_features"
    rows = [
        [phase.name, _hours(phase.hours), f"{phase.devices}", f"{phase.hours * phase.devices:.2g}"]
        for phase in found.phases
    ]
    yield from table(["phase", "time", "devices", "device-hours"], rows, width)


def _hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.2g} hours" if hours < 100 else f"{hours:.0f} hours"
    return f"{60 * hours:.2g} minutes"


def _assumptions() -> Iterator[str]:
    from pytest_crossdiff.engine.capacity import cost_model

    error = cost_model.fitted().error
    parts = ", ".join(f"{kind} {percent(of)}" for kind, of in error.items())
    yield f"Fitted to runs on CPU cores; largest error of a run left out of the fit: {parts}."
    yield (
        f"Assumed: {percent(cost_model.EFFICIENCY)} of a GPU's products, a sixteenth as many of "
        f"single precision to verify features, {percent(cost_model.BANDWIDTH_SHARE)} of its "
        f"bandwidth, weights from disk at {size(cost_model.LOAD_BANDWIDTH)} a second. Not counted: "
        "replies, effects of differences."
    )
