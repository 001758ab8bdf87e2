"""`CrossDiff`: one measured pair, with everything a test can ask of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_crossdiff.gate import patterns
from pytest_crossdiff.gate.budgets import Budgets, Limits
from pytest_crossdiff.gate.metric_budgets import given_limits
from pytest_crossdiff.gate.recognition import NONE_ACCEPTED
from pytest_crossdiff.plugin import assertions
from pytest_crossdiff.report.screen.pointers import Pointers
from pytest_crossdiff.text import DEFAULT_DISPLAY, Display

if TYPE_CHECKING:
    import re
    from collections.abc import Callable
    from pathlib import Path

    from pytest_crossdiff.gate.check import Check
    from pytest_crossdiff.gate.patterns import Sides
    from pytest_crossdiff.gate.recognition import Recognition
    from pytest_crossdiff.report.document import Report
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side


@dataclass(frozen=True, eq=False, repr=False)
class CrossDiff:
    """What the baseline and the candidate have that the other hasn't, on held-out text.

    report: the measurement as it is reported, with no verdict yet.
    accepted: which of the differences were accepted before; they count against no budget.
    pointers: what a message points to, in the test that asks.  display: how much it shows.
    on_check: called with each verdict that is drawn.

    Every assertion raises `BudgetExceeded` when it doesn't hold, `InsufficientData` when the
    measurement is too poor to say (`crossdiff_min_fve`, a control that failed), and `Inconclusive`
    when the evidence doesn't decide it (unless `crossdiff_inconclusive = warn`).
    """

    report: Report
    settings: Settings
    accepted: Recognition = NONE_ACCEPTED
    pointers: Callable[[], Pointers] = Pointers
    display: Display = DEFAULT_DISPLAY
    on_check: Callable[[Check], None] = lambda _: None

    def __repr__(self) -> str:
        counts = (
            f"{len(self.candidate_only)} candidate-only, {len(self.baseline_only)} baseline-only"
        )
        return f"<CrossDiff {self.settings.baseline} -> {self.settings.candidate}: {counts}>"

    @property
    def entry(self) -> Path | None:
        """Folder of the artefact."""
        return self.pointers().entry

    @property
    def result(self) -> Result:
        """Everything that was measured."""
        return self.report.result

    @property
    def cached(self) -> bool:
        """Whether nothing was computed."""
        return self.report.cached

    @property
    def candidate_only(self) -> tuple[Difference, ...]:
        """The confirmed differences that only the candidate has, strongest first."""
        return self.result.of("candidate")

    @property
    def baseline_only(self) -> tuple[Difference, ...]:
        """The confirmed differences that only the baseline has, strongest first."""
        return self.result.of("baseline")

    def assert_within_budget(self) -> None:
        """Hold both sides against the budgets of the settings (`crossdiff_max_*`)."""
        __tracebackhide__ = True
        self._assert_within(Budgets.configured(self.settings))

    def assert_candidate_only(
        self, max_count: int | None = None, max_strength: float | None = None
    ) -> None:
        """Limit what only the candidate has: differences, and their joint strength (0 to 1).

        With neither argument the budgets of the settings hold; with one, only that one does.
        """
        __tracebackhide__ = True
        self._assert_side("candidate", max_count, max_strength)

    def assert_baseline_only(
        self, max_count: int | None = None, max_strength: float | None = None
    ) -> None:
        """Limit what only the baseline has, as `assert_candidate_only` does for the candidate."""
        __tracebackhide__ = True
        self._assert_side("baseline", max_count, max_strength)

    def assert_no_feature(self, matching: str | re.Pattern[str], side: Sides = "candidate") -> None:
        """No difference that only `side` has fires on text in which `matching` is found, and its
        replies do not match significantly more often than those of the other model.

        matching: a regular expression, searched in the tokens that a difference fires on, in its
        contexts, in what is predicted there, and in both models' replies to the corpus's prompts.
        Accepted differences are left out.
        """
        __tracebackhide__ = True
        caller = "assert_no_feature"
        pattern, sides = patterns.compile_pattern(matching, caller), patterns.sides(side, caller)
        assertions.assert_none_match(
            self.report,
            pattern,
            patterns.matching(self.report.counted, pattern, sides),
            patterns.matching_replies(self.result, pattern, sides),
            Budgets.configured(self.settings),
            pointers=self.pointers(),
            display=self.display,
            on_check=self.on_check,
        )

    def assert_equivalent(
        self,
        *,
        max_kl: float | None = None,
        max_kl_p99: float | None = None,
        min_same_top: float | None = None,
        max_probability_change: float | None = None,
        max_perplexity_ratio: float | None = None,
    ) -> None:
        """Both models predict the same, up to the given limits, with 95 % confidence.

        Each limit is one of the settings of that name, e.g. `max_kl` in nats a token.  It holds
        where the whole 95 % interval of the metric is inside: too little text is no evidence, and
        fails.  Raises `SettingsError` when no limit is given.
        """
        __tracebackhide__ = True
        limits = {
            "max_kl": max_kl,
            "max_kl_p99": max_kl_p99,
            "min_same_top": min_same_top,
            "max_probability_change": max_probability_change,
            "max_perplexity_ratio": max_perplexity_ratio,
        }
        assertions.assert_equivalent(
            self.report,
            Budgets.of_output(self.settings, given_limits(limits, "assert_equivalent")),
            pointers=self.pointers(),
            display=self.display,
            on_check=self.on_check,
        )

    def _assert_side(self, side: Side, max_count: int | None, max_strength: float | None) -> None:
        __tracebackhide__ = True
        if max_count is None and max_strength is None:
            limits = Limits.configured(self.settings, side)
        else:
            limits = Limits.given(max_count, max_strength, f"assert_{side}_only")
        self._assert_within(Budgets.of_side(self.settings, side, limits))

    def _assert_within(self, budgets: Budgets) -> None:
        __tracebackhide__ = True
        assertions.assert_within(
            self.report,
            budgets,
            pointers=self.pointers(),
            display=self.display,
            on_check=self.on_check,
            lenient=self.settings.inconclusive == "warn",
        )
