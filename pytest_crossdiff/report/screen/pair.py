"""What the summary says of a pair, however many lines it has: verdict, names, limits, accepted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_crossdiff.report.acceptance import describe_acceptance
from pytest_crossdiff.report.output.metrics import metric_headline
from pytest_crossdiff.text import Display, cut, visible, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.gate.check import Check
    from pytest_crossdiff.report.summary import PairSummary

WORDS = {
    "exceeded": "OVER BUDGET",
    "insufficient": "NO VERDICT",
    "inconclusive": "INCONCLUSIVE",
    "within": "within budget",
    "": "measured",
}
"""What each status of a verdict is called on the terminal."""


def status(pair: PairSummary) -> str:
    """The worst verdict that was drawn on the pair, "" when none was."""
    drawn = {check.status for check in pair.checks}
    worst_first = ("exceeded", "insufficient", "inconclusive", "within")
    return next((s for s in worst_first if s in drawn), "")


def names(pair: PairSummary, root: Path) -> str:
    """`models/v1 -> models/v2, block 3 of 6`; each with its layer where these differ."""
    models = [visible(short(model.reference, root)) for model in pair.models]
    layers = [model.has.layer_name for model in pair.models]
    if len({*layers}) == 1:
        return f"{' -> '.join(models)}, {layers[0]}"
    return " -> ".join(f"{model} {layer}" for model, layer in zip(models, layers, strict=True))


def short(reference: str, root: Path) -> str:
    """A path as seen from `root`, or its end; a hub id as it is."""
    path = Path(reference)
    if path.is_relative_to(root):
        return str(path.relative_to(root))
    return f"…/{path.name}" if path.is_absolute() else reference


def fact(name: str, text: str) -> str:
    """A line of the summary."""
    return visible(f"  {name:<15} {text}")


def other_limits(pair: PairSummary) -> Iterator[tuple[str, str]]:
    """What has limits beside the differences of either side."""
    for metric in dict.fromkeys(m for check in pair.checks for m in check.metrics):
        yield "metric", metric_headline(metric)
    for judged in dict.fromkeys(p for check in pair.checks for p in check.population):
        yield "references", visible(judged.sentence)
    yield from dict.fromkeys((_reason_name(c), c.reason) for c in pair.checks if c.reason)


def _reason_name(check: Check) -> str:
    if check.status == "insufficient":
        return "no verdict"
    if check.population or check.lacking:
        return "dictionary"
    return "too different" if check.too_far_apart else "forbidden"


def accepted(pair: PairSummary, display: Display) -> Iterator[str]:
    """A line for each difference that was accepted; with -v all that is known of it."""
    for acceptance in pair.accepted:
        if acceptance.state == "accepted":
            line = fact("accepted", describe_acceptance(acceptance))
            if display.verbosity < 1:
                yield cut(line, display.width)
            else:
                yield from wrapped(line, display.width, len(fact("", "")))
