"""`crossdiff train`: measure without running tests, and hold the result against the budgets."""

from __future__ import annotations

import contextlib
import re
import warnings
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.cli.arguments import add_settings, command, given
from pytest_crossdiff.cli.exits import EXCEEDED, INCONCLUSIVE, WITHIN

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pytest_crossdiff.cli.arguments import Commands
    from pytest_crossdiff.cli.configuration import Configuration
    from pytest_crossdiff.cli.terminal import Terminal
    from pytest_crossdiff.engine.ranks.group import Ranks
    from pytest_crossdiff.errors import CrossDiffError, InsufficientData
    from pytest_crossdiff.plugin.measurements import Measurements
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.report.summary import PairSummary
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.text import Display

MORE = """\
Reads both models, trains, verifies, and keeps every step in the cache that pytest reads;
what is there already is not done again.  The verdict is that of `pytest --crossdiff`:
exit code 0 within budget, 1 over budget, 3 not measured, 4 inconclusive.

Stopped at any moment, it goes on where it was when it is called again.

Started by torchrun, or any other launcher of torch.distributed, its processes share the work and
the cache folder; the results are those of one process."""
EXAMPLES = """\
  crossdiff train                             the pair of pytest.ini
  crossdiff train --candidate=checkpoints/v3  another candidate; the baseline isn't read again
  crossdiff train --tokens=10000 --layer=0.75
  crossdiff train --layer=0.5,output          a block, and what the models predict
  torchrun --nproc-per-node 4 -m pytest_crossdiff train --no-verdict
  crossdiff train --no-verdict -q             fill the cache in a nightly job, whatever differs
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(
        commands, "train", "measure the configured pair and hold it against its budgets", run,
        more=MORE, examples=EXAMPLES,
    )  # fmt: skip
    parser.add_argument("-q", "--quiet", action="store_true", help="only the verdict, on one line")
    parser.add_argument(
        "--no-verdict", action="store_true", help="exit with 0 once it is measured, over budget too"
    )
    add_settings(parser)


def run(options: argparse.Namespace, out: Terminal) -> int:
    """Measure, or take from the cache, and tell."""
    from pytest_crossdiff.cli.configuration import read
    from pytest_crossdiff.cli.launch import ranks_of_launch

    configuration = read(given(options))
    with ranks_of_launch() as ranks:
        if ranks is None or ranks.is_first:
            code = _run(options, configuration, ranks, out)
        else:
            code = _work(configuration, ranks)
        if ranks is not None:
            ranks.wait()
    return code


def _work(configuration: Configuration, ranks: Ranks) -> int:
    """What a further rank of a run does: its share, in silence.

    Raises whatever kept the run from measuring.
    """
    from pytest_crossdiff.engine.ranks.fill import fill
    from pytest_crossdiff.progress import SilentProgress

    for settings in _layers(configuration, ranks):
        fill(settings, ranks, SilentProgress())
    return WITHIN


def _layers(configuration: Configuration, ranks: Ranks | None) -> list[Settings]:
    """The settings of each layer.  Ranks share the reading of one layer after the other; a single
    process reads all of them in one pass.
    """
    found = [*configuration.settings.by_layer().values()]
    for settings in found if ranks is not None else ():
        settings.run_layers = ()
    return found


def _run(
    options: argparse.Namespace,
    configuration: Configuration,
    ranks: Ranks | None,
    out: Terminal,
) -> int:
    """Measure, with the other ranks where there are any, and tell."""
    from pytest_crossdiff.cli.progress import on_stderr
    from pytest_crossdiff.gate.acceptance import AcceptanceRecord
    from pytest_crossdiff.plugin.measurements import Measurements
    from pytest_crossdiff.progress import SilentProgress
    from pytest_crossdiff.text import Display

    progress = SilentProgress() if options.quiet else on_stderr()
    _warn_of_fixture(configuration, progress)
    display = Display(out.width)
    acceptance_record = AcceptanceRecord.from_paths(configuration.file, configuration.root)
    measurements = Measurements(progress, display, acceptance_record, configuration.add_labels)
    verdicts = []
    for settings in _layers(configuration, ranks):
        if ranks is not None:
            from pytest_crossdiff.engine.ranks.fill import fill

            fill(settings, ranks, progress)
        verdicts.append(_judged(measurements, settings))
    pairs = measurements.collected.take("crossdiff train").pairs
    for verdict in verdicts:
        if verdict.message and not options.quiet:
            out.line(verdict.message)
            out.line()
    for line in _summary(pairs, configuration.root, display, quiet=options.quiet):
        out.line(line)
    for line in _reports(measurements, pairs, configuration.root):
        if not options.quiet:
            out.line(line)
    return _exit_status(verdicts, wanted=not options.no_verdict)


class _Verdict(NamedTuple):
    """The exit status that a comparison by itself asks for, what is to be said, and what kept us
    from a verdict, or from measuring at all.
    """

    code: int
    message: str = ""
    unclear: InsufficientData | None = None
    error: CrossDiffError | None = None


def _judged(measurements: Measurements, settings: Settings) -> _Verdict:
    """The verdict on one layer; an error is reported after the verdicts on the other layers."""
    from pytest_crossdiff.errors import (
        BudgetExceeded,
        CrossDiffError,
        Inconclusive,
        InconclusiveWarning,
        InsufficientData,
    )

    try:
        diff = measurements.diff(settings, None)
    except CrossDiffError as error:
        return _Verdict(WITHIN, error=error)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconclusiveWarning)  # the summary says it
            diff.assert_within_budget()
    except BudgetExceeded as error:
        return _Verdict(EXCEEDED, str(error))
    except Inconclusive as error:
        return _Verdict(INCONCLUSIVE, str(error))
    except InsufficientData as error:
        return _Verdict(WITHIN, unclear=error)
    return _Verdict(WITHIN)


def _exit_status(verdicts: Sequence[_Verdict], *, wanted: bool) -> int:
    """That of all together.  Raises what kept us from measuring, and, where a verdict is wanted,
    from one.
    """
    for verdict in verdicts:
        if verdict.error is not None:
            raise verdict.error
    if not wanted:
        return WITHIN
    for verdict in verdicts:
        if verdict.unclear is not None:
            raise verdict.unclear
    codes = [verdict.code for verdict in verdicts]
    return next((code for code in (EXCEEDED, INCONCLUSIVE) if code in codes), WITHIN)


def _summary(
    pairs: Iterable[PairSummary], root: Path, display: Display, *, quiet: bool
) -> Iterator[str]:
    """What pytest would say of each pair, and what became of accepted differences."""
    from pytest_crossdiff.report import acceptance
    from pytest_crossdiff.report.screen.block import block, brief
    from pytest_crossdiff.text import wrapped

    for pair in pairs:
        yield from (brief(pair, root),) if quiet else block(pair, root, display)
        for text in acceptance.warnings(pair.accepted):
            yield from wrapped(f"crossdiff: {text}", display.width, 2)


def _reports(measurements: Measurements, pairs: Iterable[PairSummary], root: Path) -> Iterator[str]:
    """Write those that the settings ask for, as pytest would, and name them."""
    from pytest_crossdiff.report.archive import ReportArchive

    archive = ReportArchive()
    if evidence := measurements.collected.report_recorder.take():
        archive.add(evidence)
    archive.close(root, pairs)
    return archive.lines(root)


def _warn_of_fixture(configuration: Configuration, progress: Progress) -> None:
    """Texts made in Python are for tests alone, so say that they aren't read here."""
    if configuration.settings.sources["corpus"].startswith("--"):
        return
    for file in _conftests(configuration.root):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if re.search(r"^def crossdiff_corpus\(", file.read_text("utf-8"), re.MULTILINE):
                progress.note(
                    f"{file}: its fixture crossdiff_corpus is not read here, only by tests "
                    "and `pytest --crossdiff`"
                )


def _conftests(root: Path) -> list[Path]:
    return [path for path in (root / "conftest.py", *root.glob("*/conftest.py")) if path.is_file()]
