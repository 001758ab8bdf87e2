"""What one test session measured: each pair once, success or failure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.errors import CorpusError
from pytest_crossdiff.plugin.diff import CrossDiff
from pytest_crossdiff.plugin.new_results import ResultCollector
from pytest_crossdiff.report.archive import page_path
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.screen.pointers import Pointers
from pytest_crossdiff.settings import fields
from pytest_crossdiff.settings.resolution import from_arguments, resolve

if TYPE_CHECKING:
    from types import TracebackType

    import pytest

    from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder
    from pytest_crossdiff.engine.pipeline import Outcome
    from pytest_crossdiff.engine.plan import Texts
    from pytest_crossdiff.gate.acceptance import AcceptanceRecord
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.text import Display


class _Failure(NamedTuple):
    error: Exception
    trace: TracebackType | None


class Measurements:
    """Runs the engine, once for settings that ask for the same measurement.

    It outlives fixtures, which pytest sets up again for repeated tests.  add_labels: gives the
    differences of a result their labels.  command: runs again the test that is running.

    engine_error_ids: ids of the exceptions that came out of the engine, foreseen or not.
    collected: what the reports of tests carry.
    """

    def __init__(
        self,
        progress: Progress,
        display: Display,
        acceptance_record: AcceptanceRecord,
        add_labels: Callable[[Result], Result] = lambda result: result,
        command: Callable[[], str] = lambda: "pytest --crossdiff",
    ) -> None:
        self._progress = progress
        self._display = display
        self._acceptance_record = acceptance_record
        self._add_labels = add_labels
        self._command = command
        self._known: dict[object, tuple[Outcome | _Failure, Texts | None]] = {}
        self.engine_error_ids: set[int] = set()
        self.collected = ResultCollector()

    def diff(self, settings: Settings, texts: Texts | None) -> CrossDiff:
        """The pair that `settings` name, on `texts` or else on the corpus that they name.

        Raises whatever kept the engine from measuring, also when it did so before.
        """
        outcome = self._outcome(settings, texts)
        given = texts is not None and not _overrides_corpus(settings)
        accepted, proposal = self._acceptance_record.recognition(
            outcome.result, settings, "crossdiff_corpus fixture" if given else ""
        )
        report = Report.of(
            outcome.result, settings=settings, accepted=accepted, cached=outcome.cached
        )
        self.collected.add(report, settings, proposal)
        on_check = functools.partial(self.collected.add_check, report, settings)
        page = page_path(report, settings)

        def pointers() -> Pointers:
            return Pointers(outcome.entry, page, self._command())

        return CrossDiff(report, settings, accepted, pointers, self._display, on_check)

    def crosscoder(self, settings: Settings, texts: Texts | None) -> TrainedCrosscoder:
        """The dictionary behind the pair, which is reported like any other.  Raises as `diff`."""
        from pytest_crossdiff.engine import pipeline

        self.diff(settings, texts)
        return pipeline.load_crosscoder(self._outcome(settings, texts), self._progress)

    def _outcome(self, settings: Settings, texts: Texts | None) -> Outcome:
        texts = None if _overrides_corpus(settings) else _checked(texts)
        key = _measurement_key(settings), id(texts)
        if key not in self._known:
            self._known[key] = self._measured(settings, texts), texts
        outcome, _ = self._known[key]
        if isinstance(outcome, _Failure):
            raise outcome.error.with_traceback(outcome.trace)
        return outcome

    def _measured(self, settings: Settings, texts: Texts | None) -> Outcome | _Failure:
        from pytest_crossdiff.engine import pipeline

        try:
            outcome = pipeline.run(settings, texts, self._progress)
            return outcome._replace(result=self._add_labels(outcome.result))
        except Exception as error:  # noqa: BLE001  kept, to be raised in every test that asks
            self.engine_error_ids.add(id(error))
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


def _measurement_key(settings: Settings) -> tuple[object, ...]:
    """The settings that a measurement depends on; those that only decide are left out."""
    return tuple(getattr(settings, f.name) for f in fields() if not f.decides)


def _overrides_corpus(settings: Settings) -> bool:
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
