"""From records to results, tables and plots: what `docs/evidence.md` says of organisms."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from tabulate import tabulate

from benchmarks.organisms.family import OTHER_SEED, organisms
from benchmarks.organisms.gate import TOKENS, names
from benchmarks.organisms.plants import Plant
from benchmarks.organisms.plots import draw_alternatives, draw_sweep
from benchmarks.organisms.real import PAIRS
from benchmarks.organisms.records import Records
from benchmarks.organisms.scores import FALSE_ALARMS, area, rate, threshold

if TYPE_CHECKING:
    from benchmarks.organisms.family import Family

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "organisms.json"
PAGE = ROOT / "docs" / "evidence.md"
IMAGES = ROOT / "docs" / "img"
HALVES = ("development", "reporting")
Rows = list[dict[str, Any]]
WAYS = {
    "output_kl": "output KL",
    "loss": "change of held-out loss",
    "accuracy": "change of next-token accuracy",
    "norm_ratio": "standard crosscoder, published norm-ratio cut",
    "norm_extreme": "standard crosscoder, most one-sided feature",
    "difference_sae": "difference-SAE, strongest feature",
    "probe": "linear probe, variance not predicted",
    "cka": "1 - linear CKA",
}


def write(family: Family) -> None:
    """Collect what was measured, commit it to `RESULTS`, and draw plots and tables from that."""
    collected = collect(family)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(collected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    tell(collected)


def tell(collected: dict[str, Any]) -> None:
    """Draw everything from the committed results alone."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    rows = collected["organisms"]
    draw_alternatives(rows, {"score": "the gate", **WAYS}, IMAGES / "organisms-roc.png")
    if collected["sweep"]:
        draw_sweep(collected["sweep"], IMAGES / "organisms-tokens.png")
    _put("organisms", _organisms_section(collected))
    _put("real-upgrades", _real_section(collected))


def collect(family: Family) -> dict[str, Any]:
    """All records in one document."""
    gate, others = (Records(family.root / f"{name}.jsonl") for name in ("gate", "others"))
    facts = family.facts
    rows: Rows = []
    for o in organisms():
        row = {"name": o.name, "kind": o.kind, "half": o.half, "planted": o.planted}
        row |= {"built": facts.get(o.name), "gate": gate.get(o.name), "others": others.get(o.name)}
        if isinstance(o.change, Plant) and o.name in gate:
            words, source = o.change.words, o.change.source
            if words or source:
                row["named"] = names(gate[o.name], words, source)
        rows.append(row)
    sweep, real = (dict(Records(family.root / f"{n}.jsonl")) for n in ("sweep", "real"))
    return {
        "command": "python -m benchmarks.organisms",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {_processor()}",
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "tokens": TOKENS,
        "organisms": rows,
        "other_seed": gate.get(f"other-seed-{OTHER_SEED}"),
        "sweep": sweep,
        "real": real,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names_ = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names_[0] if names_ else platform.processor()


def _put(block: str, text: str) -> None:
    """Replace the generated block of that name on the page; add it at the end where it is new."""
    begin, end = f"<!-- {block}: begin, generated -->", f"<!-- {block}: end -->"
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Evidence\n"
    made = f"{begin}\n{text.strip()}\n{end}\n"
    if begin in page:
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(f"{end}\n")
        page = before + made + after
    else:
        page = page.rstrip() + "\n\n" + made
    PAGE.write_text(page, encoding="utf-8")


def measured(rows: Rows, half: str, *, planted: bool) -> Rows:
    """The organisms of a half that count: with a verdict, and with their plant in them."""
    return [
        r
        for r in rows
        if r["half"] == half
        and r["planted"] == planted
        and r["gate"]
        and (not planted or r["built"]["worked"])
    ]


def _organisms_section(c: dict[str, Any]) -> str:
    rows: Rows = c["organisms"]
    planted = [r for r in rows if r["planted"] and r["built"]]
    failed = [r["name"] for r in planted if not r["built"]["worked"]]
    said = f"{len(planted)} plants were tried; {len(planted) - len(failed)} took"
    said += f" (not: {', '.join(failed)})." if failed else "."
    parts = [
        "## Model organisms",
        (
            f"`{c['command']}`; {c['machine']}, {c['threads']} thread; torch "
            f"{c['versions']['torch']}, transformers {c['versions']['transformers']}; "
            f"{c['tokens']:,} tokens read for each verdict. {said}"
        ),
        _summary(rows),
        _kinds(rows),
        "![Detection against false alarms](img/organisms-roc.png)",
        _ways(rows),
        _all(rows),
    ]
    if c["other_seed"]:
        parts.append(
            "A model of the same recipe from another seed, which is truly another model and counts "
            f"to neither: **{c['other_seed']['status']}**, confirmed {_sides(c['other_seed'])}."
        )
    if c["sweep"]:
        parts += ["### How many tokens it takes", _sweep(c["sweep"])]
        parts.append("![Strength found against tokens read](img/organisms-tokens.png)")
    return "\n\n".join(parts)


def _summary(rows: Rows) -> str:
    table = []
    for half in HALVES:
        planted, benign = (measured(rows, half, planted=p) for p in (True, False))
        found = [r for r in planted if r["gate"]["alarm"]]
        sure = [r for r in planted if _confirmed(r["gate"])]
        named = [r["named"] for r in found if "named" in r]
        table.append(
            [
                half,
                rate([r["gate"]["alarm"] for r in planted]),
                rate([_confirmed(r["gate"]) for r in planted]),
                rate([r["gate"]["alarm"] for r in benign]),
                rate([_confirmed(r["gate"]) for r in benign]),
                rate(named),
                f"{_median([r['gate'].get('cpu_seconds') for r in planted + benign]):.0f}",
            ]
        )
        assert len(sure) <= len(found)
    head = ["half", "planted: not passed", "confirmed", "benign: not passed", "confirmed"]
    return tabulate(table, [*head, "named", "CPU s"], tablefmt="github", disable_numparse=True)


def _kinds(rows: Rows) -> str:
    table = []
    for planted in (True, False):
        for kind in dict.fromkeys(r["kind"] for r in rows if r["planted"] == planted):
            cells = []
            for half in HALVES:
                of = [r for r in measured(rows, half, planted=planted) if r["kind"] == kind]
                cells.append(f"{sum(r['gate']['alarm'] for r in of)}/{len(of)}")
            table.append(["planted" if planted else "benign", kind, *cells])
    head = ["", "kind", *(f"alarms, {half}" for half in HALVES)]
    return tabulate(table, head, tablefmt="github", disable_numparse=True)


def _ways(rows: Rows) -> str:
    """Detection at no more than `FALSE_ALARMS` on the same benign upgrades, each way's own cut."""
    table = []
    for way, name in {"score": "the gate's score", **WAYS}.items():
        cells: list[object] = [name]
        for half in HALVES:
            planted, benign = (values(rows, half, way, planted=p) for p in (True, False))
            if not planted or not benign:
                cells += ["none", "none"]
                continue
            cut = threshold(benign, FALSE_ALARMS)
            cells += [rate([v > cut for v in planted]), f"{area(planted, benign):.2f}"]
        table.append(cells)
    head = ["way"] + [f"{what}, {half}" for half in HALVES for what in ("detected", "area")]
    return tabulate(table, head, tablefmt="github", disable_numparse=True)


def values(rows: Rows, half: str, way: str, *, planted: bool) -> list[float]:
    """One way's numbers on the organisms of a half."""
    where = "gate" if way == "score" else "others"
    return [
        v
        for r in measured(rows, half, planted=planted)
        if r[where] and (v := r[where].get(way)) is not None
    ]


def _all(rows: Rows) -> str:
    table = []
    for r in rows:
        g, built = r["gate"], r["built"]
        if not g or not built:
            continue
        took = f"{built['before']:.2f} → {built['after']:.2f}" if r["planted"] else ""
        if r["planted"] and not built["worked"]:
            took += " (no)"
        table.append(
            [
                r["half"][:3],
                r["name"],
                took,
                f"{built['kl']:.2g}",
                g["status"],
                _sides(g),
                _sides(g, "possible"),
                " / ".join(f"{v:.2g}" for v in reversed(g.get("strength", {}).values())),
                {True: "yes", False: "no"}.get(r.get("named"), ""),
            ]
        )
    head = ["half", "organism", "behaviour before → after", "output KL", "verdict"]
    head += ["confirmed c/b", "possible c/b", "strength c/b", "named"]
    return "Every organism (c/b: candidate-only / baseline-only):\n\n" + tabulate(
        table, head, tablefmt="github", disable_numparse=True
    )


def _sweep(sweep: dict[str, Any]) -> str:
    names_ = list(dict.fromkeys(key.split("@")[0] for key in sweep))
    sizes = sorted({int(key.split("@")[1]) for key in sweep})
    table = []
    for name in names_:
        cells = []
        for size in sizes:
            g = sweep.get(f"{name}@{size}")
            cells.append("" if g is None else f"{g['status']} {_sides(g)}")
        table.append([name, *cells])
    return tabulate(table, ["organism", *(f"{s:,}" for s in sizes)], tablefmt="github")


def _real_section(c: dict[str, Any]) -> str:
    table, told = [], []
    for name, g in c["real"].items():
        table.append(
            [
                name,
                g["expected"],
                g["status"],
                _sides(g),
                _sides(g, "possible"),
                " / ".join(f"{v:.2g}" for v in reversed(g.get("strength", {}).values())),
                " / ".join(f"{v:.2f}" for v in g.get("fve", [])),
                g.get("cpu_seconds", ""),
            ]
        )
        for d in g.get("differences", [])[:4]:
            places = "; ".join(f"{_cell(b[-28:])}⟦{_cell(t)}⟧{_cell(a[:20])}"
                               for _, b, t, a in d["contexts"][:3])  # fmt: skip
            told.append([name, d["id"], d["certainty"], f"{d['strength']:.2g}", places])
    head = ["pair", "expected", "verdict", "confirmed c/b", "possible c/b", "strength c/b"]
    parts = [
        "## Real upgrades",
        f"`{c['command']} real`; block and texts of each pair in `benchmarks/organisms/real.py`.",
        tabulate(table, [*head, "FVE", "CPU s"], tablefmt="github", disable_numparse=True),
        "The strongest differences and where they fire:",
        tabulate(told, ["pair", "id", "", "strength", "contexts"], tablefmt="github"),
    ]
    missing = [name for name in PAIRS if name not in c["real"]]
    if missing:
        parts.append(f"Not run: {', '.join(missing)}.")
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    """Text as it can stand in a table's cell."""
    shown = text.replace("\n", "⏎").replace("|", "¦").replace("`", "'")
    return shown.replace("<", "&lt;").replace("*", "&#42;").replace("_", "\\_")


def _confirmed(gate: dict[str, Any]) -> bool:
    return any(gate.get("confirmed", {}).values())


def _sides(gate: dict[str, Any], certainty: str = "confirmed") -> str:
    found = gate.get(certainty)
    return f"{found['candidate']}/{found['baseline']}" if found else ""


def _median(found: list[float | None]) -> float:
    known = sorted(v for v in found if v is not None)
    return known[len(known) // 2] if known else float("nan")
