"""Which reports a session writes: told by the tests, written once by the main process."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.gate import outlook
from pytest_crossdiff.gate.recognition import without_accepted
from pytest_crossdiff.report.document import Acceptance, Check, Report
from pytest_crossdiff.report.layers import compared
from pytest_crossdiff.report.text import visible
from pytest_crossdiff.report.write import file_name, write
from pytest_crossdiff.result import build
from pytest_crossdiff.store.files import explained, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pytest_crossdiff.gate.recognition import Recognition
    from pytest_crossdiff.gate.verdict import Verdict
    from pytest_crossdiff.options import Settings
    from pytest_crossdiff.report.summary import PairSummary
    from pytest_crossdiff.result import Result

FOLDER = "crossdiff-report"
"""In pytest's root folder, where no other is set."""


@dataclass(frozen=True)
class Evidence:
    """Something that is to stand in the report of the result `key`.

    checks: verdicts.  formats: forms in which a test wants the report, in `folder`, "" for the
    default one.  report: the report itself, as JSON, the first time that a process wants it.
    """

    key: str
    checks: tuple[Check, ...]
    formats: tuple[str, ...]
    folder: str
    report: str


class Pair(NamedTuple):
    """What was measured, with which settings, and what of it was accepted before."""

    result: Result
    settings: Settings
    accepted: Recognition


class Witness:
    """Takes note of what is measured and of the verdicts, in the process that runs the tests."""

    def __init__(self) -> None:
        self._news: list[Evidence] = []
        self._sent: set[tuple[str, str]] = set()
        self._always = bool(os.environ.get("GITHUB_STEP_SUMMARY"))

    def measured(self, pair: Pair) -> None:
        """A test asked for the differences of `pair`."""
        if pair.settings.report or self._always:
            self._note(pair, (), pair.settings.report)

    def judged(self, pair: Pair, verdict: Verdict) -> None:
        """A test asked for a verdict."""
        advice: Iterable[str] = ()
        if verdict.status == "inconclusive":
            counted = without_accepted(pair.result, pair.accepted)
            advice = outlook.advice(counted, verdict)
        lenient = pair.settings.inconclusive == "warn"
        self._checked(pair, Check.of(verdict, advice=advice, lenient=lenient))

    def matched(self, pair: Pair, what: str) -> None:
        """A test found what it forbids, said in words."""
        self._checked(pair, Check("", "exceeded", False, what, ()))

    def take(self, test: str) -> str:
        """What is new since the last call, all of it from `test`, as JSON; "" when nothing is."""
        news, self._news = self._news, []
        named = [
            replace(evidence, checks=tuple(replace(check, test=test) for check in evidence.checks))
            for evidence in news
        ]
        return json.dumps(named, default=vars) if named else ""

    def _checked(self, pair: Pair, check: Check) -> None:
        self._note(pair, (check,), "" if check.passed else pair.settings.report_on_failure)

    def _note(self, pair: Pair, checks: tuple[Check, ...], wanted: str) -> None:
        formats = tuple(wanted.split(",")) if wanted else ()
        result, settings, accepted = pair
        report = ""
        if (formats or self._always) and (result.key, settings.report_dir) not in self._sent:
            self._sent.add((result.key, settings.report_dir))
            known = {r.difference: Acceptance.of(r) for r in accepted.found}
            report = Report.of(result, settings=settings, accepted=known).to_json()
        self._news.append(Evidence(result.key, checks, formats, settings.report_dir, report))


class Archive:
    """Gathers evidence in the main process and writes each pair's report once."""

    def __init__(self) -> None:
        self._checks: dict[str, dict[Check, None]] = {}
        self._reports: dict[tuple[str, str], str] = {}
        self._formats: dict[tuple[str, str], dict[str, None]] = {}
        self._pairs: tuple[PairSummary, ...] = ()
        self._written: list[Path] = []
        self._problem = ""

    def add(self, text: str) -> None:
        """Take what `Witness.take` gave out, in this process or another."""
        for evidence in build(tuple[Evidence, ...], json.loads(text)):
            place = evidence.key, evidence.folder
            self._checks.setdefault(evidence.key, {}).update(dict.fromkeys(evidence.checks))
            self._formats.setdefault(place, {}).update(dict.fromkeys(evidence.formats))
            if evidence.report:
                self._reports.setdefault(place, evidence.report)

    def close(self, root: Path, pairs: Iterable[PairSummary] = ()) -> None:
        """Write what was asked for; where that fails, the run's own result stands all the same.

        pairs: all that were measured, whether or not there is a report of them.
        """
        self._pairs = tuple(pairs)
        try:
            self._written = self.write(root)
        except Exception as error:  # noqa: BLE001  told by `lines`
            self._problem = visible(str(error) or repr(error))

    def lines(self, root: Path) -> Iterator[str]:
        """What the terminal says of it: the files, as seen from `root`, or what went wrong."""
        for path in self._written:
            seen = path.relative_to(root) if path.is_relative_to(root) else path
            yield f"crossdiff report: {visible(str(seen))}"
        if self._problem:
            yield f"crossdiff: no report: {self._problem}"

    def write(self, root: Path) -> list[Path]:
        """Write what was asked for; the default folder is made in `root`.  Raises `StoreError`."""
        return [
            path
            for place, report, name in self._named()
            if self._formats[place]
            for path in write(report, self._formats[place], _made(root, place[1]), name)
        ]

    def reports(self) -> Iterator[Report]:
        """Every pair's report, once."""
        yield from {report.result.key: report for _, report, _ in self._named()}.values()

    def _named(self) -> Iterator[tuple[tuple[str, str], Report, str]]:
        """Each report with its place and name; pairs of one name are told apart by their keys."""
        reports = {
            place: replace(Report.from_json(text), checks=tuple(self._checks[place[0]]))
            for place, text in self._reports.items()
        }
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
            layers = compared(key, self._pairs, pages)
            yield (key, folder), replace(report, layers=layers), names[key, folder]


def _made(root: Path, folder: str) -> Path:
    """The folder; the default one, when it is made, asks git to leave it alone."""
    if folder:
        return root / folder
    path = root / FOLDER
    if not path.exists():
        with explained(path, "make"):
            path.mkdir()
            replace_file(path / ".gitignore", b"*\n")
    return path
