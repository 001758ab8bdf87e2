"""The one command for a machine with a GPU: what it runs is there, and it ends in ten minutes."""

import importlib.util
from pathlib import Path

import pytest

from benchmarks.speed.gpu.__main__ import TESTS, Step, steps, succeeds

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("small", [False, True])
def test_all_that_it_runs_is_there_and_ends_in_ten_minutes(tmp_path, small):
    every = steps(tmp_path, small=small)
    assert sum(step.limit for step in every) < 600
    assert all(importlib.util.find_spec(step.arguments[1]) for step in every)
    assert all((PROJECT / test).is_file() for test in TESTS)


def test_a_step_that_fails_or_takes_too_long_is_said_and_costs_no_other(capsys):
    assert succeeds(Step("good", 20, ("-c", "")))
    assert not succeeds(Step("bad", 20, ("-c", "raise SystemExit(3)")))
    assert not succeeds(Step("slow", 1, ("-c", "import time; time.sleep(60)")))
    said = [line.partition(",")[0] for line in capsys.readouterr().out.splitlines() if "," in line]
    assert said == [
        "== good: done",
        "== bad: failed with 3",
        "== slow: stopped: it took too long",
    ]
