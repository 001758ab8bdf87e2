"""The generated sections of `docs/evidence.md`, out of the committed results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from benchmarks.organisms.prose import (
    ALTERNATIVES_INTRO,
    CAPACITY_INTRO,
    FINDINGS,
    HOW,
    OTHER_SEED_INTRO,
    REAL,
    SEEDS_INTRO,
    TOKENS_INTRO,
)
from benchmarks.organisms.real import PAIRS
from benchmarks.organisms.scores import FALSE_ALARMS, area, rate, threshold

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.organisms.scores import Rate

HALVES = ("development", "earlier", "previous", "reporting")
HOOK_POINTS = {"gate": "a block", "output": "the output", "either": "either"}
"""Where the gate reads; `either` alarms where one of the two does."""
Rows = list[dict[str, Any]]
ALTERNATIVES = {
    "output_score": "the gate's score in the output",
    "output_kl": "output KL",
    "loss": "change of held-out loss",
    "accuracy": "change of next-token accuracy",
    "norm_ratio": "standard crosscoder, published norm-ratio cut",
    "norm_extreme": "standard crosscoder, most one-sided feature",
    "difference_sae": "difference-SAE, strongest feature",
    "probe": "linear probe, variance not predicted",
    "cka": "1 - linear CKA",
}


def measured(rows: Rows, half: str, *, planted: bool, read: str = "gate") -> Rows:
    """The organisms of a half that count: with a verdict, and with their plant in them."""
    return [
        r
        for r in rows
        if r["half"] == half
        and r["planted"] == planted
        and _verdicts(r, read)
        and (not planted or r["built"]["worked"])
    ]


def _verdicts(row: dict[str, Any], read: str) -> list[dict[str, Any]]:
    """The records of the gate that count where it reads so; none where one is missing."""
    found = [row.get(name) for name in (("gate", "output") if read == "either" else (read,))]
    return [r for r in found if r] if all(found) else []


def organisms_section(c: dict[str, Any]) -> str:
    rows: Rows = c["organisms"]
    planted = [r for r in rows if r["planted"] and r["built"]]
    failed = [r["name"] for r in planted if not r["built"]["worked"]]
    said = f"{len(planted)} plants were tried; {len(planted) - len(failed)} took"
    said += f" (not: {', '.join(failed)})." if failed else "."
    measured_with = (
        f"`{c['command']}`; {c['machine']}, {c['threads']} thread; torch {c['versions']['torch']}, "
        f"transformers {c['versions']['transformers']}; {c['tokens']:,} tokens read for each "
        f"verdict. {said}"
    )
    parts = ["## Model organisms", HOW, measured_with]
    parts += [*_outstanding(rows), _summary(rows), _kinds(rows)]
    if any(r["others"] for r in rows):
        parts += ["### Against what one might use instead", ALTERNATIVES_INTRO, _ways(rows)]
        parts.append("![Detection against false alarms](img/organisms-roc.png)")
    parts.append(FINDINGS)
    if c["architectures"]:
        parts += ["### One dictionary of each kind", _architectures(rows, c["architectures"])]
    if c["capacity"]:
        parts += ["### Dictionaries of other sizes", CAPACITY_INTRO, _capacity(c["capacity"])]
    parts += ["### Every organism", _all(rows)]
    if c["sweep"]:
        parts += ["### How many tokens it takes", TOKENS_INTRO, _sweep(by_tokens(c))]
        parts.append("![Found and false alarms against tokens read](img/organisms-tokens.png)")
    parts += ["### Is it the same with other seeds?", SEEDS_INTRO]
    parts += [_other_seeds(rows, read, found) for read, found in c["other_seeds"].items() if found]
    parts += [_either_with_other_seeds(rows, c["other_seeds"])]
    if c["apart"]:
        parts += ["### Models that were trained apart", OTHER_SEED_INTRO, _apart(c["apart"])]
    return "\n\n".join(parts)


def _outstanding(rows: Rows) -> list[str]:
    """What has not been measured, where there is something."""
    lacking = {}
    for half in HALVES:
        of = [r for r in rows if r["half"] == half and (not r["built"] or not r["gate"])]
        lacking[half] = [
            r["name"] for r in of if not r["planted"] or not r["built"] or r["built"]["worked"]
        ]
    return [
        f"**Outstanding:** {len(names_)} of the {half} half are not measured with these settings "
        f"yet: {', '.join(names_)}."
        for half, names_ in lacking.items()
        if names_
    ]


def _summary(rows: Rows) -> str:
    table = []
    for half in HALVES:
        for read, name in HOOK_POINTS.items():
            planted, benign = (measured(rows, half, planted=p, read=read) for p in (True, False))
            if not planted and not benign:
                continue
            cells = [
                rate([any(tell(g) for g in _verdicts(r, read)) for r in of])
                for of in (planted, benign)
                for tell in (alarm, _confirmed)
            ]
            named = [r for r in planted if r.get("named") and any_of(r, read, alarm)]
            table.append([half, name, *cells, rate([any_of(r, read, _named(r)) for r in named])])
    head = ["half", "read", "planted: not passed", "confirmed", "benign: not passed", "confirmed"]
    return tabulate(table, [*head, "named"], tablefmt="github", disable_numparse=True)


def any_of(row: dict[str, Any], read: str, tell: Callable[[dict[str, Any]], bool]) -> bool:
    """Whether `tell` holds for one of the records that count where the gate reads so."""
    return any(tell(g) for g in _verdicts(row, read))


def _named(row: dict[str, Any]) -> Callable[[dict[str, Any]], bool]:
    """Whether one of the row's records names its plant."""
    return lambda g: bool(row["named"]["gate" if g is row["gate"] else "output"])


def alarm(gate: dict[str, Any]) -> bool:
    """Whether it isn't passed."""
    return bool(gate["alarm"])


def _kinds(rows: Rows) -> str:
    columns = [
        (half, read)
        for half in HALVES
        for read in HOOK_POINTS
        if any(measured(rows, half, planted=p, read=read) for p in (True, False))
    ]
    table = []
    for planted in (True, False):
        for kind in dict.fromkeys(r["kind"] for r in rows if r["planted"] == planted):
            cells = []
            for half, read in columns:
                of = measured(rows, half, planted=planted, read=read)
                of = [r for r in of if r["kind"] == kind]
                cells.append(f"{sum(any_of(r, read, alarm) for r in of)}/{len(of)}" if of else "")
            if any(cells):
                table.append(["planted" if planted else "benign", kind, *cells])
    head = ["", "alarms", *(f"{half}, {HOOK_POINTS[read]}" for half, read in columns)]
    return tabulate(table, head, tablefmt="github", disable_numparse=True)


def _ways(rows: Rows) -> str:
    """Detection at no more than `FALSE_ALARMS` on the same benign upgrades, each way's own cut."""
    table, halves = [], compared(rows)
    for way, name in {"score": "the gate's score in a block", **ALTERNATIVES}.items():
        cells: list[object] = [name]
        for half in halves:
            planted, benign = (values(rows, half, way, planted=p) for p in (True, False))
            if not planted or not benign:
                cells += ["none", "none"]
                continue
            cut = threshold(benign, FALSE_ALARMS)
            cells += [rate([v > cut for v in planted]), f"{area(planted, benign):.2f}"]
        table.append(cells)
    head = ["way"] + [f"{what}, {half}" for half in halves for what in ("detected", "area")]
    return tabulate(table, head, tablefmt="github", disable_numparse=True)


def compared(rows: Rows) -> list[str]:
    """The halves on which the other ways were measured, too."""
    return [half for half in HALVES if any(r["others"] for r in rows if r["half"] == half)]


def values(rows: Rows, half: str, way: str, *, planted: bool) -> list[float]:
    """One way's numbers on the organisms of a half."""
    where, name = {"score": ("gate", "score"), "output_score": ("output", "score")}.get(
        way, ("others", way)
    )
    return [
        v
        for r in measured(rows, half, planted=planted)
        if r.get(where) and (v := r[where].get(name)) is not None
    ]


def _all(rows: Rows) -> str:
    table = []
    for r in rows:
        g, built = r["gate"] or {}, r["built"]
        failed = built and r["planted"] and not built["worked"]
        if not built or not (g or failed):
            continue
        took = f"{built['before']:.2f} → {built['after']:.2f}" if r["planted"] else ""
        if r["planted"] and not built["worked"]:
            took += " (no)"
        table.append(
            [
                r["half"][:3],
                r["name"],
                took,
                r.get("about") or "",
                f"{built['kl']:.2g}",
                g.get("status", "no organism"),
                _sides(g),
                _sides(g, "possible"),
                " / ".join(f"{v:.2g}" for v in reversed(g.get("strength", {}).values())),
                (o := r.get("output") or {}).get("status", ""),
                _sides(o),
                _sides(o, "possible"),
                " / ".join(f"{v:.2g}" for v in reversed(o.get("strength", {}).values())),
                " or ".join(
                    HOOK_POINTS[read] for read, yes in (r.get("named") or {}).items() if yes
                ),
            ]
        )
    head = ["half", "organism", "behaviour before → after", "texts", "output KL", "a block"]
    head += ["confirmed c/b", "possible c/b", "strength c/b", "the output"]
    head += ["confirmed c/b", "possible c/b", "strength c/b", "named in"]
    summary = "c/b: candidate-only / baseline-only; texts: of its words or its kind, of about 110."
    return f"{summary}\n\n" + tabulate(table, head, tablefmt="github", disable_numparse=True)


def _architectures(rows: Rows, found: dict[str, Any]) -> str:
    """What each kind of dictionary says of the development half."""
    table = []
    for r in rows:
        kinds = {key.split("/")[1]: g for key, g in found.items() if key.split("/")[0] == r["name"]}
        if kinds:
            cells = [f"{_sides(g)}, {_sides(g, 'possible')}" for g in kinds.values()]
            table.append(["planted" if r["planted"] else "benign", r["name"], *cells])
    kinds_ = list(dict.fromkeys(key.split("/")[1] for key in found))
    return (
        "Development half, one seed, no controls; confirmed c/b, possible c/b (candidate-only / "
        "baseline-only):\n\n"
        + tabulate(table, ["", "organism", *kinds_], tablefmt="github", disable_numparse=True)
    )


def _capacity(found: dict[str, Any]) -> str:
    """What dictionaries of each size say of each upgrade, and in how many of three they say it."""
    sizes = sorted({int(key.split("/")[1]) for key in found}, reverse=True)
    table: list[list[object]] = []
    for name in dict.fromkeys(key.split("/")[0] for key in found):
        of = [found.get(f"{name}/{size}") for size in sizes]
        cells = [f"{_sides(g)}, {_sides(g, 'possible')}; {_stable(g)}" if g else "" for g in of]
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
    """The rows of the swept half as they come out with so many tokens, by number of tokens; only
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


def _sweep(swept: dict[int, Rows]) -> str:
    table = []
    for size, rows in swept.items():
        planted, benign = ([r["gate"] for r in rows if r["planted"] == p] for p in (True, False))
        limits = [max(v or 1 for v in g["limit"].values()) for g in planted + benign]
        table.append(
            [
                f"{size:,}",
                rate([g["alarm"] for g in planted]),
                rate([_confirmed(g) for g in planted]),
                rate([g["alarm"] for g in benign]),
                f"{sorted(limits)[len(limits) // 2]:.1g}",
            ]
        )
    head = ["tokens", "planted: not passed", "confirmed", "benign: not passed"]
    head += ["limit of detection, median"]
    return tabulate(table, head, tablefmt="github", disable_numparse=True)


def unchanged(rows: Rows, read: str, found: dict[str, Any]) -> list[bool]:
    """Of each run with other dictionaries, whether its verdict is that of the first ones."""
    first = {r["name"]: r[read] for r in rows}
    return [g["status"] == first[key.split("@")[0]]["status"] for key, g in found.items()]


def _other_seeds(rows: Rows, read: str, found: dict[str, Any]) -> str:
    """How often other dictionaries give another verdict than the first ones, where the gate reads
    so.
    """
    changed = []
    for r in rows:
        others = [g for key, g in found.items() if key.split("@")[0] == r["name"]]
        if any(g["status"] != r[read]["status"] for g in others):
            said = [
                f"{g['status']} {_sides(g)}, {_sides(g, 'possible')}" for g in [r[read], *others]
            ]
            changed.append([r["name"], "planted" if r["planted"] else "benign", *said])
    same = rate(unchanged(rows, read, found))
    summary = f"In {HOOK_POINTS[read]} the verdict is the same in {same} of the "
    summary += "runs with three other dictionaries. "
    planted, benign = _rates(rows, {key: alarm(g) for key, g in found.items()})
    summary += (
        f"With these, {planted} of the plants and {benign} of the benign upgrades aren't passed."
    )
    if not changed:
        return summary
    head = ["organism", "", *(f"dictionaries {n}" for n in range(1, len(changed[0]) - 1))]
    table = tabulate(changed, head, tablefmt="github", disable_numparse=True)
    return f"{summary} Where it isn't (confirmed c/b, possible c/b):\n\n{table}"


def _either_with_other_seeds(rows: Rows, found: dict[str, dict[str, Any]]) -> str:
    """What other dictionaries find where a block and the output are read."""
    both = found["gate"].keys() & found["output"].keys()
    alarms = {key: any(alarm(of[key]) for of in found.values()) for key in both}
    planted, benign = _rates(rows, alarms)
    return (
        f"Either read, other dictionaries don't pass {planted} of the plants and {benign} of the "
        "benign ones."
    )


def _rates(rows: Rows, alarms: dict[str, bool]) -> tuple[Rate, Rate]:
    """Of the planted organisms and of the benign ones, the share that isn't passed.

    alarms: by name of the organism and seed.
    """
    planted = {r["name"]: r["planted"] for r in rows}
    of_planted, of_benign = (
        rate([found for key, found in alarms.items() if planted[key.split("@")[0]] == kind])
        for kind in (True, False)
    )
    return of_planted, of_benign


def real_section(c: dict[str, Any]) -> str:
    table, summary = [], []
    for name, g in c["real"].items():
        table.append(
            [
                name,
                g["expected"],
                len(g.get("seeds", [])),
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
            summary.append([name, d["id"], d["certainty"], f"{d['strength']:.2g}", places])
    head = ["pair", "expected", "seeds", "verdict", "confirmed c/b", "possible c/b", "strength c/b"]
    parts = [
        "## Real upgrades",
        f"`{c['command']} real`; block and texts of each pair in `benchmarks/organisms/real.py`.",
        REAL,
        tabulate(table, [*head, "FVE", "CPU s"], tablefmt="github", disable_numparse=True),
        "The strongest differences and where they fire:",
        tabulate(summary, ["pair", "id", "", "strength", "contexts"], tablefmt="github"),
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


def _apart(found: dict[str, Any]) -> str:
    """Against a model of another seed: what is reported where nothing is planted, and where
    something is, by either kind of maps.
    """
    rows = []
    for name in dict.fromkeys(key.split("/")[0] for key in found):
        for maps in ("linear", "curved"):
            nothing, planted = (found[f"{name}/{what}/{maps}"] for what in ("nothing", "planted"))
            strongest = sorted(planted["differences"], key=lambda d: -d["strength"])[:2]
            words = ("; ".join(", ".join(map(repr, d["tokens"][:4])) for d in strongest)) or "-"
            summary = [f"{_sides(r)}, {_sides(r, 'possible')}" for r in (nothing, planted)]
            rows.append([name, maps, *summary, words.replace("|", "\\|")])
    head = ["plant", "maps", "nothing planted: confirmed, possible c/b", "planted", "strongest"]
    return tabulate(rows, head, tablefmt="github", disable_numparse=True)
