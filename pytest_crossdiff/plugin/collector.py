"""What the main process does with what the test reports carry, from itself and from workers.

Imported at the first report that carries something: a session without is spared it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_crossdiff.report.archive import ReportArchive
    from pytest_crossdiff.report.ci.github import Problem
    from pytest_crossdiff.report.summary import PairSummary
    from pytest_crossdiff.results.tests import TestsAtRisk


class SessionCollector:
    """Gathers what the test reports carry, from this process or from workers, and reports it."""

    def __init__(self, config: pytest.Config, width: int) -> None:
        self._config = config
        self._width = width
        self._pairs: dict[str, PairSummary] = {}
        self._reported_keys: set[str] = set()
        self._proposals: list[str] = []
        self._accepting: list[pytest.TestReport] = []
        self._shown: dict[str, str] = {}
        self._acceptance_message = ""
        self._archive: ReportArchive | None = None
        self._problems: list[Problem] = []
        self._recorded: list[str] = []
        self._at_risk: TestsAtRisk | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what the report carries; spare a message that another test has, too."""
        if hasattr(report, "crossdiff_pairs"):
            from pytest_crossdiff.report.summary import from_json, merge

            merge(self._pairs, from_json(report.crossdiff_pairs))
        if report.failed and hasattr(report, "crossdiff_problem"):
            from pytest_crossdiff.plugin.failures import shorten

            shorten(report, self._shown)
            self._problems.append((*report.location[:2], report.crossdiff_problem))
        if hasattr(report, "crossdiff_proposals"):
            self._proposals += report.crossdiff_proposals
            self._accepting.append(report)
        if hasattr(report, "crossdiff_recorded"):
            self._recorded.append(report.crossdiff_recorded)
        if hasattr(report, "crossdiff_report_records"):
            from pytest_crossdiff.report.archive import ReportArchive

            self._archive = self._archive or ReportArchive()
            self._archive.add(report.crossdiff_report_records)
        for text in getattr(report, "crossdiff_results", ()):
            from pytest_crossdiff.results.result import Result

            result = Result.from_json(text)
            if result.key not in self._reported_keys:
                self._reported_keys.add(result.key)
                self._config.hook.pytest_crossdiff_result(config=self._config, result=result)

    @pytest.hookimpl(tryfirst=True)  # before JUnit's file is written
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Find the tests at risk; write the reports; accept what `--crossdiff-accept` names."""
        if self._recorded and not self._config.option.collectonly:
            from pytest_crossdiff.plugin.at_risk import find

            self._at_risk = find(self._config, self._recorded, self._pairs)
            if self._at_risk:
                from pytest_crossdiff.report.ci.junit import add_at_risk

                add_at_risk(self._config.pluginmanager, self._at_risk)
        if self._archive:
            self._archive.close(self._config.rootpath, self._pairs.values(), self._at_risk)
        if self._config.option.crossdiff_accept is None or self._config.option.collectonly:
            return
        from pytest_crossdiff.errors import CrossDiffError
        from pytest_crossdiff.gate.acceptance import AcceptanceRecord
        from pytest_crossdiff.gate.new_entries import Proposal

        try:
            proposals = map(Proposal.from_json, self._proposals)
            self._acceptance_message = AcceptanceRecord.of(self._config).write_accepted(proposals)
        except CrossDiffError as error:
            self._acceptance_message = str(error)
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
            reporter = self._config.pluginmanager.get_plugin("terminalreporter")
            if reporter is not None:
                from pytest_crossdiff.plugin.failures import reject

                reject(self._accepting, reporter, error.what)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write a block for each pair, or nothing."""
        try:
            if self._pairs:
                from pytest_crossdiff.report.terminal import write_summary

                root = self._config.rootpath
                write_summary(terminalreporter, self._pairs.values(), root, self._width)
                every = self._config.get_verbosity() > 0
                for line in self._archive.lines(root, every=every) if self._archive else ():
                    terminalreporter.write_line(line)
            if self._at_risk:
                from pytest_crossdiff.report.output.at_risk import write_at_risk

                write_at_risk(terminalreporter, self._at_risk, self._width)
        except Exception as error:  # noqa: BLE001  nothing may hide the result of the run
            terminalreporter.write_line(f"crossdiff: no summary: {error!r}")
        for line in self._acceptance_message.splitlines():
            terminalreporter.write_line(f"crossdiff: {line}")
        on_github = os.environ.get("GITHUB_ACTIONS") or os.environ.get("GITHUB_STEP_SUMMARY")
        if on_github and (self._pairs or self._problems):
            from pytest_crossdiff.report.ci.github import write_github_output

            reports = self._archive.reports() if self._archive else ()
            write_github_output(terminalreporter, self._problems, self._pairs.values(), reports)
