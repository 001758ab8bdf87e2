"""`crossdiff history`: the candidates of one baseline over time."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import pytest

from pytest_crossdiff.cli.past.drawing import write_series
from pytest_crossdiff.cli.past.series import Series, series
from pytest_crossdiff.cli.terminal import Terminal
from pytest_crossdiff.engine.past_results import PastResult
from pytest_crossdiff.results.difference import Firing
from pytest_crossdiff.results.result import Result
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.store.cache import Store
from support.commands import crossdiff
from support.replies import refusing
from support.results import make_difference, make_model, make_output, make_result

DAY = 86_400


class Lines(list):
    """A terminal that keeps what is written."""

    def __init__(self, *, colour=False, width=80):
        super().__init__()
        self.terminal = Terminal(self, colour=colour, width=width)

    def write(self, text):
        self.extend(text.splitlines())


@pytest.fixture(scope="module")
def project(measured, tmp_path_factory):
    """The measured pair, and before it a candidate that differed nowhere; no candidate is here any
    more.  A third result is of another baseline.
    """
    folder = tmp_path_factory.mktemp("history")
    for name in ("models", "cache"):
        shutil.copytree(measured / name, folder / name)
    for name in ("pytest.ini", "texts.jsonl"):
        shutil.copy(measured / name, folder)
    shutil.rmtree(folder / "models" / "v2")
    store = Store(folder / "cache")
    (info,) = [i for i in store.list() if i.kind == "result"]
    found = Result.from_json(store.entry("result", info.key).read_bytes("result.json").decode())
    earlier = dataclasses.replace(found, key="e" * 64, differences=(), baseline_total_strength=0.0)
    earlier = dataclasses.replace(
        earlier, candidate=dataclasses.replace(found.candidate, reference="org/first", digest="f")
    )
    foreign = dataclasses.replace(
        earlier, key="a" * 64, baseline=dataclasses.replace(found.baseline, digest="b")
    )
    for made in (earlier, foreign):
        entry = store.entry("result", made.key)
        with entry.lock():
            entry.write("result.json", made.to_json().encode())
            entry.complete({})
        for file in entry.path.iterdir():
            os.utime(file, (info.mtime - DAY, info.mtime - DAY))
    return folder, found


def test_each_candidate_has_a_row_with_what_is_known_of_it_though_it_is_gone(project):
    folder, found = project
    code = (
        "import sys; from pytest_crossdiff.cli import main; code = main(['history', '--json'])\n"
        "assert not {'torch', 'transformers', 'numpy'} & sys.modules.keys()\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    (one,) = data["series"]
    assert (one["layer"], one["other_settings"]) == ("block 0 of 3", [])
    first, last = one["results"]
    assert [first["candidate"], first["verdict"]] == ["org/first", "within"]
    assert last["verdict"] == "exceeded"
    assert last["baseline_only"] == {
        "count": 1, "possible": 0, "strength": found.baseline_total_strength,
    }  # fmt: skip
    metrics = json.loads(next(folder.glob("cache/metrics/*/*/metrics.json")).read_text("utf-8"))
    assert last["metrics"]["kl"] == metrics["kl"]  # kept under the models' digests
    assert first["metrics"]["kl"] is None
    assert one["last_change"]["before"] == "e" * 64
    assert [d["id"] for d in one["last_change"]["new"]] == ["B1"]


def test_without_a_result_there_is_nothing_to_show(project, tmp_path):
    folder, _ = project
    done = crossdiff(folder, "history", f"--cache-dir={tmp_path}")
    assert done.returncode == 3
    assert done.stderr.splitlines()[0] == (
        "crossdiff: nothing has been measured with this baseline and these texts"
    )


class Configured:
    """As `cli.configuration` has it, with nothing set."""

    settings = Settings(max_kl=0.02)
    file = None

    def __init__(self, root):
        self.root = root

    def add_labels(self, result):
        return result


def fired(d, start):
    """`d`, firing at forty characters of one text."""
    return dataclasses.replace(
        d, firing=tuple(Firing("d", "f" * 16, start + at, 1.0) for at in range(40))
    )


@pytest.fixture
def found(tmp_path):
    """Three candidates at one layer, the last with a budget on KL in doubt, and one at another."""
    c1 = fired(make_difference("C1", strength=0.04), 0)
    c2 = fired(make_difference("C2", strength=0.01, tokens=(" maple",)), 100)
    now = (
        fired(make_difference("C1", strength=0.02), 2),
        fired(make_difference("B1", "baseline"), 9),
    )
    results = [
        make_result(c1, c2, key="1" * 64, candidate=make_model("org/one")),
        make_result(key="2" * 64, output=make_output((0.3, 0.2, 0.4)), replies=refusing(100, 7)),
        make_result(*now, key="3" * 64, output=make_output()),
        make_result(key="4" * 64, baseline=make_model(layer=3), candidate=make_model(layer=3)),
    ]
    results[0] = dataclasses.replace(results[0], settings={"k": "24", "layer": "0.5"})
    past = [PastResult(r, 1_764_000_000 + at * DAY) for at, r in enumerate(results)]
    return past, series(past, Configured(tmp_path))


def test_results_are_grouped_by_layer_and_settings_the_present_ones_first(found, tmp_path):
    past, made = found
    assert [(one.where, len(one.rows)) for one in made] == [
        ("block 3 of 12", 1),
        ("block 6 of 12", 3),
    ]
    other = past[0]._replace(
        result=dataclasses.replace(past[0].result, settings={"k": "12", "corpus": "elsewhere"})
    )
    made = series([other, *past[1:]], Configured(tmp_path))
    assert [(one.differs, len(one.rows)) for one in made] == [((), 1), ((), 2), (("k = 12",), 1)]


def test_verdicts_are_by_the_present_budgets(found):
    rows = found[1][1].rows
    assert [row.check.status for row in rows] == ["exceeded", "exceeded", "exceeded"]
    assert rows[1].check.metrics[0].status == "exceeded"


def test_the_tables_the_bars_and_what_changed_last(found):
    lines = Lines()
    write_series(lines.terminal, found[1][1], 2)
    days = [row.measured.strftime("%Y-%m-%d") for row in found[1][1].rows]
    assert [" ".join(line.split()) for line in lines] == [
        "block 6 of 12",
        "… and 1 before (--limit=0 shows all)",
        "measured result verdict candidate-only baseline-only candidate",
        f"{days[1]} 22222222 OVER BUDGET 0 0 0 0 org/new",
        f"{days[2]} 33333333 OVER BUDGET 1 0.02 1 0.01 org/new",
        "",
        "measured KL KL p99 same top token perplexity ratio surprising replies",
        f"{days[1]} 0.3 0.125 94 % 1.01 7 %",
        f"{days[2]} 0.012 0.125 94 % 1.01 -",
        "",
        "joint strength of the differences",
        f"{days[1]} candidate-only · 0",
        "baseline-only · 0",
        f"{days[2]} candidate-only {'█' * 42} 0.02",
        f"baseline-only {'█' * 21} 0.01",
        "",
        "KL divergence, nats a token",
        f"{days[1]} {'█' * 58} 0.3",
        f"{days[2]} {'█' * 2} 0.012",
        "",
        "org/new (33333333) since org/new (22222222)",
        "new C1 0.02 fires on ' token'; near the words word",
        "new B1 0.01 fires on ' token'; near the words word",
    ]
    assert max(map(len, lines)) <= 80


def test_a_difference_is_known_again_by_where_it_fires(found):
    series_ = found[1][1]
    lines = Lines()
    write_series(lines.terminal, Series("", (), (series_.rows[0], series_.rows[2])), 0)
    assert [line.split()[:2] for line in lines[-3:]] == [
        ["new", "B1"],
        ["gone", "C2"],
        ["kept", "C1"],
    ]
    assert "0.04 -> 0.02" in lines[-1]
    assert "' maple'" in lines[-2]


def test_a_terminal_gets_colours(found):
    lines = Lines(colour=True)
    write_series(lines.terminal, found[1][0], 0)
    assert lines[0] == "\x1b[1mblock 3 of 12\x1b[0m"
    assert "\x1b[32mwithin budget\x1b[0m" not in lines[2]  # a limit on KL, which isn't known
    assert "\x1b[31mNO VERDICT\x1b[0m" in lines[2]
