"""`crossdiff references`: which models a pair is judged by, and sets of them without weights."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from pytest_crossdiff.cli import main
from pytest_crossdiff.engine.population import observing
from support import planted
from support.commands import make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = make_project(tmp_path_factory.mktemp("project"), tokens=6_000)
    for seed in (1, 2):
        planted.plain(folder / "models" / f"r{seed}", seed=seed)
    return folder


@pytest.fixture
def run(project, monkeypatch, capsys):
    """Runs a command in the project; gives its exit code and what it wrote to either stream."""
    monkeypatch.chdir(project)

    def run(*arguments):
        code = main(["references", *arguments])
        return code, *capsys.readouterr()

    return run


def test_without_any_the_list_says_so(run):
    code, out, _ = run("list")
    assert (code, out) == (0, "crossdiff_references names no model\n")


def test_models_are_added_listed_used_without_their_weights_and_removed(project, run, monkeypatch):
    code, out, _ = run("add", "models/r1", "models/r2", "--to=set")
    assert code == 0
    assert "models/r1 is in set" in out
    assert "set crossdiff_references = set" in out
    rows = json.loads((project / "set" / "references.json").read_text("utf-8"))["references"]
    assert [row["name"] for row in rows] == ["models/r1", "models/r2"]
    texts = (project / "texts.jsonl").read_text("utf-8").splitlines()
    kept = b"".join(path.read_bytes() for path in (project / "set").iterdir())
    assert not any(json.loads(line)["text"][:30].encode() in kept for line in texts)
    assert len(kept) < (project / "models" / "r1" / "model.safetensors").stat().st_size

    shutil.rmtree(project / "models" / "r1")
    monkeypatch.setattr(observing, "load", lambda *_, **__: pytest.fail("a model was loaded"))
    code, out, _ = run("list", "--references=set")
    assert code == 0
    assert out.count(f"in the set {project / 'set'}") == 2
    assert "2 models: at most 1 in 3 models that are exchangeable with them would be flagged" in out
    code, out, _ = run("list", "--references=models/r1,models/r2,models/v2")
    states = [" ".join(line.split()[2:]) for line in out.splitlines()[1:4]]
    assert [state[:20] for state in states] == ["read; its weights ar", "read", "not read yet"]

    assert run("remove", "models/r1", "--to=set")[0] == 0
    code, _, err = run("remove", "models/r1", "--to=set")
    assert code == 3
    assert "has no reference 'models/r1'" in err
    assert "name one of models/r2" in err


def test_the_doctor_says_how_many_are_still_to_be_read_and_for_how_long(project, run, capsys):
    run("add", "models/r2", "--to=read")
    assert main(["doctor", "--references=models/r2,models/v2"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    seconds = r"about \d+ seconds"  # a fact of the machine and of what else it does
    assert re.search(
        f"references 2 models, 1 to be read, once: {seconds}; what the pair writes: {seconds}", said
    )


def test_what_is_no_model_and_no_set_is_blamed_on_what_was_typed(run):
    code, _, err = run("add", "models/nope")
    assert code != 0
    assert "from: crossdiff references add" in err
    code, _, err = run("remove", "models/r1", "--to=nowhere")
    assert code == 2
    assert "nowhere holds no set of references" in err
    assert "from: --to" in err


def test_a_set_of_other_texts_is_refused_by_name(project, run):
    run("add", "models/r2", "--to=other")
    code, _, err = run("list", "--references=other", "--tokens=5000")
    assert code == 2
    assert "was read on other texts" in err
