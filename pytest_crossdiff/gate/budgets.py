"""How much difference is allowed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.gate.metric_budgets import configured_limits
from pytest_crossdiff.gate.population import PopulationLimit
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from pytest_crossdiff.gate.metric_budgets import MetricLimit
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side


@dataclass(frozen=True)
class Limits:
    """What one side may have that the other hasn't; None is no limit.

    max_count: differences.  max_strength: their joint strength, 0 to 1.
    count_from, strength_from: where each limit was set, in words.
    """

    max_count: int | None
    max_strength: float | None
    count_from: str = ""
    strength_from: str = ""

    @classmethod
    def configured(cls, settings: Settings, side: Side) -> Limits:
        """The limits of `side` that the settings name."""
        count, strength = f"max_{side}_only", f"max_{side}_only_strength"
        return cls(
            getattr(settings, count),
            getattr(settings, strength),
            _origin(settings, count),
            _origin(settings, strength),
        )

    @classmethod
    def given(cls, max_count: int | None, max_strength: float | None, caller: str) -> Limits:
        """Limits written in a test.  Raises `SettingsError` for what can't be a limit."""
        for name, value, kinds, high in (
            ("max_count", max_count, int, math.inf),
            ("max_strength", max_strength, (int, float), 1.0),
        ):
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value <= high:
                wanted = "a whole number, at least 0" if kinds is int else "a number from 0 to 1"
                raise SettingsError(
                    f"{name} = {value!r} is not valid", source=caller, remedy=f"give {wanted}"
                )
        return cls(max_count, max_strength, f"max_count of {caller}", f"max_strength of {caller}")


@dataclass(frozen=True)
class Budgets:
    """What a verdict holds the result against; a side without limits is not judged.

    min_fve: least fraction of variance that the dictionary must explain of each model (held-out).
    metrics: limits on how much the predictions differ.  min_changed_replies: least share of the
    answers in which a difference changes what is said for it to count.  population:
    None without references.
    """

    candidate: Limits | None
    baseline: Limits | None
    min_fve: float
    fve_from: str = ""
    metrics: tuple[MetricLimit, ...] = ()
    min_changed_replies: float = 0.0
    population: PopulationLimit | None = None

    @classmethod
    def configured(cls, settings: Settings) -> Budgets:
        """All budgets that the settings name."""
        return cls(
            Limits.configured(settings, "candidate"),
            Limits.configured(settings, "baseline"),
            settings.min_fve,
            _origin(settings, "min_fve"),
            configured_limits(settings, lambda name: _origin(settings, name)),
            settings.min_changed_replies,
            _population_limit(settings),
        )

    @classmethod
    def of_side(cls, settings: Settings, side: Side, limits: Limits) -> Budgets:
        """`limits` for `side` and none for the other."""
        return cls(
            limits if side == "candidate" else None,
            limits if side == "baseline" else None,
            settings.min_fve,
            _origin(settings, "min_fve"),
            min_changed_replies=settings.min_changed_replies,
            population=_population_limit(settings),
        )

    @classmethod
    def of_output(cls, settings: Settings, metrics: tuple[MetricLimit, ...]) -> Budgets:
        """Limits for output metrics alone."""
        return cls(None, None, settings.min_fve, _origin(settings, "min_fve"), metrics)

    def limits(self, side: Side) -> Limits | None:
        """The limits of `side`, None when it isn't judged."""
        return self.candidate if side == "candidate" else self.baseline


def _population_limit(settings: Settings) -> PopulationLimit | None:
    if not settings.references:
        return None
    sides: tuple[Side, ...] = SIDES if settings.references_judge == "both" else ("candidate",)
    return PopulationLimit(settings.reference_level, _origin(settings, "reference_level"), sides)


def _origin(settings: Settings, name: str) -> str:
    source = settings.sources.get(name, "default")
    if source == "default":
        return f"default of crossdiff_{name}"
    written = name in source or name.replace("_", "-") in source
    return source if written else f"{name}, {source}"
