"""Which reports a session writes: told by the tests, written once by the main process."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.summary import compare_layers
from pytest_crossdiff.report.write import REPORT_DIR, file_name, write
from pytest_crossdiff.results.result import build
from pytest_crossdiff.store.files import replace_file, translate_os_errors
from pytest_crossdiff.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pytest_crossdiff.gate.check import Check
    from pytest_crossdiff.report.summary import PairSummary
    from pytest_crossdiff.results.tests import TestsAtRisk
    from pytest_crossdiff.settings import Settings

FOLDER = "crossdiff-report"
"""In pytest's root folder, where no other is set."""
INDEX = "index"
"""The name of the page that lists the others, without the ending."""


@dataclass(frozen=True)
class ReportRecord:
    """That somebody wants the report of the result `key`.

    formats: forms in which a test wants it, in `folder`, "" for the default one.  loggers: trackers
    that it is logged to.
    report: the report itself, as JSON, the first time that a process wants it.
    """

    key: str
    formats: tuple[str, ...]
    folder: str
    report: str
    loggers: tuple[str, ...] = ()


class ReportRecorder:
    """Takes note of the reports that are wanted, in the process that runs the tests."""

    def __init__(self) -> None:
        self._new_records: list[ReportRecord] = []
        self._sent: set[tuple[str, str]] = set()
        self._always = bool(os.environ.get("GITHUB_STEP_SUMMARY"))

    def record_measurement(self, report: Report, settings: Settings) -> None:
        """A test asked for the differences of a pair."""
        if settings.report or settings.loggers or self._always:
            self._note(report, settings.report_dir, settings.report, settings.loggers)

    def record_verdict(self, report: Report, settings: Settings, check: Check) -> None:
        """A test asked for a verdict."""
        if not check.passed and settings.report_on_failure:
            self._note(report, settings.report_dir, settings.report_on_failure)

    def take(self) -> str:
        """What is new since the last call, as JSON; "" when nothing is."""
        new_records, self._new_records = self._new_records, []
        return json.dumps(new_records, default=vars) if new_records else ""

    def _note(self, report: Report, folder: str, wanted: str, loggers: str = "") -> None:
        place = report.result.key, folder
        text = "" if place in self._sent else report.to_json()
        self._sent.add(place)
        lists = (tuple(names.split(",")) if names else () for names in (wanted, loggers))
        formats, trackers = lists
        self._new_records.append(ReportRecord(report.result.key, formats, folder, text, trackers))


class ReportArchive:
    """Gathers evidence in the main process and writes each pair's report once.

    setting: says the folder, for the message where that can't be written.
    """

    def __init__(self, setting: str = REPORT_DIR) -> None:
        self._setting = setting
        self._reports: dict[tuple[str, str], str] = {}
        self._formats: dict[tuple[str, str], dict[str, None]] = {}
        self._pairs: dict[str, PairSummary] = {}
        self._loggers: dict[str, dict[str, None]] = {}
        self._written: list[Path] = []
        self._logged: list[str] = []
        self._problem = ""
        self._at_risk: TestsAtRisk | None = None

    def add(self, text: str) -> None:
        """Take what `ReportRecorder.take` gave out, in this process or another."""
        for record in build(tuple[ReportRecord, ...], json.loads(text)):
            self._add(record)

    def add_report(self, report: Report, formats: Iterable[str], folder: str) -> None:
        """Take a report of this process."""
        self._add(ReportRecord(report.result.key, tuple(formats), folder, report.to_json()))

    def close(
        self, root: Path, pairs: Iterable[PairSummary], at_risk: TestsAtRisk | None = None
    ) -> None:
        """Write and log what was asked for; where that fails, the run's own result stands all the
        same.

        pairs: all that were measured, with their verdicts, whether or not there is a report.
        at_risk: tests that one model passes and the other fails.
        """
        self._at_risk = at_risk
        try:
            self._written = self.write(root, pairs)
        except Exception as error:  # noqa: BLE001  told by `lines`
            self._problem = visible(str(error) or repr(error))
        if self._loggers:
            from pytest_crossdiff.report.trackers.clients import log

            for (key, _), report, name in self._named():
                files = [path for path in self._written if path.stem == name]
                trackers = self._loggers.pop(key, ())
                self._logged += [log(report, files, tracker) for tracker in trackers]

    def lines(self, root: Path, *, every: bool = False) -> Iterator[str]:
        """What the terminal says of it: the files, as seen from `root`, or what went wrong.

        every: also the pages that an index lists.
        """
        listed = {path.parent for path in self._written if path.name == f"{INDEX}.html"}
        for path in self._written:
            if (
                path.parent in listed
                and path.suffix == ".html"
                and path.stem != INDEX
                and not every
            ):
                continue
            seen = path.relative_to(root) if path.is_relative_to(root) else path
            yield f"crossdiff report: {visible(str(seen))}"
        if self._problem:
            yield f"crossdiff: no report: {self._problem}"
        yield from self._logged

    def write(self, root: Path, pairs: Iterable[PairSummary]) -> list[Path]:
        """Write what was asked for, as `close`; the default folder is made in `root`.  Raises
        `StoreError`.
        """
        self._pairs = {pair.key: pair for pair in pairs}
        written = []
        pages: dict[str, list[tuple[Path, str, Report]]] = {}
        for (key, folder), report, name in self._named():
            formats = self._formats[key, folder]
            made = _made(root, folder)
            paths = write(report, formats, made, name, setting=self._setting) if formats else []
            written += paths
            found = [(path, file_name(report), report) for path in paths if path.suffix == ".html"]
            pages.setdefault(folder, []).extend(found)
        indexes = (_write_indexes(of, self._setting) for of in pages.values())
        return [*written, *(path for of in indexes for path in of)]

    def reports(self) -> Iterator[Report]:
        """Every pair's report, once."""
        yield from {report.result.key: report for _, report, _ in self._named()}.values()

    def _add(self, record: ReportRecord) -> None:
        place = record.key, record.folder
        self._formats.setdefault(place, {}).update(dict.fromkeys(record.formats))
        if record.loggers:
            self._loggers.setdefault(record.key, {}).update(dict.fromkeys(record.loggers))
        if record.report:
            self._reports.setdefault(place, record.report)

    def _named(self) -> Iterator[tuple[tuple[str, str], Report, str]]:
        """Each report with its place and name; pairs of one name differ in their keys."""
        reports = {place: self._report(place[0], text) for place, text in self._reports.items()}
        names = {place: file_name(report) for place, report in reports.items()}
        count = Counter((place[1], name) for place, name in names.items())
        for place, name in names.items():
            if count[place[1], name] > 1:
                names[place] = f"{name}-{place[0][:8]}"
        for (key, folder), report in reports.items():
            pages = {
                of: f"{name}.html"
                for (of, beside), name in names.items()
                if beside == folder and "html" in self._formats[of, beside]
            }
            layers = compare_layers(key, self._pairs.values(), pages)
            full = replace(report, layers=layers, at_risk=self._at_risk)
            yield (key, folder), full, names[key, folder]

    def _report(self, key: str, text: str) -> Report:
        """A report as one process sent it, with what all of them know of the pair."""
        pair = self._pairs[key]
        report = Report.from_json(text)
        return replace(report, checks=pair.checks, accepted=pair.accepted, cached=pair.cached)


def _write_indexes(pages: list[tuple[Path, str, Report]], setting: str) -> Iterator[Path]:
    """Of several pages in one folder: an index, and where some share a name a list of that name.

    pages: file, the name that a message gives, report.  Raises `StoreError`.
    """
    from pytest_crossdiff.report.page.index_page import index_page

    shared = {name for path, name, _ in pages if path.stem != name}
    lists = {name: [page for page in pages if page[1] == name] for name in sorted(shared)}
    if len(pages) > 1:
        lists[INDEX] = pages
    for name, listed in lists.items():
        path = listed[0][0].with_name(f"{name}.html")
        text = index_page((file.name, report) for file, _, report in listed)
        with translate_os_errors(path, "write", setting=setting):
            replace_file(path, text.encode("utf-8", "backslashreplace"))
        yield path


def page_path(report: Report, settings: Settings) -> str:
    """The page of `report` where a verdict on it fails, as seen from the root folder; "" for none.

    Where several pairs share the name, a page of that name lists their pages.
    """
    wanted = f"{settings.report},{settings.report_on_failure}".split(",")
    if "html" not in wanted:
        return ""
    return str(PurePath(settings.report_dir or FOLDER) / f"{file_name(report)}.html")


def _made(root: Path, folder: str) -> Path:
    """The folder; the default one, while it is empty, asks git to leave it alone."""
    if folder:
        return root / folder
    path = root / FOLDER
    if path.exists() and not path.is_dir():
        return path  # writing says so
    with translate_os_errors(path, "make", setting=REPORT_DIR):
        path.mkdir(exist_ok=True)
        if not any(path.iterdir()):  # also where a killed run made it
            replace_file(path / ".gitignore", b"*\n")
    return path
