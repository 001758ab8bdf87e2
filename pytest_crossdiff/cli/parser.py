"""The tree of commands; building it imports nothing that a command needs to run."""

from __future__ import annotations

import argparse

from pytest_crossdiff.cli.arguments import filled, fitted_examples
from pytest_crossdiff.cli.commands import (
    baseline,
    cache,
    completion,
    demo,
    doctor,
    history,
    init,
    plan,
    references,
    report,
    show,
    train,
)
from pytest_crossdiff.cli.exits import EXIT_CODES_HELP
from pytest_crossdiff.version import VERSION

DESCRIPTION = """\
Compare a baseline with a candidate language model: which features does only one of them have?

Settings come from pytest.ini, pyproject.toml, tox.ini or setup.cfg, found as pytest finds them
from the current folder; most commands take them as flags, too.
"""
EXAMPLES = f"""\
examples:
  crossdiff demo                try it on two small models, without any download
  crossdiff init                write a configuration, a test and texts to start from
  crossdiff doctor              would a measurement work here, and how long would it take?
  crossdiff plan models/v2      what a measurement would take on other devices
  crossdiff train               measure the configured pair; what was measured is kept
  crossdiff show                what differs, by the settings of pytest.ini
  crossdiff show --id C1        one difference with the texts it fires on
  crossdiff show --on "a text"  which of its tokens a difference fires on
  crossdiff history             the candidates so far, and what is new in the last one
  crossdiff report              the same as a page to pass on
  crossdiff references list     the models by which a pair is judged
  crossdiff baseline export v1.crossdiff  for when the baseline's weights are gone
  crossdiff cache list          what is kept, and how large it is

{EXIT_CODES_HELP}
"crossdiff COMMAND --help" has more examples."""


def parser() -> argparse.ArgumentParser:
    """The parser of `crossdiff`; what it parses has `run(options, terminal)`."""
    top = argparse.ArgumentParser(
        prog="crossdiff",
        description=filled(DESCRIPTION.rstrip()),
        epilog=fitted_examples(EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=VERSION)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in (
        demo,
        init,
        doctor,
        plan,
        train,
        show,
        history,
        report,
        references,
        baseline,
        cache,
        completion,
    ):
        module.add(commands)
    top.set_defaults(parser=top)  # `completion` draws the tree of commands from it
    return top
