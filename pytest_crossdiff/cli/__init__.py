"""The `crossdiff` command: measure, look at results, keep the cache, check before a long run."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pytest_crossdiff.cli.arguments import as_typed, given
from pytest_crossdiff.cli.exits import INTERRUPTED, PIPE_CLOSED, UNMEASURED, USAGE
from pytest_crossdiff.cli.parser import parser
from pytest_crossdiff.cli.terminal import Terminal
from pytest_crossdiff.errors import CrossDiffError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code (`exits.py`)."""
    options = parser().parse_args(arguments)
    out, err = Terminal.of(sys.stdout), Terminal.of(sys.stderr)
    try:
        code: int = options.run(options, out)
        sys.stdout.flush()
    except CrossDiffError as error:
        sys.stdout.flush()
        err.failure(as_typed(error, given(options)))
        return USAGE if isinstance(error, SettingsError) else UNMEASURED
    except KeyboardInterrupt:
        kept = "; what is finished is kept, and the same command goes on from there"
        err.line("crossdiff: interrupted" + kept * (options.command == "train"))
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough; Python would complain again at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return code
