"""What pairs of large models would take, and how far off the cost model is: tables of scale.md.

python -m benchmarks.pages
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabulate import tabulate

from benchmarks.documents import DOCS
from benchmarks.speed import cost_model
from pytest_crossdiff.engine.capacity.cost_model import fitted
from pytest_crossdiff.engine.capacity.devices import parse
from pytest_crossdiff.engine.capacity.projection import CONTROLS, PlannedModel, project
from pytest_crossdiff.engine.phases import TRAIN, VERIFY, predictions_phase, read_phase
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import percent, size

if TYPE_CHECKING:
    from pathlib import Path

PAGE = DOCS / "evidence" / "scale.md"
MODELS = {
    "8B": PlannedModel("LlamaForCausalLM", 32, 16, 4096, 8_030_261_248, 4_233_244_672,
                       3_707_904_000),
    "70B": PlannedModel("LlamaForCausalLM", 80, 40, 8192, 70_553_706_496, 36_132_511_744,
                        35_081_830_400),
}  # fmt: skip
"""Llama-3.1 at its middle block, as `crossdiff plan` finds it in its config.json."""
PAIRS = (("8B", "h100:1"), ("8B", "h100:8"), ("70B", "h100:8"), ("70B", "h100:32"))
SETTINGS = Settings(tokens=2_000_000, layer=0.5)
KINDS = {
    "step": "a training step",
    "training": "a training",
    "read": "reading",
    "verify": "verification",
    "controls": "controls",
}
TERMS = {
    "step": "a constant; batch times weights of the encoder; batch times active features times "
    "their widths; weights; batch times features",
    "training": "its steps, times 1.8: k is larger at first, dead features learn, maps are fitted",
    "read": "tokens times weights of the blocks that run; tokens",
    "verify": "dictionaries; multiply-adds; both widths cubed; pairs times dictionaries",
    "controls": "for each of the two a training and a verification of one dictionary without "
    "shared features",
}


def tables() -> dict[tuple[Path, str], str]:
    """The generated blocks, by page and name."""
    return {(PAGE, "cost-model"): errors(), (PAGE, "projections"): projections()}


def errors() -> str:
    """What is fitted to what, and the largest error of each kind of work."""
    rows = {kind: str(len(of)) for kind, of in cost_model.kinds().items()}
    rows["training"] = f"mean of {len(cost_model.comparisons())} comparisons"
    rows["controls"] = "not fitted"
    table = [
        [what, TERMS[kind], rows[kind], percent(fitted().error[kind])]
        for kind, what in KINDS.items()
    ]
    heads = ["work", "seconds of a core are a sum of", "runs that it is fitted to", "largest error"]
    return tabulate(table, heads, tablefmt="github", disable_numparse=True)


def projections() -> str:
    """Pairs of one model's shape in bfloat16."""
    table = []
    for name, devices in PAIRS:
        group = parse(devices)
        found = project(dict.fromkeys(SIDES, MODELS[name]), SETTINGS, group, 2)
        hours = {phase.name: phase.hours for phase in found.phases}
        reading, predictions = (
            sum(hours[phase(side)] for side in SIDES) for phase in (read_phase, predictions_phase)
        )
        times = (reading, predictions, hours[TRAIN], hours[VERIFY], hours[CONTROLS], found.hours)
        table.append([
            name, f"{group.size} {group.device.name}", size(2 * MODELS[name].loaded),
            size(found.harvest), size(found.training), *map(_time, times),
        ])  # fmt: skip
    heads = [
        "pair", "devices", "a model loads", "activations on disk", "memory of training",
        "reading both", "output metrics", "dictionaries", "verification", "controls", "together",
    ]  # fmt: skip
    return tabulate(table, heads, tablefmt="github", disable_numparse=True)


def _time(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"
