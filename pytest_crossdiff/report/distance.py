"""The model distance, and what it means for a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.text import percent

if TYPE_CHECKING:
    from pytest_crossdiff.results.result import Result

WITHOUT_REFERENCES = (
    "reference models (crossdiff_references) would add a verdict with a stated false positive rate"
)


def model_distance(result: Result) -> str:
    """The models' distance and the exclusivity it requires, "" where the setting requires more."""
    both = result.baseline, result.candidate
    asked = float(result.settings.get("exclusivity", 0.5))
    if all(model.required_exclusivity <= asked for model in both):
        return ""
    left = [percent(model.unmapped) for model in both]
    without_references = result.population is None and not result.no_population
    least = [f"{model.required_exclusivity:.2f}" for model in both]
    return (
        f"linear maps leave {left[0]} of the baseline's variance and {left[1]} of the candidate's "
        f"unexplained; a difference is confirmed only above exclusivity {least[0]} and {least[1]}"
        + (f"; {WITHOUT_REFERENCES}" if without_references else "")
    )
