"""The gate beside what one might use instead."""

from __future__ import annotations

from tabulate import tabulate

from benchmarks.organisms.pages.rows import SPLITS, Rows, measured
from benchmarks.organisms.pages.scores import MAX_FALSE_POSITIVE_RATE, area, rate, threshold

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


def detection_table(rows: Rows) -> str:
    """Detection at no more than `MAX_FALSE_POSITIVE_RATE` on the same benign upgrades, each with a
    threshold of its own.
    """
    table, splits = [], compared(rows)
    for way, name in {"score": "the gate's score in a block", **ALTERNATIVES}.items():
        cells: list[object] = [name]
        for split in splits:
            planted, benign = (values(rows, split, way, planted=p) for p in (True, False))
            if not planted or not benign:
                cells += ["none", "none"]
                continue
            cut = threshold(benign, MAX_FALSE_POSITIVE_RATE)
            cells += [rate([v > cut for v in planted]), f"{area(planted, benign):.2f}"]
        table.append(cells)
    head = ["method"] + [f"{what}, {split}" for split in splits for what in ("detected", "AUC")]
    return tabulate(table, head, tablefmt="github", disable_numparse=True)


def compared(rows: Rows) -> list[str]:
    """The splits on which the other ways were measured, too."""
    return [split for split in SPLITS if any(r["others"] for r in rows if r["split"] == split)]


def values(rows: Rows, split: str, way: str, *, planted: bool) -> list[float]:
    """One way's numbers on the organisms of a split."""
    where, name = {"score": ("gate", "score"), "output_score": ("output", "score")}.get(
        way, ("others", way)
    )
    return [
        v
        for r in measured(rows, split, planted=planted)
        if r.get(where) and (v := r[where].get(name)) is not None
    ]
