"""What became known since the last test report: pairs, verdicts, results, proposals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.report.archive import ReportRecorder
from pytest_crossdiff.report.summary import PairSummary, merge

if TYPE_CHECKING:
    from pytest_crossdiff.gate.check import Check
    from pytest_crossdiff.gate.new_entries import Proposal
    from pytest_crossdiff.report.document import Report
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.settings import Settings


class NewResults(NamedTuple):
    """Pairs with their verdicts, new results, and what a request to accept comes to on them."""

    pairs: list[PairSummary]
    results: list[Result]
    proposals: list[Proposal]


class ResultCollector:
    """Collects them while tests run.  report_recorder: what the reports contain."""

    def __init__(self) -> None:
        self._pairs: dict[str, PairSummary] = {}
        self._results: dict[str, Result] = {}
        self._proposals: dict[str, Proposal] = {}
        self._reported_keys: set[str] = set()
        self.report_recorder = ReportRecorder()

    def add(self, report: Report, settings: Settings, proposal: Proposal | None) -> None:
        """A pair was measured, or asked for again."""
        self.report_recorder.record_measurement(report, settings)
        result = report.result
        merge(self._pairs, [PairSummary.of(report)])
        if proposal is not None:
            self._proposals[result.key] = proposal
        if result.key not in self._reported_keys:
            self._reported_keys.add(result.key)
            self._results[result.key] = result

    def add_check(self, report: Report, settings: Settings, check: Check) -> None:
        """A verdict was drawn on a pair that was added."""
        merge(self._pairs, [PairSummary.of(report).with_check(check)])
        self.report_recorder.record_verdict(report, settings, check)

    def take(self, test: str) -> NewResults:
        """What is new since the last call, all of it from `test`."""
        pairs = [pair.with_test(test) for pair in self._pairs.values()]
        new = NewResults(pairs, [*self._results.values()], [*self._proposals.values()])
        self._pairs, self._results, self._proposals = {}, {}, {}
        return new
