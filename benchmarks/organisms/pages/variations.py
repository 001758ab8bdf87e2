"""Tables of the gate with other architectures, dictionary sizes, numbers of tokens and maps."""

from __future__ import annotations

from typing import Any

from tabulate import tabulate

from benchmarks.organisms.pages.rows import Rows, confirmed, sides
from benchmarks.organisms.pages.scores import rate


def architectures(rows: Rows, found: dict[str, Any]) -> str:
    """What each kind of dictionary says of the development split."""
    table = []
    for r in rows:
        kinds = {key.split("/")[1]: g for key, g in found.items() if key.split("/")[0] == r["name"]}
        if kinds:
            cells = [f"{sides(g)}, {sides(g, 'possible')}" for g in kinds.values()]
            table.append(["planted" if r["planted"] else "benign", r["name"], *cells])
    kinds_ = list(dict.fromkeys(key.split("/")[1] for key in found))
    return (
        "Development split, one seed, no controls; confirmed c/b, possible c/b (candidate-only / "
        "baseline-only):\n\n"
        + tabulate(table, ["", "organism", *kinds_], tablefmt="github", disable_numparse=True)
    )


def capacity(found: dict[str, Any]) -> str:
    """What dictionaries of each size say of each upgrade, and in how many of three they say it."""
    sizes = sorted({int(key.split("/")[1]) for key in found}, reverse=True)
    table: list[list[object]] = []
    for name in dict.fromkeys(key.split("/")[0] for key in found):
        of = [found.get(f"{name}/{size}") for size in sizes]
        cells = [f"{sides(g)}, {sides(g, 'possible')}; {_stable(g)}" if g else "" for g in of]
        table.append([name, *cells])
    fve = [
        [min(g["fve"]) for key, g in found.items() if key.endswith(f"/{size}")] for size in sizes
    ]
    table.append(["FVE, mean", *(f"{sum(of) / len(of):.2f}" for of in fve)])
    head = ["upgrade", *(f"a feature for {size} pairs" for size in sizes)]
    return tabulate(table, head, tablefmt="github", disable_numparse=True)


def _stable(gate: dict[str, Any]) -> str:
    """The share of the dictionaries that have a difference, on average by strength."""
    of = gate["differences"]
    whole = sum(d["strength"] for d in of)
    if not whole:
        return "-"
    shared = sum(d["strength"] * len(d["seeds"]) / len(gate["seeds"]) for d in of)
    return f"{shared / whole:.2f}"


def by_tokens(c: dict[str, Any]) -> dict[int, Rows]:
    """The rows of the swept split as they come out with so many tokens, by number of tokens; only
    of organisms that were measured with each.
    """
    sizes = sorted({int(key.split("@")[1]) for key in c["sweep"]} | {c["tokens"]})
    found: dict[int, Rows] = {size: [] for size in sizes}
    for r in c["organisms"]:
        gates = {size: c["sweep"].get(f"{r['name']}@{size}") for size in sizes}
        gates[c["tokens"]] = r["gate"]
        if all(gates.values()):
            for size, gate in gates.items():
                found[size].append({**r, "gate": gate})
    return found


def sweep(swept: dict[int, Rows]) -> str:
    table = []
    for size, rows in swept.items():
        planted, benign = ([r["gate"] for r in rows if r["planted"] == p] for p in (True, False))
        limits = [max(v or 1 for v in g["limit"].values()) for g in planted + benign]
        table.append(
            [
                f"{size:,}",
                rate([g["alarm"] for g in planted]),
                rate([confirmed(g) for g in planted]),
                rate([g["alarm"] for g in benign]),
                f"{sorted(limits)[len(limits) // 2]:.1g}",
            ]
        )
    head = ["tokens", "planted: detected", "planted: confirmed", "benign: false positives"]
    head += ["limit of detection, median"]
    return tabulate(table, head, tablefmt="github", disable_numparse=True)


def apart(found: dict[str, Any]) -> str:
    """Against a model of another seed: what is reported where nothing is planted, and where
    something is, by either kind of maps.
    """
    rows = []
    for name in dict.fromkeys(key.split("/")[0] for key in found):
        for maps in ("linear", "curved"):
            nothing, planted = (found[f"{name}/{what}/{maps}"] for what in ("nothing", "planted"))
            strongest = sorted(planted["differences"], key=lambda d: -d["strength"])[:2]
            words = ("; ".join(", ".join(map(repr, d["tokens"][:4])) for d in strongest)) or "-"
            summary = [f"{sides(r)}, {sides(r, 'possible')}" for r in (nothing, planted)]
            rows.append([name, maps, *summary, words.replace("|", "\\|")])
    head = ["plant", "maps", "nothing planted: confirmed, possible c/b", "planted", "strongest"]
    return tabulate(rows, head, tablefmt="github", disable_numparse=True)
