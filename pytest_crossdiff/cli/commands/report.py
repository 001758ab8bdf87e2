"""`crossdiff report`: a result as a page, as Markdown, as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_crossdiff.cli.arguments import add_run, command, given
from pytest_crossdiff.cli.exits import FINE

if TYPE_CHECKING:
    import argparse

    from pytest_crossdiff.cli.arguments import Commands
    from pytest_crossdiff.cli.terminal import Terminal

FORMS = ("html", "md", "json")
MORE = """\
HTML is one file that needs no network; JSON holds everything the other forms are drawn from,
and can be named as RUN again.  Without RUN the verdict by the present budgets is in it, and each of
several layers has files of its own."""
EXAMPLES = """\
  crossdiff report                              the page of the result of pytest.ini
  crossdiff report --open                       the same, shown in the browser
  crossdiff report 3f2a --html --json --to=out  two forms of a result by its key
  crossdiff report --md --to=-                  Markdown to standard output"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(
        commands, "report", "write a result as a file for people", run,
        more=MORE, examples=EXAMPLES,
    )  # fmt: skip
    for form, what in zip(FORMS, ("a page (the default)", "Markdown", "JSON"), strict=True):
        parser.add_argument(f"--{form}", action="store_true", help=what)
    parser.add_argument(
        "--to", metavar="DIR", default=".", help="the folder (default: this one); - is the output"
    )
    parser.add_argument("--open", action="store_true", help="show the page in the browser")
    add_run(parser)


def run(options: argparse.Namespace, out: Terminal) -> int:
    """Write each form that is asked for, and name the files."""
    from pytest_crossdiff.cli.results import find, find_each
    from pytest_crossdiff.errors import SettingsError
    from pytest_crossdiff.report.archive import ReportArchive
    from pytest_crossdiff.report.summary import PairSummary
    from pytest_crossdiff.report.write import render
    from pytest_crossdiff.text import visible

    forms = [form for form in FORMS if getattr(options, form)] or ["html"]
    if options.open and (options.to == "-" or "html" not in forms):
        raise SettingsError("there is no page to open", source="--open", remedy="add --html")
    if options.to == "-" and len(forms) > 1:
        raise SettingsError("only one form can go to the output", source="--to=-")
    if options.to == "-":
        report = find(options.result, given(options)).report
        out.line(render(report, forms[0]).decode().rstrip("\n"))
        return FINE
    archive = ReportArchive("--to")
    reports = [found.report for found in find_each(options.result, given(options))]
    for report in reports:
        archive.add_report(report, forms, options.to)
    paths = archive.write(Path(), map(PairSummary.of, reports))
    for path in paths:
        out.line(visible(str(path)))
    if options.open:
        import webbrowser

        page = next(path for path in reversed(paths) if path.suffix == ".html")  # an index is last
        if not webbrowser.open(page.absolute().as_uri()):
            raise SettingsError(
                "no browser could be started", source="--open", remedy=f"open {page} yourself"
            )
    return FINE
