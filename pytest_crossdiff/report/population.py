"""What a message and a Markdown report say of a verdict over reference models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.gate.population import describe_feature
from pytest_crossdiff.report.markup import escaped
from pytest_crossdiff.text import Display, cut, number, plural, visible, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.gate.check import Check
    from pytest_crossdiff.gate.population import PopulationCheck
    from pytest_crossdiff.results.population import Population, PopulationFeature, ReferenceModel
    from pytest_crossdiff.results.result import Result

FEATURES = 0, 5, 30
"""Features of each model that are shown with -q, without, with -v."""


def population_headlines(check: Check) -> list[str]:
    """A line for each model that was judged by the references."""
    return [f"REFERENCES: {visible(of.sentence)}" for of in check.population]


def population_lines(result: Result, check: Check, display: Display) -> list[str]:
    """The features in which a model differs from the references, and what limits the verdict."""
    lines: list[str] = []
    for of in check.population:
        shown = _differing(of)[: display.of(*FEATURES)]
        if shown:
            lines += ["", f"Where the {of.side} differs from the references, most first:"]
        lines += [cut(f"  {visible(text)}", display.width) for text in map(_described, shown)]
    if result.population is not None and check.population:
        for note in population_notes(result.population):
            lines += wrapped(f"note       {visible(note)}", display.width, len("note       "))
    return lines


def population_notes(population: Population) -> Iterator[str]:
    """What limits the verdict: references that do not count, and warnings."""
    for of in population.references:
        if of.left_out:
            yield f"the reference {of.name} is left out: {of.left_out}"
        elif of.same_as:
            yield f"the reference {of.name} is nearly identical with {of.same_as}: they count once"
    yield from population.warnings


def describe_population(result: Result) -> str:
    """The references on one line, "" where there are none."""
    population = result.population
    if population is None:
        return f"not judged: {result.no_population}" if result.no_population else ""
    used = sum(not (of.left_out or of.same_as) for of in population.references)
    texts = f"{plural(population.spans, 'span')} of {plural(population.documents, 'document')}"
    found = f"{plural(used, 'model')}, {plural(population.features, 'feature')} over {texts}"
    if population.continuations:
        written = plural(population.continuations, "continuation")
        found += f", {plural(population.words, 'word')} in {written} of each model"
    return found


def population_section(result: Result) -> Iterator[str]:
    """The references and the features that differ, as Markdown."""
    population = result.population
    if population is None:
        if result.no_population:
            yield from ("", f"Not judged by references: {escaped(result.no_population)}")
        return
    yield from ("", f"Reference models: {describe_population(result)}", "")
    yield from ("| reference | largest deviation | nats a character | |", "|---|---|---|---|")
    yield from (_reference_row(of) for of in population.references)
    for judged in population.judged:
        shown = judged.features
        if not shown:
            continue
        what = f"largest deviation {number(judged.largest)}, of a reference at most "
        yield from ("", f"The {judged.side} against them ({what}{number(judged.threshold)}):", "")
        yield from (f"- {escaped(_described(feature))}" for feature in shown)
    yield from (f"- {escaped(note)}" for note in population.warnings)


def _reference_row(of: ReferenceModel) -> str:
    state = of.left_out and f"left out: {of.left_out}"
    state = state or (of.same_as and f"nearly identical with {of.same_as}: they count once")
    largest = "-" if of.largest is None else number(of.largest)
    loss = "-" if of.loss is None else number(of.loss)
    return f"| {escaped(of.name)} | {largest} | {loss} | {escaped(state)} |"


def _differing(check: PopulationCheck) -> tuple[PopulationFeature, ...]:
    """Those that differ, by the rule or by their p-value."""
    if check.status == "exceeded":
        return tuple(f for f in check.features if f.significant or abs(f.z) > check.threshold)
    return tuple(f for f in check.features if f.significant)


def _described(feature: PopulationFeature) -> str:
    """`on 'peace' 1.3 nats less probable (z = -6.1), on 40 spans of 31 documents, p = 0.0002`."""
    where = f"{plural(feature.spans, 'span')} of {plural(feature.documents, 'document')}"
    if feature.share is not None:
        where = plural(feature.spans, "continuation")
    also = f"; the same spans: {', '.join(feature.also)}" if feature.also else ""
    return f"{describe_feature(feature)}, on {where}, p = {feature.p_value:.2g}{also}"
