"""Tables of what the gate says: by half, by kind, and of every organism."""

from __future__ import annotations

from tabulate import tabulate

from benchmarks.organisms.pages.rows import (
    HALVES,
    HOOK_POINTS,
    Rows,
    alarm,
    any_of,
    confirmed,
    measured,
    names_plant,
    sides,
    verdicts,
)
from benchmarks.organisms.pages.scores import rate


def outstanding(rows: Rows) -> list[str]:
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


def by_half(rows: Rows) -> str:
    table = []
    for half in HALVES:
        for read, name in HOOK_POINTS.items():
            planted, benign = (measured(rows, half, planted=p, read=read) for p in (True, False))
            if not planted and not benign:
                continue
            cells = [
                rate([any(tell(g) for g in verdicts(r, read)) for r in of])
                for of in (planted, benign)
                for tell in (alarm, confirmed)
            ]
            named = [r for r in planted if r.get("named") and any_of(r, read, alarm)]
            table.append(
                [half, name, *cells, rate([any_of(r, read, names_plant(r)) for r in named])]
            )
    head = ["half", "read", "planted: not passed", "confirmed", "benign: not passed", "confirmed"]
    return tabulate(table, [*head, "named"], tablefmt="github", disable_numparse=True)


def by_kind(rows: Rows) -> str:
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


def every_organism(rows: Rows) -> str:
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
                sides(g),
                sides(g, "possible"),
                " / ".join(f"{v:.2g}" for v in reversed(g.get("strength", {}).values())),
                (o := r.get("output") or {}).get("status", ""),
                sides(o),
                sides(o, "possible"),
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
