"""`crossdiff cache list|size|prune|verify` on the cache of a real measurement."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter

import pytest

from pytest_crossdiff.cli import main
from pytest_crossdiff.results.result import Result
from pytest_crossdiff.store.cache import Store
from support import commands

ENTRIES = {"self-check": 2, "states": 2, "metrics": 1, "harvest": 2, "weights": 2}
ENTRIES |= {"crosscoder": 1, "result": 1}
"""What a measurement leaves in the cache."""
ALL = sum(ENTRIES.values())


@pytest.fixture
def project(measured, tmp_path):
    """A copy that may be damaged."""
    folder = tmp_path / "project"
    shutil.copytree(measured / "cache", folder / "cache")
    shutil.copy(measured / "pytest.ini", folder)
    return folder


@pytest.fixture
def crossdiff(capsys, monkeypatch):
    """Call the command in this process, where it needs no settings."""

    def call(folder, *arguments):
        monkeypatch.chdir(folder)
        try:
            code = main(
                [*arguments, *(() if "--cache-dir" in arguments else ("--cache-dir=cache",))]
            )
        except SystemExit as end:
            code = end.code
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return call


def entries(project, kind=None):
    return [i for i in Store(project / "cache").list() if kind in (None, i.kind)]


def test_list_says_what_each_entry_is(project):
    (path,) = project.glob("cache/result/*/*/result.json")
    tokens = Result.from_json(path.read_text("utf-8")).baseline.tokens
    done = commands.crossdiff(project, "cache", "list")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert re.fullmatch(rf"{re.escape(str(project))}/cache: {ALL} entries, [\d.]+ MB", lines[0])
    assert lines[1].split() == ["kind", "key", "size", "unused", "for", "state", "what", "it", "is"]
    kinds = [line.split()[0] for line in lines[2:]]
    assert Counter(kinds) == ENTRIES
    (result,) = (line for line in lines if line.startswith("result "))
    assert "models/v1 -> models/v2 block 0 of 3: 0 cand" in result
    assert "512 features, widths 48 and 48" in done.stdout
    said = {line.split("complete  ")[1] for line in lines[2:]}
    for model in ("models/v1", "models/v2"):
        assert any(what.startswith(f"{model} block 0 of 3: {tokens} tok") for what in said)
        assert f"a sample of the weights of {model}" in said
        assert f"self-check of {model}: equals the next bl…" in said
    assert all(len(line) <= 100 for line in lines[1:])


def test_list_of_one_kind(crossdiff, project):
    done = crossdiff(project, "cache", "list", "--kind", "result")
    assert [x.split()[0] for x in done.stdout.splitlines()[2:]] == ["result"]


def test_size_adds_up(crossdiff, project):
    done = crossdiff(project, "cache", "size")
    counted = [x.split()[:2] for x in done.stdout.splitlines()[1:]]
    assert {kind: int(count) for kind, count in counted} == ENTRIES


def test_an_empty_cache_is_listed_and_not_made(crossdiff, tmp_path):
    for command in ("list", "size", "verify"):
        done = crossdiff(tmp_path, "cache", command)
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "cache").exists()


class TestPrune:
    def test_a_dry_run_says_what_would_go_and_changes_nothing(self, crossdiff, project):
        before = sorted(project.rglob("*"))
        done = crossdiff(project, "cache", "prune", "--kind=harvest", "--dry-run")
        assert re.search(r"^would remove 2 entries, [\d.]+ MB$", done.stdout, re.MULTILINE)
        assert sorted(project.rglob("*")) == before

    def test_a_kind_goes_and_the_others_stay(self, crossdiff, project):
        assert crossdiff(project, "cache", "prune", "--kind=harvest").returncode == 0
        assert Counter(i.kind for i in entries(project)) == Counter(ENTRIES | {"harvest": 0})

    def test_by_key(self, crossdiff, project):
        (result,) = entries(project, "result")
        done = crossdiff(project, "cache", "prune", result.key[:8])
        assert "removed 1 entry" in done.stdout
        assert result.key not in [i.key for i in entries(project)]

    def test_a_key_that_no_entry_has_is_an_error(self, crossdiff, project):
        done = crossdiff(project, "cache", "prune", "zz")
        assert done.returncode == 2
        assert "no entry has a key that begins with 'zz'" in done.stderr

    def test_nothing_is_chosen_by_default(self, crossdiff, project):
        done = crossdiff(project, "cache", "prune")
        assert done.returncode == 2
        assert "nothing is chosen" in done.stderr
        assert len(entries(project)) == ALL

    def test_what_was_used_lately_is_not_older(self, crossdiff, project):
        old = time.time() - 40 * 86_400
        for info in entries(project, "harvest"):
            for file in info.path.iterdir():
                os.utime(file, (old, old))
        done = crossdiff(project, "cache", "prune", "--older-than=30d")
        assert "removed 2 entries" in done.stdout
        assert "unused for 40 d" in done.stdout
        assert Counter(i.kind for i in entries(project)) == Counter(ENTRIES | {"harvest": 0})

    def test_the_longest_unused_go_until_so_much_is_left(self, crossdiff, project):
        for age, info in enumerate(entries(project, "harvest")):
            old = time.time() - 3600 * (1 + age)
            for file in info.path.iterdir():
                os.utime(file, (old, old))
        oldest = entries(project, "harvest")[1].key
        done = crossdiff(project, "cache", "prune", "--keep=9MB")
        assert "removed 1 entry" in done.stdout
        assert oldest not in [i.key for i in entries(project)]

    def test_an_entry_that_a_process_is_at_work_on_stays(self, crossdiff, project):
        (info,) = entries(project, "result")
        store = Store(project / "cache")
        with store.entry("result", info.key).lock():
            tried = crossdiff(project, "cache", "prune", "--all", "--dry-run")
            done = crossdiff(project, "cache", "prune", "--all")
        assert f"would remove {ALL - 1} entries" in tried.stdout
        assert f"removed {ALL - 1} entries" in done.stdout
        assert done.stdout.endswith("left 1 that a process is at work on\n")
        assert [i.kind for i in entries(project)] == ["result"]

    @pytest.mark.parametrize("wrong", ["--older-than=soon", "--keep=much"])
    def test_a_malformed_amount_is_2(self, crossdiff, project, wrong):
        done = crossdiff(project, "cache", "prune", wrong)
        assert done.returncode == 2
        assert "give e.g." in done.stderr

    @pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root writes anywhere")
    def test_a_cache_that_can_t_be_written_is_said(self, crossdiff, project):
        subprocess.run(["chmod", "-R", "a-w", project / "cache"], check=True)
        try:
            done = crossdiff(project, "cache", "prune", "--all")
        finally:
            subprocess.run(["chmod", "-R", "u+w", project / "cache"], check=True)
        assert done.returncode == 3
        assert "set crossdiff_cache_dir to a folder that can be written" in done.stderr


class TestDamage:
    @pytest.fixture
    def broken(self, project):
        (info,) = entries(project, "crosscoder")
        file = info.path / "weights.safetensors"
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
        (info,) = entries(project, "result")
        (info.path / "manifest.json").write_bytes(b"{")
        return project

    def test_a_whole_cache_is_whole(self, crossdiff, project):
        done = crossdiff(project, "cache", "verify")
        assert (done.returncode, done.stdout) == (0, f"{ALL} whole, 0 damaged\n")

    def test_verify_names_what_is_damaged_and_leaves_it(self, crossdiff, broken):
        before = sorted(broken.rglob("*"))
        done = crossdiff(broken, "cache", "verify")
        assert done.returncode == 3
        lines = done.stdout.splitlines()
        assert lines[0].startswith("✗ crosscoder ")
        assert "weights.safetensors is not what was written" in lines[0]
        assert lines[1].startswith("✗ result ")
        assert lines[2] == f"{ALL - 2} whole, 2 damaged"
        assert sorted(broken.rglob("*")) == before

    def test_list_goes_on_past_damage(self, crossdiff, broken):
        done = crossdiff(broken, "cache", "list")
        assert done.returncode == 0
        assert "damaged: the next run makes it again" in done.stdout

    def test_what_was_set_aside_or_interrupted_can_be_pruned_alone(self, crossdiff, project):
        (result,) = entries(project, "result")
        result.path.rename(result.path.with_name(result.path.name + ".damaged-1"))
        (crosscoder,) = entries(project, "crosscoder")
        (crosscoder.path / "manifest.json").unlink()
        done = crossdiff(project, "cache", "list")
        assert "set aside" in done.stdout
        assert "unfinished: 1 file" in done.stdout
        assert (
            "removed 2 entries"
            in crossdiff(project, "cache", "prune", "--damaged", "--unfinished").stdout
        )
        assert {i.kind for i in entries(project)} == {*ENTRIES} - {"result", "crosscoder"}


def test_hostile_names_are_spelt_out(project):
    from pytest_crossdiff.cli.contents import describe

    store = Store(project / "cache")
    entry = store.entry("harvest", "abcdef")
    with entry.lock():
        entry.complete(
            {"architecture": "\x1b[2J\u202eX", "layer": 1, "layers": 3}
            | {"tokens": 3, "dtype": "float32"}
        )
    (text,) = describe(store, [i for i in store.list() if i.key == "abcdef"])
    assert text == r"\x1b[2J\u202eX block 1 of 3: 3 tokens, float32"
