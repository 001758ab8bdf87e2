"""The plots of `docs/evidence.md` about organisms.  Needs matplotlib (the `evidence` extra)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.documents import pyplot
from benchmarks.organisms.pages.comparison import compared, values
from benchmarks.organisms.pages.scores import rate, roc

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.organisms.pages.rows import Rows


def draw_alternatives(rows: list[dict[str, Any]], ways: dict[str, str], path: Path) -> None:
    """Detection against false alarms, the gate and what might stand in its place."""
    plt = pyplot()
    halves = compared(rows)
    figure, axes = plt.subplots(1, len(halves), figsize=(11, 4.6), sharey=True)
    styles = ["-", "--", "-.", ":"]
    for axis, half in zip(axes, halves, strict=True):
        for i, (way, name) in enumerate(ways.items()):
            planted, benign = (values(rows, half, way, planted=p) for p in (True, False))
            if planted and benign:
                points = roc(planted, benign)
                thick = 2.8 if way.endswith("score") else 1.2
                x, y = zip(*points, strict=True)
                axis.step(x, y, f"C{i}", ls=styles[i % 4], where="post", lw=thick, label=name)
        axis.set(title=f"{half} half", xlabel="benign upgrades that alarm", xlim=(-0.02, 1.02))
    axes[0].set(ylabel="planted upgrades found", ylim=(-0.02, 1.02))
    axes[-1].legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def draw_sweep(swept: dict[int, Rows], path: Path) -> None:
    """Detection and false alarms, with intervals, against the tokens that the gate read."""
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(6.5, 4))
    for planted, name in ((True, "planted upgrades"), (False, "benign upgrades")):
        rates = [
            rate([r["gate"]["alarm"] for r in rows if r["planted"] == planted])
            for rows in swept.values()
        ]
        share = [r.hits / r.trials for r in rates]
        ends = [
            [s - r.low for s, r in zip(share, rates, strict=True)],
            [r.high - s for s, r in zip(share, rates, strict=True)],
        ]
        axis.errorbar(list(swept), share, ends, marker="o", capsize=4, label=name)
    axis.set(xscale="log", xlabel="tokens read", ylabel="share not passed", ylim=(-0.02, 1.02))
    axis.set_xticks(list(swept), [f"{size:,}" for size in swept])
    axis.minorticks_off()
    axis.legend(loc="center left")
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
