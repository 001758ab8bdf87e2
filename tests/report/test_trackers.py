"""What experiment trackers are given of a measured pair."""

from __future__ import annotations

import json

import pytest

from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.trackers.clients import log
from support.replies import refusing
from support.results import (
    make_difference,
    make_output,
    make_recognised,
    make_recognition,
    make_result,
)

FAKE = """
import json, pathlib
def note(*what):
    with pathlib.Path("told.jsonl").open("a") as file:
        file.write(json.dumps([__name__, *what]) + "\\n")
"""
MLFLOW = (
    FAKE
    + """
import contextlib
def active_run(): return None
def start_run(**given): note("start", given); return contextlib.closing(End())
class End:
    def close(self): note("end")
def log_params(given): note("facts", given)
def log_metrics(given): note("numbers", given)
def log_artifact(path): note("file", pathlib.Path(path).name)
def get_tracking_uri(): return "file:runs"
"""
)
RUN = (
    FAKE
    + """
class Run:
    offline, dir = True, "runs/1"
    def log(self, given): note("numbers", given)
    def log_artifact(self, path, name, type): note("file", pathlib.Path(path).name)
    def finish(self): note("end")
def init(*, name, config, **given):
    note("start", {"run_name": name}); note("facts", config); return Run()
def finish(): note("end")
"""
)
CLIENTS = {"mlflow": MLFLOW, "wandb": RUN, "trackio": RUN}
"""Each says in a file what it was called with."""


@pytest.fixture
def differing(project, engine):
    engine.result = make_result(
        make_difference(strength=0.01), output=make_output(), replies=refusing(100, 16)
    )
    project.makepyfile("def test_one(crossdiff): pass\ndef test_two(crossdiff): pass")
    return project


def told(project):
    lines = (project.path / "told.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_each_gets_one_run_a_pair_with_what_was_compared_the_numbers_and_the_page(differing):
    differing.makepyfile(**CLIENTS)
    differing.syspathinsert()
    done = differing.runpytest(
        "--crossdiff-loggers=mlflow,wandb,trackio", "--crossdiff-report=html"
    )
    assert done.ret == 0
    done.stdout.fnmatch_lines(
        [
            "crossdiff logged to mlflow: old-to-new-block-6 in file:runs",
            "crossdiff logged to wandb: old-to-new-block-6 in runs/1",
            "crossdiff logged to trackio: old-to-new-block-6 in project pytest-crossdiff",
        ]
    )
    for client in CLIENTS:
        steps = {step: rest for name, step, *rest in told(differing) if name == client}
        kinds = [step for name, step, *_ in told(differing) if name == client]
        assert kinds == ["start", "facts", "numbers", "file", "end"]
        assert steps["start"][0]["run_name"] == "old-to-new-block-6"
        assert steps["file"] == ["old-to-new-block-6.html"]
        (facts,), (numbers,) = steps["facts"], steps["numbers"]
        assert facts == {
            "baseline": "org/old", "candidate": "org/new", "layer": "block 6 of 12",
            "corpus": "builtin:pydoc", "result": "key", "verdict": "none",
        }  # fmt: skip
        some = {
            "candidate_only": 1, "baseline_only": 0, "candidate_only_strength": 0.01, "kl": 0.012,
            "kl_low": 0.01, "same_top": 0.94, "surprising_replies": 0.16, "accepted": 0,
        }  # fmt: skip
        assert {name: numbers[f"crossdiff/{name}"] for name in some} == some


def test_nothing_is_imported_where_nothing_is_asked_for(differing):
    differing.makepyfile(**dict.fromkeys(CLIENTS, "raise AssertionError"))
    differing.syspathinsert()
    assert "logged" not in differing.runpytest("--crossdiff-report=html").stdout.str()


@pytest.mark.parametrize(
    ("client", "line"),
    [
        ("def active_run(): raise OSError('no server')", "no server"),
        ("import nowhere", "No module named 'nowhere'"),
    ],
)
def test_a_tracker_that_fails_changes_no_verdict(differing, client, line):
    differing.makepyfile(mlflow=client)
    differing.syspathinsert()
    done = differing.runpytest("--crossdiff-loggers=mlflow", "-W", "error")
    assert done.ret == 0
    done.stdout.fnmatch_lines([f"crossdiff: not logged to mlflow: {line}"])


def test_one_that_is_not_installed_is_named_with_what_to_type(tmp_path, monkeypatch):
    (tmp_path / "wandb").mkdir()  # what W&B leaves behind is not W&B
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", finder(tmp_path))
    report = Report.of(make_result())
    assert log(report, [], "wandb") == (
        "crossdiff: not logged to wandb, which is not installed: pip install wandb, and run again"
    )


def finder(folder):
    """Finds what is in `folder` alone."""
    from importlib.machinery import PathFinder

    return lambda name: PathFinder.find_spec(name, [str(folder)])


def test_accepted_differences_are_counted_apart(tmp_path, monkeypatch):
    from pytest_crossdiff.report.trackers.clients import LoggedPair

    accepted = make_recognition(make_recognised("C1"))
    numbers = LoggedPair.of(
        Report.of(make_result(make_difference()), accepted=accepted), []
    ).numbers
    assert (numbers["crossdiff/candidate_only"], numbers["crossdiff/accepted"]) == (0, 1)


class TestRealClients:
    """Each where it is installed, with a store of its own in a folder."""

    def test_mlflow(self, tmp_path, monkeypatch):
        mlflow = pytest.importorskip("mlflow")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/runs.db")
        monkeypatch.chdir(tmp_path)
        assert log(Report.of(make_result(make_difference())), [], "mlflow").startswith(
            "crossdiff logged to mlflow: old-to-new-block-6 in sqlite:"
        )
        (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
        assert run.data.metrics["crossdiff/candidate_only_strength"] == 0.01
        assert run.data.params["candidate"] == "org/new"

    def test_wandb(self, tmp_path, monkeypatch):
        pytest.importorskip("wandb")
        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.chdir(tmp_path)
        assert log(Report.of(make_result()), [], "wandb").startswith("crossdiff logged to wandb")
        assert list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))

    def test_trackio(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
        monkeypatch.setenv("TRACKIO_PROJECT", "upgrades")
        trackio = pytest.importorskip("trackio")
        assert log(Report.of(make_result()), [], "trackio").endswith("in project upgrades")
        (run,) = trackio.Api().runs("upgrades")
        assert run.config["verdict"] == "none"
