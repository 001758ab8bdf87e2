"""The plots of `docs/evidence.md` about organisms.  Needs matplotlib (the `evidence` extra)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.evidence import pyplot
from benchmarks.organisms.scores import roc
from benchmarks.organisms.sections import HALVES, values

if TYPE_CHECKING:
    from pathlib import Path


def draw_alternatives(rows: list[dict[str, Any]], ways: dict[str, str], path: Path) -> None:
    """Detection against false alarms, the gate and what might stand in its place."""
    plt = pyplot()
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True)
    styles = ["-", "--", "-.", ":"]
    for axis, half in zip(axes, HALVES, strict=True):
        for i, (way, name) in enumerate(ways.items()):
            planted, benign = (values(rows, half, way, planted=p) for p in (True, False))
            if planted and benign:
                points = roc(planted, benign)
                thick = 2.8 if way == "score" else 1.2
                x, y = zip(*points, strict=True)
                axis.step(x, y, styles[i % 4], where="post", linewidth=thick, label=name)
        axis.set(title=f"{half} half", xlabel="benign upgrades that alarm", xlim=(-0.02, 1.02))
    axes[0].set(ylabel="planted upgrades found", ylim=(-0.02, 1.02))
    axes[1].legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def draw_sweep(sweep: dict[str, Any], path: Path) -> None:
    """The gate's score against the tokens it read."""
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(6.5, 4))
    for name in dict.fromkeys(key.split("@")[0] for key in sweep):
        points = sorted(
            (int(key.split("@")[1]), record.get("score", 0.0), record.get("alarm", True))
            for key, record in sweep.items()
            if key.split("@")[0] == name
        )
        sizes, scores, alarms = zip(*points, strict=True)
        (line,) = axis.plot(sizes, scores, label=name)
        for size, score, alarm in zip(sizes, scores, alarms, strict=True):
            filled = line.get_color() if alarm else "white"
            axis.plot(size, score, "o", color=line.get_color(), markerfacecolor=filled)
    axis.set(xscale="log", xlabel="tokens read", ylabel="score; filled: not passed")
    axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
