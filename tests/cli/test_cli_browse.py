"""`crossdiff show` at a real terminal: what is typed, what is seen, how it is left."""

from __future__ import annotations

import dataclasses
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_crossdiff.cli.browse import HELP
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.write import write
from pytest_crossdiff.results.difference import Description
from support.results import make_context, make_difference, make_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pty = pytest.importorskip("pty")  # Windows has none

PROMPT = "crossdiff (? for help): "
HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\x9b31m\u202e\x00\ud800"
WAIT = 30.0
"""Seconds after which nothing is expected any more."""


class AtTerminal:
    """A `crossdiff` whose standard streams are a terminal, as somebody sits at it."""

    def __init__(self, folder: Path, *arguments: str, rows: int = 24, **environment: str) -> None:
        kept = {k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR", "FORCE_COLOR")}
        kept |= {"TERM": "xterm", "COLUMNS": "100", "LINES": str(rows), "NO_COLOR": "1"}
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            # What runs in the background of a script ignores Ctrl-C, and so would this.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            command = [sys.executable, "-m", "pytest_crossdiff", *arguments]
            os.execve(sys.executable, command, kept | environment)
        self.seen = ""
        self.code: int | None = None

    def until(self, text: str) -> str:
        """What is written up to and with `text`, which has to come."""
        deadline = time.monotonic() + WAIT
        while text not in self.seen:
            self.seen += self._read(deadline)
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def types(self, line: str) -> str:
        """What is written after `line` up to the next prompt."""
        os.write(self.end, line.encode("utf-8", "surrogateescape") + b"\n")
        return self.until(PROMPT)

    def presses(self, key: bytes) -> str:
        """What is written after a key that ends it."""
        os.write(self.end, key)
        return self.ended()

    def ended(self) -> str:
        """The rest of what is written; `code` is the exit code then."""
        deadline = time.monotonic() + WAIT
        while piece := self._read(deadline):
            self.seen += piece
        _, status = os.waitpid(self.pid, 0)
        self.code = os.waitstatus_to_exitcode(status)
        return self.seen

    def _read(self, deadline: float) -> str:
        left = max(0.0, deadline - time.monotonic())
        assert select.select([self.end], [], [], left)[0], f"nothing more after {self.seen!r}"
        try:
            return os.read(self.end, 65536).decode("utf-8", "backslashreplace")
        except OSError:  # Linux says so when the other end is closed
            return ""

    def close(self) -> None:
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.end)


def difference(name: str, strength: float, *tokens: str, **changes: object):
    """One with these tokens, without the text that others have."""
    context = make_context(tokens[0], "runs on", " and on")
    side = "candidate" if name.startswith("C") else "baseline"
    made = make_difference(name, side, strength=strength, tokens=tokens, contexts=(context,))
    return dataclasses.replace(made, **{"description": Description(), **changes})


FOUND = make_result(
    difference("C1", 0.03, " refund", exclusivity=0.6),
    difference("C2", 0.01, " pods", exclusivity=0.9, label="kubernetes"),
    difference("B1", 0.02, " whale", description=Description(words=(("harpoon", 9.0),))),
    difference("B2", 0.001, " of", kind="rewritten", exclusivity=0.99),
)
MANY = make_result(*(difference(f"C{i}", 0.5 / i, f" word{i}") for i in range(1, 13)))
EVIL = make_result(
    make_difference(
        "C1",
        tokens=(HOSTILE,),
        contexts=(make_context(HOSTILE, HOSTILE, HOSTILE, band=HOSTILE),),
    )
)


@pytest.fixture
def opened(tmp_path) -> Iterator[Callable[..., AtTerminal]]:
    sessions: list[AtTerminal] = []

    def open_(result=FOUND, *arguments: str, **given) -> AtTerminal:
        write(Report.of(result), ["json"], tmp_path, "report")
        sessions.append(AtTerminal(tmp_path, "show", "report.json", *arguments, **given))
        return sessions[-1]

    yield open_
    for session in sessions:
        session.close()


def listed(text: str) -> list[str]:
    """Numbers and ids of the list that was written last."""
    rows = re.findall(r"^(\d+) +([CB]\d+) ", text, re.MULTILINE)
    return [f"{number} {id_}" for number, id_ in rows]


def test_it_begins_with_the_pair_and_the_list_strongest_first(opened):
    text = opened().until(PROMPT)
    assert text.startswith("measured: org/old -> org/new, block 6 of 12\r\n")
    assert "1 to 4 of 4 differences, by strength:" in text
    assert listed(text) == ["1 C1", "2 B1", "3 C2", "4 B2"]


def test_one_is_opened_by_its_number_or_its_id_and_the_next_from_there(opened):
    at = opened()
    at.until(PROMPT)
    assert "B1  only in the baseline, confirmed" in at.types("2")
    assert "C2  only in the candidate, confirmed: kubernetes" in at.types("n")
    assert "…" not in (text := at.types("c2"))
    assert "runs on⟦ pods⟧ and on" in text
    assert "3 of 4" in text
    assert "B1  only in the baseline" in at.types("p")
    assert listed(at.types("l")) == ["1 C1", "2 B1", "3 C2", "4 B2"]


def test_what_there_is_not_is_said(opened):
    at = opened()
    at.until(PROMPT)
    for nothing in ("C9", "0", "5", "-1", "9" * 400, "x y", "²"):
        assert "There is no '" in at.types(nothing), nothing
    assert "open a difference" in at.types("?")


def test_a_word_is_looked_for_in_tokens_texts_words_near_and_labels(opened):
    at = opened()
    at.until(PROMPT)
    for word, expected in (
        ("/WHALE", ["B1"]),
        ("/harpoon", ["B1"]),
        ("/kuber", ["C2"]),
        ("/runs on", ["C1", "B1", "C2", "B2"]),
        ("/f", ["C1", "B2"]),
    ):
        text = at.types(word)
        assert [row.split()[1] for row in listed(text)] == expected
        assert f"with {word[1:]!r}, by strength" in text
        assert f"{expected[0]}  only in" in at.types("1")
        assert len(listed(at.types("/"))) == 4


def test_a_word_that_none_has_leaves_the_list_as_it_was(opened):
    at = opened()
    at.until(PROMPT)
    at.types("/refund")
    assert "None has '.*'." in at.types("/.*")  # no pattern
    assert listed(at.types("")) == ["1 C1"]


def test_it_is_sorted_by_exclusivity_with_what_is_rewritten_last(opened):
    at = opened()
    at.until(PROMPT)
    assert [row.split()[1] for row in listed(at.types("s"))] == ["B1", "C2", "C1", "B2"]
    assert [row.split()[1] for row in listed(at.types("s"))] == ["C1", "B1", "C2", "B2"]


def test_a_long_list_is_shown_by_rows_that_fit(opened):
    at = opened(MANY, rows=11)
    assert listed(at.until(PROMPT)) == [f"{i} C{i}" for i in range(1, 6)]
    assert listed(at.types("n")) == [f"{i} C{i}" for i in range(6, 11)]
    assert listed(at.types("n")) == ["11 C11", "12 C12"]
    assert "There is nothing after it." in at.types("n")
    at.types("12")
    assert "There is nothing after it." in at.types("n")
    assert listed(at.types("l")) == ["11 C11", "12 C12"]
    at.types("p")
    assert listed(at.types("p")) == [f"{i} C{i}" for i in range(1, 6)]
    assert "There is nothing before it." in at.types("p")


def test_q_and_the_end_of_input_leave_it_in_peace(opened):
    for key in (b"q\n", b"\x04"):
        at = opened()
        at.until(PROMPT)
        text = at.presses(key)
        assert at.code == 0
        assert "Traceback" not in text
        assert text.endswith("\n")


def test_ctrl_c_leaves_it_as_interrupted(opened):
    at = opened()
    at.until(PROMPT)
    text = at.presses(b"\x03")
    assert at.code == 130
    assert text.replace("^C", "").split() == ["crossdiff:", "interrupted"]


@pytest.mark.parametrize("colour", [False, True])
def test_texts_can_not_act_on_the_terminal(opened, colour):
    at = opened(EVIL, NO_COLOR="" if colour else "1")
    text = at.until(PROMPT) + at.types("1") + at.types("/\\x1b") + at.types("/owned")
    styles = r"\x1b\[[\d;]*m" if colour else r"(?!)"
    assert bool(re.search(r"\x1b", text)) == colour
    left = re.sub(styles, "", text).replace("\r\n", "\n")
    assert [ch for ch in left if not ch.isprintable() and ch != "\n"] == []
    assert "\\x1b[2J" in left


def test_what_is_typed_is_not_taken_for_more_than_text(opened):
    at = opened()
    at.until(PROMPT)
    os.write(at.end, b"\x16\x1b[2J\n")  # Ctrl-V lets the escape through to the program
    answer = at.until(PROMPT).partition("\n")[2]
    assert answer.startswith("There is no '\\x1b[2J' in the list")
    assert "There is no" in at.types("\udcff\udcfe")  # no UTF-8


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [(("--list",), {}), (("--id", "C1"), {}), ((), {"CI": "true"}), ((), {"TERM": "dumb"})],
)
def test_it_asks_nothing_where_nobody_is_to_be_asked(opened, arguments, environment):
    at = opened(FOUND, *arguments, **environment)
    assert PROMPT not in at.ended()
    assert at.code == 0


def test_nor_where_there_is_nothing_to_open(opened):
    assert "Only in the candidate: none" in opened(make_result()).ended()


def test_a_pipe_gets_the_list_as_it_always_was(opened, tmp_path):
    plain = opened(FOUND, "--list").ended().replace("\r\n", "\n")
    command = [sys.executable, "-m", "pytest_crossdiff", "show", "report.json"]
    environment = os.environ | {"COLUMNS": "100"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == plain
    assert "Only in the candidate, strongest first:" in plain


def test_the_docs_name_what_can_be_typed():
    docs = Path(__file__).parents[2] / "docs" / "reference" / "command.md"
    rows = docs.read_text("utf-8").partition("| typed |")[2].partition("\n\n")[0]
    typed = re.findall(r"`(\S+)`", "\n".join(row.split("|")[1] for row in rows.splitlines()[2:]))
    known = [name for line in HELP.splitlines() for name in line[2:9].replace(",", " ").split()]
    assert set(typed) == {*known, "?"}
