"""What one test session measured: each pair once, success or failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.errors import CorpusError
from pytest_crossdiff.plugin.diff import CrossDiff
from pytest_crossdiff.report.archive import Witness
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.summary import PairSummary, merge
from pytest_crossdiff.settings import fields
from pytest_crossdiff.settings.resolution import from_arguments, require, resolve

if TYPE_CHECKING:
    from types import TracebackType

    import pytest

    from pytest_crossdiff.engine.pipeline import Outcome
    from pytest_crossdiff.engine.plan import Texts
    from pytest_crossdiff.gate.acceptance import Ledger, Proposal
    from pytest_crossdiff.gate.check import Check
    from pytest_crossdiff.gate.recognition import Recognition
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.text import Room


class _Failure(NamedTuple):
    error: Exception
    trace: TracebackType | None


class News(NamedTuple):
    """Pairs with their verdicts, new results, and what a request to accept comes to on them."""

    pairs: list[PairSummary]
    results: list[Result]
    proposals: list[Proposal]


class Measurements:
    """Runs the engine, once for settings that ask for the same measurement.

    It outlives fixtures, which pytest sets up anew when a test is run again.  labelled: gives the
    differences of a result their names.

    witness: what is to stand in the reports.
    broken: ids of the exceptions that came out of the engine, foreseen or not.
    """

    def __init__(
        self,
        progress: Progress,
        room: Room,
        ledger: Ledger,
        labelled: Callable[[Result], Result] = lambda result: result,
    ) -> None:
        self._progress = progress
        self._room = room
        self._ledger = ledger
        self._labelled = labelled
        self._known: dict[object, tuple[Outcome | _Failure, Texts | None]] = {}
        self._news: dict[str, PairSummary] = {}
        self._results: dict[str, Result] = {}
        self._proposals: dict[str, Proposal] = {}
        self._told: set[str] = set()
        self.broken: set[int] = set()
        self.witness = Witness()

    def diff(self, settings: Settings, texts: Texts | None) -> CrossDiff:
        """The pair that `settings` name, on `texts` or else on the corpus that they name.

        Raises whatever kept the engine from measuring, also when it did so before.
        """
        outcome = self._outcome(settings, texts)
        report, accepted = self._reported(outcome, settings, texts)
        summary = self._tell(report)
        self.witness.measured(report, settings)

        def noted(check: Check) -> None:
            merge(self._news, [summary.checked(check)])
            self.witness.judged(report, settings, check)

        return CrossDiff(report, settings, accepted, outcome.entry, self._room, noted)

    def outcome(self, settings: Settings, texts: Texts | None) -> Outcome:
        """The engine's own answer."""
        outcome = self._outcome(settings, texts)
        self._tell(self._reported(outcome, settings, texts)[0])
        return outcome

    def _reported(
        self, outcome: Outcome, settings: Settings, texts: Texts | None
    ) -> tuple[Report, Recognition]:
        result = outcome.result
        given = texts is not None and not _asks_for_other_texts(settings)
        accepted, proposal = self._ledger.recognition(
            result, settings, "crossdiff_corpus fixture" if given else ""
        )
        self._proposals[result.key] = proposal
        cached = outcome.cached
        return Report.of(result, settings=settings, accepted=accepted, cached=cached), accepted

    def _outcome(self, settings: Settings, texts: Texts | None) -> Outcome:
        require(settings, "baseline", "candidate")
        texts = None if _asks_for_other_texts(settings) else _checked(texts)
        key = _measured_by(settings), id(texts)
        if key not in self._known:
            self._known[key] = self._measured(settings, texts), texts
        outcome, _ = self._known[key]
        if isinstance(outcome, _Failure):
            raise outcome.error.with_traceback(outcome.trace)
        return outcome

    def _tell(self, report: Report) -> PairSummary:
        summary = PairSummary.of(report)
        merge(self._news, [summary])
        if summary.key not in self._told:
            self._told.add(summary.key)
            self._results[summary.key] = report.result
        return summary

    def take_news(self, test: str) -> News:
        """What became known since the last call, all of it from `test`."""
        pairs = [pair.asked_by(test) for pair in self._news.values()]
        news = News(pairs, [*self._results.values()], [*self._proposals.values()])
        self._news, self._results, self._proposals = {}, {}, {}
        return news

    def _measured(self, settings: Settings, texts: Texts | None) -> Outcome | _Failure:
        from pytest_crossdiff.engine import pipeline

        try:
            outcome = pipeline.run(settings, texts, self._progress)
            return outcome._replace(result=self._labelled(outcome.result))
        except Exception as error:  # noqa: BLE001  kept, to be raised in every test that asks
            self.broken.add(id(error))
            return _Failure(error, error.__traceback__)


class CrossDiffFactory:
    """The session fixture `crossdiff_factory`: other pairs, layers, corpora in one suite.

    Call it with settings by name, as in `@pytest.mark.crossdiff`; those left out are the
    session's.  The same settings are measured once.
    """

    def __init__(
        self, config: pytest.Config, measurements: Measurements, texts: Texts | None
    ) -> None:
        self._config = config
        self._measurements = measurements
        self._texts = texts

    def __call__(self, **settings: object) -> CrossDiff:
        """Measure, or take what was measured with the same settings.

        Raises `SettingsError` for unknown or malformed settings, else as `Measurements.diff`.
        """
        source = "argument of crossdiff_factory"
        layer = from_arguments("argument", settings, source, self._config.rootpath)
        return self._measurements.diff(resolve(self._config, layer), self._texts)


def _measured_by(settings: Settings) -> tuple[object, ...]:
    """The settings that a measurement depends on; those that only decide are left out."""
    return tuple(getattr(settings, f.name) for f in fields() if not f.decides)


def _asks_for_other_texts(settings: Settings) -> bool:
    """Whether the corpus was named by someone nearer to the test than the fixture is."""
    return settings.sources.get("corpus", "").startswith(("marker ", "--", "argument "))


def _checked(texts: object) -> Texts | None:
    if texts is not None and (isinstance(texts, (str, bytes)) or not isinstance(texts, Sequence)):
        raise CorpusError(
            f"the texts are a {type(texts).__name__}, not a list",
            source="fixture crossdiff_corpus",
            remedy="return a list of texts, or of dicts with `text` or `messages`",
        )
    return texts
