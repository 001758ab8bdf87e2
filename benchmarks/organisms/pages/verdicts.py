"""Tables of what the gate says: by split, by kind, and of every organism."""

from __future__ import annotations

from tabulate import tabulate

from benchmarks.organisms.pages.rows import (
    HOOK_POINTS,
    SPLITS,
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
    for split in SPLITS:
        of = [r for r in rows if r["split"] == split and (not r["built"] or not r["gate"])]
        lacking[split] = [
            r["name"] for r in of if not r["planted"] or not r["built"] or r["built"]["worked"]
        ]
    return [
        f"**Outstanding:** {len(names_)} of the {split} split are not measured with these settings "
        f"yet: {', '.join(names_)}."
        for split, names_ in lacking.items()
        if names_
    ]


def by_split(rows: Rows) -> str:
    table = []
    for split in SPLITS:
        for read, name in HOOK_POINTS.items():
            planted, benign = (measured(rows, split, planted=p, read=read) for p in (True, False))
            if not planted and not benign:
                continue
            cells = [
                rate([any(tell(g) for g in verdicts(r, read)) for r in of])
                for of in (planted, benign)
                for tell in (alarm, confirmed)
            ]
            named = [r for r in planted if r.get("named") and any_of(r, read, alarm)]
            table.append(
                [split, name, *cells, rate([any_of(r, read, names_plant(r)) for r in named])]
            )
    head = ["split", "compared", "planted: detected", "planted: confirmed"]
    head += ["benign: false positives", "benign: confirmed", "named"]
    return tabulate(table, head, tablefmt="github", disable_numparse=True)


def by_kind(rows: Rows) -> str:
    columns = [
        (split, read)
        for split in SPLITS
        for read in HOOK_POINTS
        if any(measured(rows, split, planted=p, read=read) for p in (True, False))
    ]
    table = []
    for planted in (True, False):
        for kind in dict.fromkeys(r["kind"] for r in rows if r["planted"] == planted):
            cells = []
            for split, read in columns:
                of = measured(rows, split, planted=planted, read=read)
                of = [r for r in of if r["kind"] == kind]
                cells.append(f"{sum(any_of(r, read, alarm) for r in of)}/{len(of)}" if of else "")
            if any(cells):
                table.append(["planted" if planted else "benign", kind, *cells])
    head = ["", "kind", *(f"{split}, {HOOK_POINTS[read]}" for split, read in columns)]
    summary = "Detected planted upgrades and false positives among the benign ones, by kind:"
    return f"{summary}\n\n" + tabulate(table, head, tablefmt="github", disable_numparse=True)


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
                r["split"][:3],
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
    head = [
        "split",
        "organism",
        "behaviour before → after",
        "texts",
        "output KL",
        "verdict in a block",
    ]
    head += ["confirmed c/b", "possible c/b", "strength c/b", "verdict in the output"]
    head += ["confirmed c/b", "possible c/b", "strength c/b", "named in"]
    summary = (
        "c/b: candidate-only / baseline-only. Texts: those with the plant's words or of its kind, "
    )
    summary += "of about 110. Verdict: `within` or `exceeded` (the budget of 0), or `inconclusive`."
    return f"{summary}\n\n" + tabulate(table, head, tablefmt="github", disable_numparse=True)
