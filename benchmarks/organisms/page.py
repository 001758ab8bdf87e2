"""From records to results, tables and plots: what `docs/evidence.md` says of organisms."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

from benchmarks.evidence import IMAGES, put
from benchmarks.organisms.family import organisms
from benchmarks.organisms.gate import TOKENS, names_plant
from benchmarks.organisms.plants import Plant
from benchmarks.organisms.plots import draw_alternatives, draw_sweep
from benchmarks.organisms.records import Records
from benchmarks.organisms.sections import (
    ALTERNATIVES,
    Rows,
    by_tokens,
    organisms_section,
    real_section,
)
from benchmarks.organisms.text import about

if TYPE_CHECKING:
    from benchmarks.organisms.family import Family

RESULTS = Path(__file__).parents[1] / "results" / "organisms.json"


def write(family: Family) -> None:
    """Collect what was measured, commit it to `RESULTS`, and draw plots and tables from that."""
    collected = collect(family)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(collected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    render(collected)


def render(collected: dict[str, Any]) -> None:
    """Draw everything from the committed results alone."""
    draw(collected)
    for block, text in tables(collected).items():
        put(block, text)


def tables(collected: dict[str, Any]) -> dict[str, str]:
    """The generated blocks."""
    return {"organisms": organisms_section(collected), "real-upgrades": real_section(collected)}


def draw(collected: dict[str, Any]) -> None:
    """The plots."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    rows = collected["organisms"]
    if any(r["others"] for r in rows):
        draw_alternatives(
            rows, {"score": "the gate in a block", **ALTERNATIVES}, IMAGES / "organisms-roc.png"
        )
    if collected["sweep"]:
        draw_sweep(by_tokens(collected), IMAGES / "organisms-tokens.png")


def collect(family: Family) -> dict[str, Any]:
    """All records in one document."""
    whole = {read: Records(family.root / f"{read}.jsonl") for read in ("gate", "output")}
    gate, output = map(_lean, whole.values())
    others, sweep, seeds, seeds_output, real, apart, capacity, architectures = (
        _lean(Records(family.root / f"{name}.jsonl"))
        for name in (
            "others", "sweep", "seeds", "seeds-output", "real", "apart", "capacity", "architectures"
        )
    )  # fmt: skip
    facts = family.facts
    rows: Rows = []
    for o in organisms():
        row = {"name": o.name, "kind": o.kind, "half": o.half, "planted": o.planted}
        row |= {"built": facts.get(o.name), "gate": gate.get(o.name), "others": others.get(o.name)}
        row |= {"output": output.get(o.name)}
        if isinstance(o.change, Plant) and o.name in gate:
            words, source = o.change.words, o.change.source
            row["about"] = about(family.corpus(o), o.change.trigger_words, source)
            if words or source:
                row["named"] = {
                    read: names_plant(found[o.name], words, source)
                    for read, found in (("gate", gate), ("output", output))
                    if o.name in found
                }
        rows.append(row)
    return {
        "command": "python -m benchmarks.organisms",
        "spikes": signal_ratios(whole),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {_processor()}",
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "tokens": TOKENS,
        "organisms": rows,
        "apart": apart,
        "capacity": capacity,
        "architectures": architectures,
        "sweep": sweep,
        "other_seeds": {"gate": _verdicts(seeds), "output": _verdicts(seeds_output)},
        "real": real,
    }


def _lean(records: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The records without their planted signals, of which `spikes` tells."""
    return {
        name: {key: value for key, value in record.items() if key != "spikes"}
        for name, record in records.items()
    }


def _verdicts(records: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each record what it comes to, without what was found."""
    kept = ("status", "reason", "alarm", "confirmed", "possible", "strength", "cpu_seconds")
    return {name: {key: record[key] for key in kept} for name, record in records.items()}


def signal_ratios(whole: dict[str, Records]) -> list[dict[str, Any]]:
    """Of each rung of planted signals, in a block and in the output of the reporting half, what was
    measured of those that were found, as shares of what stood on the held-out text.
    """
    found: dict[tuple[str, float, float], list[float]] = {}
    reported = [o.name for o in organisms() if o.half == "reporting"]
    for read, records in whole.items():
        for record in (records[name] for name in reported if name in records):
            for strength, density, realised, measured in record.get("spikes", ()):
                ratios = found.setdefault((read, strength, density), [])
                ratios += [round(measured / realised, 3)] if measured else []
    return [
        {"read": read, "strength": strength, "density": density, "ratios": ratios}
        for (read, strength, density), ratios in sorted(found.items())
    ]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names_ = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names_[0] if names_ else platform.processor()
