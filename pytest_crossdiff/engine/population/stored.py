"""What the references say of a planned pair, from the cache, judged first where it is missing.

Imported at every cached run, so it imports neither torch nor numpy itself.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.engine.beside import computed, stored
from pytest_crossdiff.engine.population.sources import (
    POPULATION,
    WHY_NONE,
    members,
    population_key,
)
from pytest_crossdiff.results.population import Population

if TYPE_CHECKING:
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.results.result import Result


class StoredPopulation(NamedTuple):
    """What the references say; else the reason why they say nothing, "" where there are none."""

    population: Population | None = None
    reason: str = ""

    def added_to(self, result: Result) -> Result:
        return dataclasses.replace(result, population=self.population, no_population=self.reason)


NOT_JUDGED = StoredPopulation(reason="the references have not been read yet")


def stored_population(plan: Plan) -> StoredPopulation | None:
    """What the cache holds, None where it holds nothing that is whole.

    Raises `ModelError` and `SettingsError` for references that do not exist.
    """
    if not plan.settings.references:
        return StoredPopulation()
    entry = plan.store.entry("population", population_key(plan, members(plan)))
    found = stored(entry, Population, POPULATION, WHY_NONE)
    return None if found is None else StoredPopulation(*found)


def load_or_judge(plan: Plan, progress: Progress) -> StoredPopulation:
    """The verdict of the references, told on `progress`; each reference is read at most once."""
    known = stored_population(plan)
    if known is not None:
        return known
    from pytest_crossdiff.engine.population.measure import measure

    found = members(plan)
    entry = plan.store.entry("population", population_key(plan, found))
    known = computed(
        entry,
        lambda: stored_population(plan),
        lambda: measure(plan, found, progress),
        lambda reason: StoredPopulation(reason=reason),
        progress,
    )
    if known.population is None:
        progress.note(f"not judged by the references: {known.reason}")
    return known
