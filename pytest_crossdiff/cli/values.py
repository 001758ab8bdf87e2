"""The self-check of both models among the checks on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from pytest_crossdiff.cli.checks import Checks
    from pytest_crossdiff.engine.models.reading.self_check import SelfCheck
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side


def check_values(checks: Checks, plan: Plan, settings: Settings) -> None:
    """Whether each model is read as it runs at its layer: from the cache, or checked now."""
    from pytest_crossdiff.engine.self_checks import checked

    def check(side: Side) -> SelfCheck:
        return checked(plan, settings, side, lambda _: None)

    for side in SIDES:
        if plan.references[side].archived:
            continue
        where = f"layer {settings.layer_of(side)}: "
        checks.attempt(
            f"{side} values",
            lambda side=side: check(side),  # type: ignore[misc]
            lambda found, where=where: where + found.words(),  # type: ignore[misc]
        )
