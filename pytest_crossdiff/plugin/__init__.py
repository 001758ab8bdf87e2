"""pytest's hooks and our fixtures.

Imported at every pytest start: whatever isn't needed to register options is imported where used.
"""

from __future__ import annotations

import functools
import shutil
from typing import TYPE_CHECKING

import pytest

from pytest_crossdiff.plugin import hookspecs
from pytest_crossdiff.settings import registration
from pytest_crossdiff.settings.registration import LAYER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator
    from pathlib import Path
    from typing import Any

    from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder
    from pytest_crossdiff.engine.plan import Texts
    from pytest_crossdiff.engine.replies.recorded_model import RecordedModel
    from pytest_crossdiff.plugin.collector import SessionCollector
    from pytest_crossdiff.plugin.diff import CrossDiff
    from pytest_crossdiff.plugin.measurements import CrossDiffFactory, Measurements
    from pytest_crossdiff.plugin.recording import Recorder
    from pytest_crossdiff.sides import Side

MEASUREMENTS: pytest.StashKey[Measurements] = pytest.StashKey()
WIDTH: pytest.StashKey[int] = pytest.StashKey()
FOLDER: pytest.StashKey[Path] = pytest.StashKey()
GATES: pytest.StashKey[Collection[str]] = pytest.StashKey()
RUNNING: pytest.StashKey[pytest.Item] = pytest.StashKey()
RECORDER: pytest.StashKey[Recorder] = pytest.StashKey()

ACCEPTING = ("accept", "reason", "author", "expires")

MARKER = (
    "crossdiff(**settings): settings of the `crossdiff` fixture for this test, by name, "
    "e.g. corpus='evals/safety.jsonl', max_candidate_only=0"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the settings; cheap, because it runs at every start."""
    registration.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Let users implement `hookspecs`."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse misspelt settings, except where only help is asked for."""
    config.addinivalue_line("markers", MARKER)
    if not config.option.help:
        registration.refuse_unknown_keys(config)
        if any(getattr(config.option, f"crossdiff_{name}") is not None for name in ACCEPTING):
            from pytest_crossdiff.gate.acceptance import AcceptanceRecord

            AcceptanceRecord.of(config)  # refuses a request that can't be granted
    config.stash[WIDTH] = _width(config)
    if config.option.crossdiff_accept is not None and not hasattr(config, "workerinput"):
        _collect(config)
    elif not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Waiting(config))


class _Waiting:
    """Gives place to the collector at the first report of a test that carries something for it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True)  # as the collector's
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if any(name.startswith("crossdiff_") for name in vars(report)):
            self._config.pluginmanager.unregister(self)
            _collect(self._config).pytest_runtest_logreport(report)


def _collect(config: pytest.Config) -> SessionCollector:
    from pytest_crossdiff.plugin.collector import SessionCollector

    collector = SessionCollector(config, config.stash[WIDTH])
    config.pluginmanager.register(collector)
    return collector


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401  xdist need not be installed
    """Tell a worker of pytest-xdist, which has no terminal, how wide ours is and where to write."""
    config = node.config
    node.workerinput["crossdiff_width"] = config.stash[WIDTH]
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    told = reporter is not None and config.get_verbosity() >= 0 and node.gateway.spec.popen
    if told and any(registration.session_sources(config)):
        from pytest_crossdiff.report.live.progress import PROGRESS_PATH_KEY
        from pytest_crossdiff.report.live.xdist_relay import relay_of

        node.workerinput[PROGRESS_PATH_KEY] = str(relay_of(config, reporter.write_line).path)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is set and where; nothing when nothing is."""
    if any(registration.session_sources(config)):
        from pytest_crossdiff.report.terminal import header

        return header(config)
    return []


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """See whether the gate is asked for, by flag or by its node id, which names no real file."""
    config = session.config
    if not (config.option.crossdiff or any("::crossdiff" in a for a in config.args)):
        return
    from pytest_crossdiff.plugin.gate_item import common_folder, requested_gate

    config.stash[FOLDER] = common_folder(config)
    named = [(argument, requested_gate(config, argument)) for argument in config.args]
    config.stash[GATES] = {name for _, name in named if name}
    config.option.crossdiff |= bool(config.stash[GATES])
    config.args[:] = [argument for argument, name in named if not name]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Add the gate to what the session collects."""
    report = yield
    if isinstance(collector, pytest.Session) and collector.config.option.crossdiff:
        from pytest_crossdiff.plugin.gate_item import gate_file

        stash = collector.config.stash
        gates = gate_file(collector, report.result, stash[FOLDER], stash[GATES])
        report.result.append(gates)
    return report


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of several layers runs once for each."""
    if not {"crossdiff", "crossdiff_layer"} <= {*metafunc.fixturenames}:
        return
    from pytest_crossdiff.errors import SettingsError
    from pytest_crossdiff.settings.resolution import of_node

    try:
        names = list(of_node(metafunc.definition).by_layer())
    except SettingsError:
        return  # told where the test asks for it
    if len(names) > 1:
        metafunc.parametrize("crossdiff_layer", names, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test whose parameter chooses its layer by a mark runs once."""
    if not any("crossdiff_layer" in getattr(item, "fixturenames", ()) for item in items):
        return
    from pytest_crossdiff.plugin.layer_of_test import repeated_runs

    if again := repeated_runs(items):
        config.hook.pytest_deselected(items=again)
        items[:] = [item for item in items if item not in again]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse misspelt marker arguments, also where the fixture isn't used."""
    item.config.stash[RUNNING] = item
    for mark in item.iter_markers("crossdiff"):
        from pytest_crossdiff.settings.resolution import from_marker

        from_marker(mark, item)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """State our errors rightly and let the report carry what was measured."""
    measurements = item.config.stash.get(MEASUREMENTS, None)
    new_results = measurements.collected.take(item.nodeid) if measurements else None
    for pair in new_results.pairs if new_results else ():
        from pytest_crossdiff.report.ci.junit import replace_properties

        item.user_properties[:] = replace_properties(item.user_properties, pair)
    report = yield
    if call.excinfo:
        from pytest_crossdiff.errors import CrossDiffError

        if measurements or isinstance(call.excinfo.value, CrossDiffError):
            from pytest_crossdiff.plugin.failures import restate

            restate(report, call, item, measurements.engine_error_ids if measurements else ())
    if measurements and new_results:
        from pytest_crossdiff.report.summary import to_json

        if new_results.pairs:  # as text, which xdist carries to the main process
            vars(report)["crossdiff_pairs"] = to_json(new_results.pairs)
        if new_results.results and item.config.hook.pytest_crossdiff_result.get_hookimpls():
            vars(report)["crossdiff_results"] = [result.to_json() for result in new_results.results]
        if item.config.option.crossdiff_accept is not None:
            vars(report)["crossdiff_proposals"] = [p.to_json() for p in new_results.proposals]
        records_json = measurements.collected.report_recorder.take()
        if records_json:
            vars(report)["crossdiff_report_records"] = records_json
    if call.when == "call" and RECORDER in item.config.stash:
        item.config.stash[RECORDER].carry(report, item, call.excinfo)
    return report


@pytest.fixture(scope="session")
def crossdiff_corpus() -> Texts | None:
    """Override it to give the texts yourself: a list of strings or of dicts as in a .jsonl corpus.

    A corpus that a marker, a flag or `crossdiff_factory` names is read in its place.
    """
    return None


@pytest.fixture
def crossdiff_layer(request: pytest.FixtureRequest) -> str:
    """Which of the layers that `crossdiff_layer` names this run of the test is about; "" where it
    names one.
    """
    parametrised = str(getattr(request, "param", request.node.stash.get(LAYER, "")))
    if not parametrised:
        return ""
    from pytest_crossdiff.plugin.layer_of_test import layer_name

    return layer_name(request.node, parametrised)


@pytest.fixture
def crossdiff(
    request: pytest.FixtureRequest, crossdiff_corpus: Texts | None, crossdiff_layer: str
) -> CrossDiff:
    """The differences of the configured pair, with assertions; measured on first use."""
    from pytest_crossdiff.plugin.layer_of_test import settings_of_layer

    settings = settings_of_layer(request.node, crossdiff_layer)
    return _measurements(request.config).diff(settings, crossdiff_corpus)


@pytest.fixture(scope="session")
def crossdiff_factory(
    pytestconfig: pytest.Config, crossdiff_corpus: Texts | None
) -> CrossDiffFactory:
    """Call it with settings by name for another pair, layer or corpus."""
    from pytest_crossdiff.plugin.measurements import CrossDiffFactory

    return CrossDiffFactory(pytestconfig, _measurements(pytestconfig), crossdiff_corpus)


@pytest.fixture(scope="session")
def crossdiff_baseline(pytestconfig: pytest.Config) -> RecordedModel:
    """The baseline's `.model` and `.tokenizer`, for ordinary eval tests, and its `reply()`."""
    return _loaded(pytestconfig, "baseline")


@pytest.fixture(scope="session")
def crossdiff_candidate(pytestconfig: pytest.Config) -> RecordedModel:
    """The candidate's `.model` and `.tokenizer`, for ordinary eval tests, and its `reply()`."""
    return _loaded(pytestconfig, "candidate")


@pytest.fixture(params=("baseline", "candidate"))
def crossdiff_model(request: pytest.FixtureRequest) -> RecordedModel:
    """Each of the two models in turn: the test runs once with either."""
    model: RecordedModel = request.getfixturevalue(f"crossdiff_{request.param}")
    return model


@pytest.fixture
def crossdiff_record(pytestconfig: pytest.Config) -> Callable[..., None]:
    """Call it with a prompt and an answer, and the list of tests at risk knows them."""
    return _recorder(pytestconfig).record


@pytest.fixture(scope="session")
def crossdiff_crosscoder(
    pytestconfig: pytest.Config, crossdiff_corpus: Texts | None
) -> TrainedCrosscoder:
    """The crosscoder of the configured pair, trained or from the cache; of several layers that of
    the first.
    """
    from pytest_crossdiff.settings.resolution import resolve

    settings = next(iter(resolve(pytestconfig).by_layer().values()))
    return _measurements(pytestconfig).crosscoder(settings, crossdiff_corpus)


def _measurements(config: pytest.Config) -> Measurements:
    if MEASUREMENTS not in config.stash:
        from pytest_crossdiff.gate.acceptance import AcceptanceRecord
        from pytest_crossdiff.plugin.labels import add_labels
        from pytest_crossdiff.plugin.measurements import Measurements
        from pytest_crossdiff.report.live.progress import progress_for
        from pytest_crossdiff.text import Display

        config.stash[MEASUREMENTS] = Measurements(
            progress_for(config),
            Display(config.stash[WIDTH], config.get_verbosity()),
            AcceptanceRecord.of(config),
            functools.partial(add_labels, config),
            functools.partial(_command, config),
        )
    return config.stash[MEASUREMENTS]


def _command(config: pytest.Config) -> str:
    """Runs again the test that is running."""
    from pytest_crossdiff.plugin.gate_item import command_of

    return command_of(config.stash.get(RUNNING, None))


def _recorder(config: pytest.Config) -> Recorder:
    if RECORDER not in config.stash:
        from pytest_crossdiff.plugin.recording import Recorder

        config.stash[RECORDER] = Recorder(lambda: config.stash.get(RUNNING, None))
    return config.stash[RECORDER]


def _loaded(config: pytest.Config, side: Side) -> RecordedModel:
    from pytest_crossdiff.engine import isolation
    from pytest_crossdiff.engine.replies.recorded_model import RecordedModel
    from pytest_crossdiff.settings import resolution

    settings = next(iter(resolution.resolve(config).by_layer().values()))
    resolution.require(settings, side)
    with isolation.undisturbed():
        return RecordedModel.load(settings, side, _recorder(config).record)


def _width(config: pytest.Config) -> int:
    """Columns of our messages, asked for before pytest captures the terminal."""
    given = getattr(config, "workerinput", {}).get("crossdiff_width")
    columns = given or shutil.get_terminal_size((100, 24)).columns
    return min(max(columns, 60), 160)
