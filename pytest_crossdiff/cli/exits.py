"""The exit codes of every command."""

from __future__ import annotations

FINE = WITHIN = 0
EXCEEDED = 1
USAGE = 2
UNMEASURED = 3
INCONCLUSIVE = 4
INTERRUPTED = 130
PIPE_CLOSED = 141

EXIT_CODES_HELP = """\
exit codes:
  0    done; for train: within every budget
  1    over a budget
  2    the command or a setting is wrong
  3    not measured, nothing to show, or a check failed
  4    the evidence doesn't decide whether it is over a budget
  130  interrupted; what was finished is kept
"""
