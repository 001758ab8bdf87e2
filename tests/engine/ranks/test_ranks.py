"""Several processes that share a run make what one process makes, bit for bit, agree beforehand on
what they do, and end together.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from pytest_crossdiff.engine.plan import plan
from pytest_crossdiff.engine.ranks import agreement
from pytest_crossdiff.engine.ranks.fill import share_out
from pytest_crossdiff.engine.ranks.group import RankError, Ranks
from support import planted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUICK = {"tokens": 6_000, "features": 96, "steps": 30, "seeds": 2, "effect": False, "layer": 0}
SLOW = """
import sys, time
from pytest_crossdiff.engine.activations import shard_reading
read = shard_reading.Reading.read
def slow(*arguments):
    time.sleep(0.5)
    return read(*arguments)
shard_reading.Reading.read = slow
from pytest_crossdiff.cli import main
sys.exit(main(sys.argv[1:]))
"""
SECONDS = 600  # of a process on a machine that is busy with other work


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models and the configuration that compares them."""
    root = tmp_path_factory.mktemp("pair")
    planted.plain(root / "a")
    planted.merged(root / "b")
    lines = planted.ini(**QUICK, baseline=root / "a", candidate=root / "b")
    (root / "pytest.ini").write_text(f"[pytest]\n{lines}", "utf-8")
    return root


def start(folder: Path, *options: str, code: str = "", **environment: object) -> Any:
    """A process of `crossdiff train`, of this file's `code` where there is any."""
    program = ["-c", code] if code else ["-m", "pytest_crossdiff"]
    return subprocess.Popen(
        [sys.executable, *program, "train", "--no-verdict", *options],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **{k: str(v) for k, v in environment.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_ranks(
    folder: Path, count: int, options: Callable[[int], list[str]], code: str = ""
) -> list[Any]:
    group = launched(count)
    return [
        start(folder, *options(r), code=code, RANK=r, LOCAL_RANK=r, **group) for r in range(count)
    ]


def launched(count: int) -> dict[str, object]:
    """What a launcher tells each of so many ranks, but for its number."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {"WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


def joining(code: str, count: int) -> str:
    """What the first rank of so many prints where `code` alone runs."""
    group = {"RANK": 0, **launched(count)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **{k: str(v) for k, v in group.items()}},
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    return done.stdout


def ended(process: Any) -> tuple[int, str]:
    said, _ = process.communicate(timeout=SECONDS)
    return process.returncode, said


def artefacts(cache: Path) -> dict[str, Any]:
    """Of every complete entry but the result, which tells its time: the digests of its parts, and
    what describes it.
    """
    found = {}
    for path in sorted(cache.rglob("manifest.json")):
        kind = path.relative_to(cache).parts[0]
        manifest = json.loads(path.read_text("utf-8"))
        meta = {name: value for name, value in manifest["meta"].items() if name != "seconds"}
        if kind != "result":
            found[f"{kind}/{path.parent.name}"] = manifest["files"], meta
    return found


@pytest.fixture(scope="module")
def of_one_process(folder: Path) -> dict[str, Any]:
    assert ended(start(folder, "--cache-dir=one"))[0] == 0
    return artefacts(folder / "one")


def test_torchrun_starts_two_that_make_the_same_artefacts(
    folder: Path, of_one_process: dict[str, Any]
) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         "-m", "pytest_crossdiff", "train", "--no-verdict", "--cache-dir=two"],
        cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=SECONDS, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("crossdiff report: ") == 1  # one rank tells
    made = artefacts(folder / "two")
    assert made == of_one_process
    kinds = {name.partition("/")[0] for name in made}
    assert kinds >= {"harvest", "crosscoder", "spiked", "null", "metrics", "self-check"}


@pytest.mark.slow
@pytest.mark.long
def test_so_do_four(folder: Path, of_one_process: dict[str, Any]) -> None:
    for code, said in map(ended, start_ranks(folder, 4, lambda _: ["--cache-dir=four"])):
        assert code == 0, said
    assert artefacts(folder / "four") == of_one_process


@pytest.mark.slow
@pytest.mark.long
def test_so_do_two_at_two_layers_which_one_process_reads_in_one_pass(folder: Path) -> None:
    layers = "--layer=0, 1"
    assert ended(start(folder, layers, "--cache-dir=one-pass"))[0] == 0
    for code, said in map(ended, start_ranks(folder, 2, lambda _: [layers, "--cache-dir=shared"])):
        assert code == 0, said
    assert artefacts(folder / "shared") == artefacts(folder / "one-pass")


@pytest.mark.slow
@pytest.mark.long
def test_three_train_a_dictionary_in_two_shards_to_the_bits_of_one_process(folder: Path) -> None:
    shards = "--dictionary-shards=2"
    assert ended(start(folder, shards, "--cache-dir=whole"))[0] == 0
    for code, said in map(ended, start_ranks(folder, 3, lambda _: [shards, "--cache-dir=parts"])):
        assert code == 0, said
    made = artefacts(folder / "parts")
    assert made == artefacts(folder / "whole")
    assert not list((folder / "parts").rglob("shards"))  # checkpoints


@pytest.mark.parametrize(
    ("ranks", "dictionaries", "controls"),
    [
        (1, [(5, 6, 7)], [()]),
        (2, [(5,), (6, 7)], [(), ("spiked", "null")]),
        (3, [(5,), (6,), (7,)], [(), ("spiked",), ("null",)]),
        (4, [(5,), (6,), (7,), ()], [(), ("null",), (), ("spiked",)]),
        (6, [(5,), (6,), (7,), (), (), ()], [(), (), (), ("spiked",), ("null",), ()]),
    ],
)
def test_the_first_dictionary_takes_a_rank_of_its_own(
    ranks: int, dictionaries: list[tuple[int, ...]], controls: list[tuple[str, ...]]
) -> None:
    assert share_out((5, 6, 7), ranks) == (dictionaries, controls)


@pytest.mark.long
def test_ranks_with_different_settings_stop_and_name_the_difference(folder: Path) -> None:
    tokens = ["--tokens=6000", "--tokens=5000"]
    ranks = start_ranks(folder, 2, lambda rank: ["--cache-dir=differ", tokens[rank]])
    for code, said in map(ended, ranks):
        assert code == 3
        line = " ".join(said.split())
        assert "crossdiff_tokens differs between the processes of the run: 5000 on rank 1" in line
        assert "6000 on rank 0" in line
    assert not artefacts(folder / "differ")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_ends_all_and_any_number_goes_on_to_the_same_bits(
    folder: Path, of_one_process: dict[str, Any], victim: int
) -> None:
    cache = f"--cache-dir=killed{victim}"
    ranks = start_ranks(folder, 2, lambda _: [cache], code=SLOW)
    parts = folder / f"killed{victim}"
    began = time.monotonic()
    while not list(parts.rglob("harvest/*/*/shard-*")):
        assert time.monotonic() - began < SECONDS
        time.sleep(0.05)
    ranks[victim].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    code, said = ended(ranks[1 - victim])
    assert time.monotonic() - killed < 20
    assert code == 3
    assert "another process of the run ended" in " ".join(said.split())
    ended(ranks[victim])
    assert not any(name.startswith("crosscoder/") for name in artefacts(parts))
    assert ended(start(folder, cache))[0] == 0
    assert artefacts(parts) == of_one_process


class Told(Ranks):
    """Two ranks, of which the second one's facts are given."""

    other: Any = None

    def gather(self, value: Any) -> Any:
        return [value, self.other]


@pytest.mark.parametrize(
    "what", ["the code of pytest-crossdiff", "the files of the candidate", "the version of torch"]
)
def test_what_differs_is_named(folder: Path, tmp_path: Path, what: str) -> None:
    settings = planted.quick(folder / "a", folder / "b", tmp_path, tokens=6_000)
    ranks = Told(0, 2)
    planned = plan(settings)
    facts = agreement.facts(planned)
    object.__setattr__(ranks, "other", ("rank 1 on other", {**facts, what: "another"}))
    with pytest.raises(RankError, match=f"{what} differs .* another on rank 1 on other"):
        agreement.must_agree(ranks, planned)
    object.__setattr__(ranks, "other", ("rank 1 on other", facts))
    agreement.must_agree(ranks, planned)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the threads in /proc")
def test_a_group_that_is_left_keeps_no_threads() -> None:
    """Threads of gloo that outlive their group abort some processes while they end."""
    code = """
from pathlib import Path
from pytest_crossdiff.engine.ranks.group import joined

def gloo():
    return sum("gloo" in p.read_text() for p in Path("/proc/self/task").glob("*/comm"))

with joined() as ranks:
    import torch.distributed.nn.functional
    ranks.wait()
    print(ranks.count, gloo() > 0)
print(gloo())
"""
    said = joining(code, 1)
    assert said.split() == ["1", "True", "0"]


def test_a_rank_that_never_joins_is_waited_for_for_a_limited_time() -> None:
    code = """
import datetime as dt
from pytest_crossdiff.engine.ranks import group

group.JOINING = dt.timedelta(seconds=1)
try:
    with group.joined():
        pass
except group.RankError as error:
    print(error)
"""
    said = joining(code, 2)
    assert "1/2 clients joined" in said
    assert "see what the other ranks say" in said
