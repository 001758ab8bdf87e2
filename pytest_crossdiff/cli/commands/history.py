"""`crossdiff history`: the candidates that one baseline was compared with, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.cli.arguments import add_settings, command, given, rows
from pytest_crossdiff.cli.exits import FINE

if TYPE_CHECKING:
    import argparse

    from pytest_crossdiff.cli.arguments import Commands
    from pytest_crossdiff.cli.terminal import Terminal

MORE = """\
Lists the results that the cache has of the configured baseline and corpus, by layer and
settings, the latest last: counts (confirmed+possible) and joint strengths, output metrics and
replies where they were measured, bars over time, and which differences are new or gone since the
candidate before.  Verdicts are by the present budgets and accepted differences.  A difference is
known again by where in the held-out text it fires.  Models are not needed, except the
baseline, which is found by the digest of its files."""
EXAMPLES = """\
  crossdiff history                    the results of the baseline in pytest.ini
  crossdiff history --limit=5
  crossdiff history --json > history.json
  crossdiff history --baseline=models/v1 --corpus=evals/prompts.jsonl"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(
        commands, "history", "the candidates of one baseline over time", run,
        more=MORE, examples=EXAMPLES,
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=rows, default=20, metavar="N", help="rows a table (default: 20; 0: all)"
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for other programs")
    add_settings(parser, listed=False)


def run(options: argparse.Namespace, out: Terminal) -> int:
    """Write tables, bars and changes, or JSON."""
    import json

    from pytest_crossdiff.cli.configuration import read
    from pytest_crossdiff.cli.past.drawing import write_series
    from pytest_crossdiff.cli.past.series import series, to_data
    from pytest_crossdiff.cli.progress import on_stderr
    from pytest_crossdiff.engine.past_results import past_results
    from pytest_crossdiff.errors import InsufficientData
    from pytest_crossdiff.report.screen.pair import short
    from pytest_crossdiff.store.cache import Store
    from pytest_crossdiff.text import plural, visible

    configuration = read(given(options))
    settings = configuration.settings
    store = Store.at(settings.cache_dir)
    note = on_stderr().note
    found = past_results(settings, store, note)
    if found.on_other_texts:
        note(f"{plural(found.on_other_texts, 'result')} on other texts left out")
    if not found.results:
        raise InsufficientData(
            "nothing has been measured with this baseline and these texts",
            source=f"cache {store.root}",
            remedy="run `crossdiff train`, or look at `crossdiff cache list --kind=result`",
        )
    if settings.references:
        note("the verdicts are without crossdiff_references: `crossdiff show` has those with them")
    all_series = series(found.results, configuration)
    if options.json:
        data = to_data(all_series, settings.baseline)
        out.line(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False))
        return FINE
    named = (short(name, configuration.root) for name in (settings.baseline, settings.corpus))
    out.line("baseline {}, corpus {}".format(*map(visible, named)))
    for one in all_series:
        out.line()
        write_series(out, one, options.limit)
    return FINE
