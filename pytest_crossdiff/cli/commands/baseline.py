"""`crossdiff baseline`: keep what later candidates are judged by when the weights are gone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_crossdiff.cli.arguments import add_settings, command, described, given
from pytest_crossdiff.cli.exits import FINE
from pytest_crossdiff.text import size, visible

if TYPE_CHECKING:
    import argparse

    from pytest_crossdiff.cli.arguments import Commands
    from pytest_crossdiff.cli.terminal import Terminal

MORE = """\
An archive has the baseline's activations, predictions and replies on the texts of the
configuration, a sample of its weights, its configuration and its tokenizer, but no weights.
Where the model that crossdiff_baseline names is gone, the archive takes its place."""
EXAMPLES = """\
  crossdiff baseline export v1.crossdiff    after `crossdiff train`, with any candidate
  crossdiff baseline import v1.crossdiff    on another machine, or into an empty cache"""
IMPORT = """\
Every part is compared with its digest.  Settings of the configuration then must be those with
which it was exported: the same texts, layers, and amounts."""


def add(commands: Commands) -> None:
    """Add the command and its own commands."""
    top = commands.add_parser(
        "baseline",
        **described("archive the baseline, for when its weights are gone", MORE, EXAMPLES),
    )
    inner = top.add_subparsers(dest="baseline_command", metavar="COMMAND", required=True)
    exporting = command(inner, "export", "write the archive of the baseline", run_export)
    importing = command(inner, "import", "add an archive to the cache", run_import, more=IMPORT)
    for parser in (exporting, importing):
        parser.add_argument("file", metavar="FILE", help="the archive")
        add_settings(parser, listed=False)


def run_export(options: argparse.Namespace, out: Terminal) -> int:
    """Write the file."""
    from pytest_crossdiff.cli.configuration import read
    from pytest_crossdiff.engine.baseline_archive import export_baseline

    file = Path(options.file)
    configuration = read(given(options))
    done = export_baseline(configuration.settings, file, configuration.root)
    out.line(f"wrote    {visible(str(file))}, {size(done.size)}: {visible(done.reference)}")
    out.line(f"         {', '.join(done.kinds)}")
    for what in done.missing:
        out.line(f"         without {what}: they were not measured")
    return FINE


def run_import(options: argparse.Namespace, out: Terminal) -> int:
    """Add it to the cache, and hold it against the configuration."""
    from pytest_crossdiff.cli.configuration import read
    from pytest_crossdiff.engine.baseline_archive import import_baseline, refuse_unfit
    from pytest_crossdiff.store.cache import Store

    settings = read(given(options)).settings
    store = Store.at(settings.cache_dir)
    done = import_baseline(Path(options.file), store)
    entries = f"{done.added} new entr{'y' if done.added == 1 else 'ies'}"
    out.line(f"imported {visible(done.reference)} into {visible(str(store.root))}: {entries}")
    out.line("         it is used where the model that crossdiff_baseline names is gone,")
    out.line(f"         or as crossdiff_baseline = archive:{done.digest[:12]}")
    if settings.baseline:
        refuse_unfit(settings, done.digest)
        out.line("         it fits the texts and the layers of the configuration")
    return FINE
