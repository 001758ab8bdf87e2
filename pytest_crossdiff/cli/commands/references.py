"""`crossdiff references`: the models by which a pair is judged, and sets of them to share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_crossdiff.cli.arguments import add_settings, command, described, given
from pytest_crossdiff.cli.exits import FINE
from pytest_crossdiff.cli.terminal import table
from pytest_crossdiff.text import plural, visible

if TYPE_CHECKING:
    import argparse

    from pytest_crossdiff.cli.arguments import Commands
    from pytest_crossdiff.cli.terminal import Terminal
    from pytest_crossdiff.engine.plan import Plan

FOLDER = "crossdiff-references"
MORE = """\
References are models that are acceptable for the job: earlier releases, accepted candidates,
other families.  A pair is judged by those that crossdiff_references names: models, or folders
that `add` has written.  Such a set holds what the models give to the tokens of the texts and how
often they write which words, and neither weights nor texts, so it can be shared.  It fits one
corpus and one way of reading it."""
EXAMPLES = """\
  crossdiff references list
  crossdiff references add ./releases/v1 ./releases/v2   into ./crossdiff-references
  crossdiff references add org/model@1f3a9c2 --to=evals/references
  crossdiff references remove ./releases/v1"""


def add(commands: Commands) -> None:
    """Add the command and its own commands."""
    top = commands.add_parser(
        "references", **described("list, add and remove reference models", MORE, EXAMPLES)
    )
    inner = top.add_subparsers(dest="references_command", metavar="COMMAND", required=True)
    listing = command(inner, "list", "the references of the settings", run_list)
    adding = command(inner, "add", "read models and put what they give into a set", run_add)
    removing = command(inner, "remove", "take references out of a set", run_remove)
    adding.add_argument("models", metavar="MODEL", nargs="+", help="a path or hub id@revision")
    removing.add_argument("names", metavar="NAME", nargs="+", help="as `add` was given it")
    for parser in (adding, removing):
        parser.add_argument(
            "--to",
            metavar="FOLDER",
            default=FOLDER,
            help=f"the folder of the set (default: {FOLDER})",
        )
    for parser in (listing, adding):
        add_settings(parser, listed=False)


def run_list(options: argparse.Namespace, out: Terminal) -> int:
    """Write a table of the references, and what a verdict over them can state."""
    from pytest_crossdiff.engine.population.sources import members, reading_entry

    plan = _plan(options)
    found = members(plan)
    if not found:
        out.line("crossdiff_references names no model")
        return FINE
    rows = []
    for member in found:
        if member.file is not None:
            lacks = "" if member.written else ", without the words that it writes"
            state = f"in the set {member.file.parent}{lacks}"
        elif reading_entry(plan, member.key).read_manifest() is not None:
            state = "read" if member.reference else "read; its weights are gone"
        else:
            state = "not read yet"
        rows.append((visible(member.name), member.digest[:12], visible(state)))
    for line in table(("reference", "digest", "state"), rows, out.width):
        out.line(line)
    count = len({member.digest for member in found})
    level = plan.settings.reference_level
    bound = f"at most 1 in {count + 1} models that are exchangeable with them would be flagged"
    out.line(f"{plural(count, 'model')}: {bound}; crossdiff_reference_level = {level:g}")
    return FINE


def run_add(options: argparse.Namespace, out: Terminal) -> int:
    """Read each model, unless the cache has its reading, and put it into the set."""
    from pytest_crossdiff.cli.progress import on_stderr
    from pytest_crossdiff.engine.population.members import add_to_set

    plan = _plan(options)
    for model in options.models:
        rows = add_to_set(plan, model, Path(options.to), on_stderr())
        for row in rows:
            out.line(f"{visible(row.name)} is in {visible(options.to)}")
    out.line(f"set crossdiff_references = {visible(options.to)} to be judged by the set")
    return FINE


def run_remove(options: argparse.Namespace, out: Terminal) -> int:
    """Take references out of the set."""
    from pytest_crossdiff.engine.population.reference_sets import ReferenceSet, is_set
    from pytest_crossdiff.errors import SettingsError

    if not is_set(Path(options.to)):
        raise SettingsError(
            f"{options.to} holds no set of references",
            source="--to",
            remedy="give the folder that `crossdiff references add` wrote: --to=FOLDER",
        )
    found = ReferenceSet.read(Path(options.to))
    for name in options.names:
        found = found.without(name)
        out.line(f"{visible(name)} is no longer in {visible(options.to)}")
    return FINE


def _plan(options: argparse.Namespace) -> Plan:
    from pytest_crossdiff.cli.configuration import read
    from pytest_crossdiff.engine.plan import plan

    configured = read(given(options)).settings
    return plan(next(iter(configured.by_layer().values())))
