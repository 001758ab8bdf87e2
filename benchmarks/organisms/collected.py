"""What was measured of organisms in one document, and the committed file of it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

from benchmarks.machine import processor
from benchmarks.organisms.judging.gate import TOKENS, names_plant
from benchmarks.organisms.making.family import organisms
from benchmarks.organisms.making.plants import Plant
from benchmarks.organisms.making.text import about
from benchmarks.records import Records, by_name, named, read_tables, write_tables

if TYPE_CHECKING:
    from benchmarks.organisms.making.family import Family
    from benchmarks.organisms.pages.rows import Rows

RESULTS = Path(__file__).parent / "results" / "organisms.jsonl"
OF_AN_ORGANISM = ("gate", "output", "others")
"""Tables with one record for each organism."""
VARIATIONS = ("apart", "capacity", "architectures", "sweep")
"""Tables of the gate with other settings."""
SEEDS = {"gate": "seeds", "output": "seeds-output"}
"""Tables of other dictionaries, by what is compared."""


def write(collected: dict[str, Any], path: Path = RESULTS) -> None:
    """Write what `collect` gives, one record a line: an organism in a line, each of the gate's
    records on it in another.
    """
    run = {k: collected[k] for k in ("command", "machine", "threads", "versions", "tokens")}
    rows = collected["organisms"]
    plain = [{k: v for k, v in r.items() if k not in OF_AN_ORGANISM} for r in rows]
    tables = {"run": [run], "planted_signals": collected["planted_signals"], "organisms": plain}
    for name in OF_AN_ORGANISM:
        tables[name] = named({r["name"]: r[name] for r in rows if r[name] is not None})
    tables |= {name: named(collected[name]) for name in VARIATIONS}
    tables |= {SEEDS[read]: named(found) for read, found in collected["other_seeds"].items()}
    write_tables(path, tables)


def read(path: Path = RESULTS) -> dict[str, Any]:
    """What `write` wrote, as `collect` gave it."""
    tables = read_tables(path)

    def table(name: str) -> dict[str, dict[str, Any]]:
        return by_name(tables.get(name, ()))

    of_organism = {name: table(name) for name in OF_AN_ORGANISM}
    rows = [
        row | {name: found.get(row["name"]) for name, found in of_organism.items()}
        for row in tables["organisms"]
    ]
    (run,) = tables["run"]
    found = {"planted_signals": tables.get("planted_signals", []), "organisms": rows}
    found |= {name: table(name) for name in VARIATIONS}
    return run | found | {"other_seeds": {read: table(name) for read, name in SEEDS.items()}}


def collect(family: Family) -> dict[str, Any]:
    """All records of a family."""
    whole = {read: Records(family.root / f"{read}.jsonl") for read in ("gate", "output")}
    gate, output = map(_lean, whole.values())
    others = _lean(Records(family.root / "others.jsonl"))
    facts = family.facts
    rows: Rows = []
    for o in organisms():
        row = {"name": o.name, "kind": o.kind, "split": o.split, "planted": o.planted}
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
        "planted_signals": signal_ratios(whole),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {processor()}",
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "tokens": TOKENS,
        "organisms": rows,
        **{name: _lean(Records(family.root / f"{name}.jsonl")) for name in VARIATIONS},
        "other_seeds": {
            read: _verdicts(Records(family.root / f"{name}.jsonl")) for read, name in SEEDS.items()
        },
    }


def _lean(records: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The records without their planted signals, of which `signal_ratios` tells."""
    return {
        name: {key: value for key, value in record.items() if key != "planted_signals"}
        for name, record in records.items()
    }


def _verdicts(records: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each record what it comes to, without what was found."""
    kept = ("status", "reason", "alarm", "confirmed", "possible", "strength", "cpu_seconds")
    return {name: {key: record[key] for key in kept} for name, record in records.items()}


def signal_ratios(whole: dict[str, Records]) -> list[dict[str, Any]]:
    """Measured strength of each detected planted signal of the reporting split, as a share of its
    strength on the held-out text; by place, planted strength and density.
    """
    found: dict[tuple[str, float, float], list[float]] = {}
    reported = [o.name for o in organisms() if o.split == "reporting"]
    for read, records in whole.items():
        for record in (records[name] for name in reported if name in records):
            for strength, density, realised, measured in record.get("planted_signals", ()):
                ratios = found.setdefault((read, strength, density), [])
                ratios += [round(measured / realised, 3)] if measured else []
    return [
        {"read": read, "strength": strength, "density": density, "ratios": ratios}
        for (read, strength, density), ratios in sorted(found.items())
    ]
