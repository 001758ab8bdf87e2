"""A measured pair in experiment trackers, through their public clients: one run for each pair.

Where a run is kept, and under which project, is the client's own configuration.  The clients are
imported when something is logged.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_crossdiff.report.screen.pair import status
from pytest_crossdiff.report.summary import PairSummary
from pytest_crossdiff.report.write import file_name
from pytest_crossdiff.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_crossdiff.report.document import Report

PROJECT = "pytest-crossdiff"
"""In trackio, which has no default, where the environment variable TRACKIO_PROJECT names none."""


class LoggedPair(NamedTuple):
    """What a tracker is given.  facts: what was compared, with the verdict.  files: reports."""

    name: str
    facts: dict[str, str]
    numbers: dict[str, float]
    files: Sequence[Path]

    @classmethod
    def of(cls, report: Report, files: Sequence[Path]) -> LoggedPair:
        """That of `report`, with the files that it was written to."""
        result, pair = report.result, PairSummary.of(report)
        facts = {
            "baseline": result.baseline.reference,
            "candidate": result.candidate.reference,
            "layer": result.candidate.layer_name,
            "corpus": result.corpus.source,
            "result": result.key,
            "verdict": status(pair) or "none",
        }
        numbers = {name: float(value) for name, value in pair.output_numbers.items()}
        for has in report.sides:
            numbers[f"{has.side}_only"] = has.count
            numbers[f"{has.side}_only_possible"] = has.possible
            numbers[f"{has.side}_only_strength"] = has.strength
            if has.limit_of_detection is not None:
                numbers[f"{has.side}_limit_of_detection"] = has.limit_of_detection
        numbers["accepted"] = sum(known.state == "accepted" for known in report.accepted)
        named = {f"crossdiff/{name}": value for name, value in numbers.items()}
        return cls(file_name(report), facts, named, files)


def log(report: Report, files: Sequence[Path], tracker: str) -> str:
    """Log `report` to one of `TRACKERS`; a line that says where, or why not.

    What keeps a tracker from logging fails no run: the result is cached, and is logged by the next.
    """
    if not _installed(tracker):
        return (
            f"crossdiff: not logged to {tracker}, which is not installed: "
            f"pip install {tracker}, and run again"
        )
    pair = LoggedPair.of(report, files)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # theirs say nothing of the tests
            where = _LOGGERS[tracker](importlib.import_module(tracker), pair)
    except Exception as error:  # noqa: BLE001  told in a line
        return visible(f"crossdiff: not logged to {tracker}: {error or repr(error)}")
    return visible(f"crossdiff logged to {tracker}: {pair.name} in {where}")


def _installed(name: str) -> bool:
    """Also where a folder of that name lies here, as W&B leaves one behind."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


def _mlflow(client: Any, pair: LoggedPair) -> str:  # noqa: ANN401  it need not be installed
    nested = client.active_run() is not None
    with client.start_run(run_name=pair.name, nested=nested):
        client.log_params(pair.facts)
        client.log_metrics(pair.numbers)
        for file in pair.files:
            client.log_artifact(str(file))
    return str(client.get_tracking_uri())


def _wandb(client: Any, pair: LoggedPair) -> str:  # noqa: ANN401
    run = client.init(
        name=pair.name,
        config=pair.facts,
        reinit="create_new",  # a run that the tests themselves have begun stays open
        settings={"silent": True, "console": "off"},
    )
    try:
        _log_run(run, pair)
    finally:
        run.finish()
    return str(run.dir if run.offline else run.url)


def _trackio(client: Any, pair: LoggedPair) -> str:  # noqa: ANN401
    project = os.environ.get("TRACKIO_PROJECT", PROJECT)
    run = client.init(
        project=project, name=pair.name, config=pair.facts, auto_log_cpu=False, auto_log_gpu=False
    )
    try:
        _log_run(run, pair)
    finally:
        client.finish()
    return f"project {project}"


def _log_run(run: Any, pair: LoggedPair) -> None:  # noqa: ANN401
    run.log(pair.numbers)
    for file in pair.files:
        run.log_artifact(str(file), name=file.name, type="crossdiff-report")


_LOGGERS: dict[str, Callable[[Any, LoggedPair], str]] = {
    "mlflow": _mlflow,
    "wandb": _wandb,
    "trackio": _trackio,
}
