"""The plots of `docs/evidence/organisms.md`.  Needs matplotlib (the group `evidence`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.documents import pyplot
from benchmarks.organisms.pages.comparison import compared, values
from benchmarks.organisms.pages.scores import rate, roc

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.organisms.pages.rows import Rows


def draw_alternatives(rows: list[dict[str, Any]], ways: dict[str, str], path: Path) -> None:
    """Detection rate against false positive rate, of the gate and of other methods."""
    plt = pyplot()
    splits = compared(rows)
    figure, axes = plt.subplots(1, len(splits), figsize=(11, 4.6), sharey=True)
    styles = ["-", "--", "-.", ":"]
    for axis, split in zip(axes, splits, strict=True):
        for i, (way, name) in enumerate(ways.items()):
            planted, benign = (values(rows, split, way, planted=p) for p in (True, False))
            if planted and benign:
                points = roc(planted, benign)
                thick = 2.8 if way.endswith("score") else 1.2
                x, y = zip(*points, strict=True)
                axis.step(x, y, f"C{i}", ls=styles[i % 4], where="post", lw=thick, label=name)
        axis.set(
            title=f"{split} split",
            xlabel="false positive rate",
            xlim=(-0.02, 1.02),
        )
    axes[0].set(ylabel="detection rate", ylim=(-0.02, 1.02))
    axes[-1].legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def draw_sweep(swept: dict[int, Rows], path: Path) -> None:
    """Detections and false positives, with intervals, against the tokens that the gate read."""
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(6.5, 4))
    for planted, name in ((True, "detections (planted)"), (False, "false positives (benign)")):
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
    axis.set(xscale="log", xlabel="tokens read", ylabel="rate", ylim=(-0.02, 1.02))
    axis.set_xticks(list(swept), [f"{size:,}" for size in swept])
    axis.minorticks_off()
    axis.legend(loc="center left")
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
