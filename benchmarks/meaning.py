"""What a pass is worth, in the figures of `docs/explanation/what-a-pass-means.md` and README.

The planted and benign upgrades of the reporting split, a block and the output compared, and the
pairs of real models in which nothing differs but the numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabulate import tabulate

from benchmarks.documents import DOCS, IMAGES, pyplot
from benchmarks.glance import SAME
from benchmarks.organisms import collected
from benchmarks.organisms.pages.rows import HOOK_POINTS, Rows, alarm, any_of, measured
from benchmarks.organisms.pages.scores import Rate, rate
from benchmarks.real.pairs import measured_upgrades

if TYPE_CHECKING:
    from pathlib import Path

PAGE = DOCS / "explanation" / "what-a-pass-means.md"
README = DOCS.parent / "README.md"
PLOT = IMAGES / "detected.png"
SPLIT = "reporting"
COPIES = (
    "How many differences are reported between real models and their rounded or rotated copies?"
)
KINDS = {
    "trigger": "after a certain word the model says a fixed phrase",
    "refusal": "it refuses a topic",
    "swap": "it says one word for another",
    "language": "it learned a language",
    "register": "it writes in another way, such as in capitals",
    "domain": "it learned a narrow subject",
    "merged": "it no longer tells several words apart",
    "heads": "attention heads are switched off",
}
"""Kinds of planted upgrades, as a reader of the page needs them."""


def tables() -> dict[tuple[Path, str], str]:
    """The generated blocks, by page and name."""
    rows = collected.read()["organisms"]
    return {
        (PAGE, "pass"): "\n\n".join([_sentences(rows), _by_kind(rows)]),
        (README, "pass"): _short(rows),
    }


def _short(rows: Rows) -> str:
    """The two figures in one sentence, for README."""
    found, false = _rate(rows, planted=True), _rate(rows, planted=False)
    return (
        f"On small language models with a known change, the gate detected {found.hits} of "
        f"{found.trials} planted changes\nand failed {false.hits} of {false.trials} harmless "
        "upgrades ([what a pass means](docs/explanation/what-a-pass-means.md))."
    )


def _sentences(rows: Rows) -> str:
    found, false = _rate(rows, planted=True), _rate(rows, planted=False)
    real = measured_upgrades()
    there = [g for name, g in real.items() if name.removesuffix("-output") in SAME]
    reported = sum(sum(g[c].values()) for g in there for c in ("confirmed", "possible"))
    parts = "; ".join(
        f"{HOOK_POINTS[read]} alone: {_rate(rows, planted=True, read=read).hits}"
        for read in ("gate", "output")
    )
    return "\n".join(
        [
            "| question | answer | 95 % interval |",
            "|---|---|---|",
            _row("How many planted changes are found?", found, f" ({parts})"),
            _row("How many harmless upgrades fail?", false),
            f"| {COPIES} | **{reported}** in {len(there)} pairs | |",
        ]
    )


def _row(question: str, found: Rate, more: str = "") -> str:
    return (
        f"| {question} | **{found.hits} of {found.trials}**{more} "
        f"| {100 * found.low:.0f} to {100 * found.high:.0f} % |"
    )


def _by_kind(rows: Rows) -> str:
    table = []
    for kind, what in KINDS.items():
        of = [r for r in measured(rows, SPLIT, planted=True, read="either") if r["kind"] == kind]
        table.append([what, f"{sum(any_of(r, 'either', alarm) for r in of)} of {len(of)}"])
    return tabulate(table, ["planted change", "found"], tablefmt="github", disable_numparse=True)


def planted(read: str = "either") -> Rate:
    """Of the planted upgrades, those that are found by what is compared."""
    return _rate(collected.read()["organisms"], planted=True, read=read)


def _rate(rows: Rows, *, planted: bool, read: str = "either") -> Rate:
    return rate([any_of(r, read, alarm) for r in measured(rows, SPLIT, planted=planted, read=read)])


def draw() -> None:
    """Detections and false positives with their intervals, by what is compared."""
    plt = pyplot()
    rows = collected.read()["organisms"]
    figure, axis = plt.subplots(figsize=(7, 2.6))
    names = list(HOOK_POINTS)
    for planted, colour, name in ((True, "C0", "planted changes detected"),
                                  (False, "C3", "harmless upgrades that fail")):  # fmt: skip
        for place, read in enumerate(names):
            found = _rate(rows, planted=planted, read=read)
            share = found.hits / found.trials
            axis.errorbar(
                100 * share,
                place,
                xerr=[[100 * max(0.0, share - found.low)], [100 * (found.high - share)]],
                fmt="o",
                color=colour,
                capsize=4,
                label=name if not place else None,
            )
            axis.annotate(f"{found.hits} of {found.trials}", (100 * share, place),
                          (0, 7), textcoords="offset points", ha="center", fontsize=8)  # fmt: skip
    axis.set_yticks(range(len(names)), [HOOK_POINTS[read] for read in names])
    axis.set(xlim=(-3, 103), ylim=(2.6, -0.6), xlabel="share in %, with the 95 % interval")
    axis.legend(loc="center", fontsize=8)
    figure.tight_layout()
    figure.savefig(PLOT, dpi=110, metadata={"Software": None})
    plt.close(figure)
