"""The cache between processes: killed, contending, without room, without permission."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from pytest_crossdiff.store.cache import Store

KEY = "ab" * 32
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs fork, signals or resource limits")

PRELUDE = """
import os, sys, time
from pathlib import Path
from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.store.cache import Store

root = Path(sys.argv[1])
entry = Store(root).entry("activations", "ab" * 32)
"""


def start(script, *arguments):
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(script), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return out.splitlines()


def test_a_run_killed_while_writing_is_gone_on_from_its_last_part(tmp_path):
    process = start(
        """
        with entry.lock():
            for i in range(3):
                entry.write(f"shard-{i}", bytes([i]) * 1000)
            with entry.writing("shard-3") as temporary:
                temporary.write_bytes(b"half")
                print("writing", flush=True)
                time.sleep(60)
        """,
        tmp_path,
    )
    assert process.stdout.readline() == "writing\n"
    process.kill()
    process.communicate()

    entry = Store(tmp_path).entry("activations", KEY)
    waits = []
    with entry.lock(waits.append):
        assert waits == []  # no stale lock
        assert entry.read_manifest() is None
        assert [entry.has(f"shard-{i}") for i in range(4)] == [True, True, True, False]
        assert not list(entry.path.glob(".tmp*"))
        entry.write("shard-3", b"\x03" * 1000)
        entry.complete({})
    fresh = Store(tmp_path).entry("activations", KEY)
    assert [fresh.read_bytes(f"shard-{i}") for i in range(4)] == [
        bytes([i]) * 1000 for i in range(4)
    ]


@POSIX
def test_killed_at_any_system_call_the_next_run_ends_in_the_same_bits(tmp_path):
    script = """
    import filelock, shutil

    os.fsync = lambda handle: None  # only a machine that stops loses what was not synced
    FILES = "open", "os.rename", "os.remove", "os.mkdir", "os.chmod"

    def job(entry):
        made = 0
        with entry.lock():
            if entry.read_manifest() is None:
                for i in range(2):
                    if not entry.has(f"shard-{i}"):
                        entry.write(f"shard-{i}", bytes([i]) * 100)
                        made += 1
                step = entry.read_bytes("checkpoint")[0] if entry.has("checkpoint") else 0
                while step < 2:
                    step += 1
                    entry.write("checkpoint", bytes([step]))
                    made += 1
                entry.write("weights", b"w")
                entry.complete({"steps": step}, without=("checkpoint",))
        return made

    def in_child(work):
        child = os.fork()
        if child == 0:
            try:
                work()
                os._exit(0)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def run_and_die(at):
        calls = 0
        def hook(event, arguments):
            nonlocal calls
            if event in FILES:
                calls += 1
                if calls == at:
                    os._exit(9)
        sys.addaudithook(hook)
        job(entry)

    def go_on():
        damage = []
        fresh = Store(root, damage.append).entry("activations", "ab" * 32)
        made = job(fresh)
        assert not damage, damage
        assert fresh.read_manifest().meta == {"steps": 2}
        assert sorted(fresh.read_manifest().files) == ["shard-0", "shard-1", "weights"]
        assert fresh.read_bytes("shard-1") == bytes([1]) * 100
        assert fresh.read_bytes("weights") == b"w"
        assert not list(fresh.path.parents[2].rglob(".tmp*"))
        print(at, made, flush=True)

    at, code = 0, 9
    while code == 9:
        at += 1
        shutil.rmtree(root, ignore_errors=True)
        code = in_child(lambda: run_and_die(at))
        assert in_child(go_on) == 0, at
    assert code == 0
    """
    lines = finish(start(script, tmp_path / "cache"))
    made = [int(line.split()[1]) for line in lines]
    assert len(made) > 40
    assert made[0] == 4  # killed before anything was done
    assert made[-1] == 0  # not killed at all
    assert made == sorted(made, reverse=True)  # nothing that was finished is done twice


def test_four_processes_that_want_one_key_compute_it_once(tmp_path):
    script = """
    waits = []
    (root / sys.argv[2]).touch()
    while len(list(root.glob("ready-*"))) < 4:
        time.sleep(0.005)
    with entry.lock(waits.append):
        computed = entry.read_manifest() is None
        if computed:
            time.sleep(0.3)
            entry.write("result", sys.argv[2].encode())
            entry.complete({})
    print(computed, len(waits), entry.read_bytes("result").decode(), *waits, sep="|")
    """
    racers = [start(script, tmp_path, f"ready-{i}") for i in range(4)]
    lines = [finish(racer)[0].split("|") for racer in racers]
    assert sorted(line[0] for line in lines) == ["False", "False", "False", "True"]
    assert len({line[2] for line in lines}) == 1
    for computed, waits, _, *messages in lines:
        assert int(waits) <= 1
        if computed == "True":
            assert waits == "0"
        for message in messages:
            assert message == (
                "another process is at work on activations abababababab; waiting for it to finish"
            )
    assert sum(int(line[1]) for line in lines) >= 1


@POSIX
def test_a_waiting_process_can_be_interrupted(tmp_path):
    script = """
    import signal
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    try:
        with entry.lock(lambda message: print("waiting", flush=True)):
            pass
    except KeyboardInterrupt:
        print("interrupted")
    """
    entry = Store(tmp_path).entry("activations", KEY)
    with entry.lock():
        process = start(script, tmp_path)
        assert process.stdout.readline() == "waiting\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert finish(process) == ["interrupted"]


@POSIX
def test_a_full_disk_is_an_error_with_a_remedy_and_costs_only_the_part_at_hand(tmp_path):
    # A limit on the size of a file is the same to a program as a disk with no room for it.
    script = """
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with entry.lock():
        entry.write("shard-0", b"0" * 1000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
        try:
            entry.write("shard-1", b"1" * 100_000)
        except StoreError as error:
            print(error)
    """
    what, remedy = finish(start(script, tmp_path))
    entry = Store(tmp_path).entry("activations", KEY)
    assert what.startswith(f"can't write {entry.path / 'shard-1'}: ")
    assert "set crossdiff_cache_dir to a folder on another disk" in remedy
    with entry.lock():
        assert entry.has("shard-0")
        assert not entry.has("shard-1")
        entry.write("shard-1", b"1" * 100_000)
        entry.complete({})


@pytest.fixture
def world_readable():
    """A folder that another user can reach, which pytest's own aren't."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


@POSIX
def test_a_cache_without_permission_to_write_is_read_and_says_so_when_written(world_readable):
    stored = Store(world_readable).entry("activations", KEY)
    with stored.lock():
        stored.write("shard", b"s")
        stored.complete({"tokens": 1})
    before = sorted(world_readable.rglob("*"))
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    world_readable.chmod(0o555)
    script = """
    import filelock
    if os.geteuid() == 0:  # root may write whatever the mode says
        os.setgid(65534)
        os.setuid(65534)
    assert entry.read_manifest().meta == {"tokens": 1}
    assert entry.read_bytes("shard") == b"s"
    assert entry.verified_path("shard").exists()
    assert [info.state for info in Store(root).list()] == ["complete"]
    other = Store(root).entry("activations", "cd" * 32)
    assert other.read_manifest() is None
    for entry in other, Store(root / "new").entry("activations", "cd" * 32):
        try:
            with entry.lock():
                print("not reached")
        except StoreError as error:
            print(error)
    """
    lines = finish(start(script, world_readable))
    assert lines[0] == (
        f"can't lock {world_readable}/locks/activations-{'cd' * 32}.lock: Permission denied"
    )
    assert lines[1] == "  to do: set crossdiff_cache_dir to a folder that can be written"
    assert lines[2].startswith(f"can't lock {world_readable}/new/locks/")
    assert sorted(world_readable.rglob("*")) == before
