"""The benchmark of other trainers says what is missing and loses no results."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

import pytest

from benchmarks.peers.__main__ import cause, keep


def test_why_a_trainer_could_not_be_run_is_said_in_its_own_words():
    with tempfile.TemporaryFile("w+") as said:
        subprocess.run([sys.executable, "-c", "import no_such_trainer"], stderr=said, check=False)
        assert cause(said) == "ModuleNotFoundError: No module named 'no_such_trainer'"


def test_results_are_not_replaced_by_fewer(tmp_path):
    path = tmp_path / "step.json"
    both = {"rows": [{"trainer": "ours"}, {"trainer": "theirs"}]}
    keep(both, path)
    with pytest.raises(SystemExit, match="could not be run now: theirs; write elsewhere"):
        keep({"rows": [{"trainer": "ours"}]}, path)
    with pytest.raises(SystemExit):
        keep({"rows": []}, tmp_path / "none.json")
    assert json.loads(path.read_text()) == both
    assert not (tmp_path / "none.json").exists()
    keep(both | {"machine": "another"}, path)
    assert json.loads(path.read_text())["machine"] == "another"
