"""The output metrics as Markdown: how much the predictions differ, by slice, and where most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.report.markup import escaped
from pytest_crossdiff.results.wording import describe_position, estimate
from pytest_crossdiff.text import number, percent, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.results.output import Estimate, OutputMetrics
    from pytest_crossdiff.results.result import Result

SLICES, POSITIONS = 10, 5


def output_section(result: Result) -> Iterator[str]:
    """Tables of the metrics; one line where there are none and the reason is known."""
    output = result.output
    if output is None:
        if result.no_output:
            yield from ("", f"Output metrics not measured: {escaped(result.no_output)}")
        return
    texts = plural(output.documents, "held-out document")
    what = f"{plural(output.positions, output.unit)} of {texts}"
    yield from ("", f"What the models predict, on {what} (95 % intervals over documents):", "")
    yield from ("| metric | value |", "|---|---|")
    yield from (f"| {name} | {escaped(value)} |" for name, value in metric_rows(output))
    if len(output.slices) > 1:
        yield from ("", *_slices(output))
    if output.largest:
        yield from ("", "The predictions differ most here:", "")
    yield from (f"- {escaped(describe_position(p, 160), 200)}" for p in output.largest[:POSITIONS])


def metric_rows(output: OutputMetrics) -> Iterator[tuple[str, str]]:
    """The metrics by their names, with their intervals."""
    unit = "token" if output.unit == "token" else "byte"
    if output.kl is not None:
        yield "KL(baseline ‖ candidate), nats a token", estimate(output.kl)
        yield "its percentiles", _percentiles(output.kl_percentiles)
    if output.temperature is not None and output.tempered_kl is not None:
        name = f"KL with the candidate at temperature {number(output.temperature)}, its nearest"
        yield name, estimate(output.tempered_kl)
    if output.same_top is not None:
        yield "same top token", estimate(output.same_top, percent)
    if output.probability_change is not None and output.probability_change_rms is not None:
        yield "change of the actual token's probability, mean", estimate(output.probability_change)
        yield "the same, root mean square", estimate(output.probability_change_rms)
        yield "its percentiles", _percentiles(output.probability_change_percentiles)
    name = f"change of a {output.unit}'s log p, root mean square, nats"
    yield name, estimate(output.log_probability_change_rms)
    yield f"perplexity ratio, by {unit}", estimate(output.perplexity_ratio)
    yield f"loss of the baseline, nats a {unit}", estimate(output.baseline_loss)
    yield f"loss of the candidate, nats a {unit}", estimate(output.candidate_loss)


def _percentiles(found: dict[str, Estimate]) -> str:
    return ", ".join(f"{name} %: {number(of.value)}" for name, of in found.items())


def _slices(output: OutputMetrics) -> Iterator[str]:
    yield "| slice | documents | KL | same top token | perplexity ratio |"
    yield "|---|---|---|---|---|"
    ranked = sorted(output.slices, key=lambda s: -(s.kl.value if s.kl else s.positions))
    for s in ranked[:SLICES]:
        kl = estimate(s.kl) if s.kl else "-"
        same = estimate(s.same_top, percent) if s.same_top else "-"
        cells = (s.name, str(s.documents), kl, same, estimate(s.perplexity_ratio))
        yield f"| {' | '.join(map(escaped, cells))} |"
    if len(ranked) > SLICES:
        yield from ("", f"… and {len(ranked) - SLICES} more slices")
