"""The cache as a whole: where it lies, what it holds, what pruning removes."""

import concurrent.futures
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.store import cache as cache_module
from pytest_crossdiff.store.cache import Store, Usage

KEYS = ["a1" * 32, "b2" * 32, "c3" * 32]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


def fill(store, kind, key, size=100, *, complete=True):
    entry = store.entry(kind, key)
    with entry.lock():
        entry.write("part", b"x" * size)
        if complete:
            entry.complete({})
    return entry


def age(entry, seconds):
    then = time.time() - seconds
    for path in entry.path.iterdir():
        os.utime(path, (then, then))


def output_of(script, *arguments):
    return subprocess.check_output([sys.executable, "-c", script, *arguments], text=True)


def test_the_default_root_follows_the_platform(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Store.default_root() == tmp_path / "pytest-crossdiff"

    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/void")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    assert Store.default_root() == tmp_path / ".cache" / "pytest-crossdiff"

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert Store.default_root() == tmp_path / "Library" / "Caches" / "pytest-crossdiff"

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
    assert Store.default_root() == tmp_path / "Local" / "pytest-crossdiff"


def test_without_a_home_the_error_says_what_to_set(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(StoreError, match="to do: set crossdiff_cache_dir"):
        Store.default_root()


def test_entries_lie_by_kind_and_key(store):
    entry = store.entry("activations", KEYS[0])
    assert entry.path == store.root / "activations" / "a1" / KEYS[0]


def test_the_root_is_marked_as_a_cache_but_only_when_it_is_ours(store, tmp_path):
    empty, mine = tmp_path / "empty", tmp_path / "mine"
    empty.mkdir()
    mine.mkdir()
    (mine / "notes.txt").touch()
    for root in (store.root, empty, mine):
        fill(Store(root), "results", KEYS[0])
    for root in (store.root, empty):
        assert (root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f")
        assert (root / ".gitignore").read_text() == "*\n"
    assert sorted(path.name for path in mine.iterdir()) == ["locks", "notes.txt", "results"]


@pytest.mark.parametrize("tag", [None, b"", b"Signature: 8a477f597d28d1"])
@pytest.mark.parametrize("others", [("digests",), ("digests", "locks", "results")])
def test_marks_that_a_killed_process_cut_short_are_completed(store, tag, others):
    store.root.mkdir()
    for name in others:
        (store.root / name).mkdir()
    if tag is not None:
        (store.root / "CACHEDIR.TAG").write_bytes(tag)
    fill(store, "results", KEYS[0])
    marked = tag is not None or "results" not in others  # else the folder may be anybody's
    assert (store.root / ".gitignore").exists() == marked
    assert not [path for path in store.root.iterdir() if path.name.startswith(".tmp")]
    if marked:
        assert (store.root / "CACHEDIR.TAG").read_text().endswith("bford.info/cachedir/)\n")


def test_the_tag_of_another_program_is_left_as_it_is(store):
    store.root.mkdir()
    tag = b"Signature: 8a477f597d28d172789f06886806bc55\n# made by another program\n"
    (store.root / "CACHEDIR.TAG").write_bytes(tag)
    (store.root / "others").mkdir()
    fill(store, "results", KEYS[0])
    assert (store.root / "CACHEDIR.TAG").read_bytes() == tag
    assert not (store.root / ".gitignore").exists()


def test_a_kind_that_can_not_be_read_is_an_error_not_an_empty_list(store, monkeypatch):
    fill(store, "results", KEYS[0])
    allowed = os.scandir

    def scandir(path):
        if Path(path).name == "results":
            raise PermissionError(13, "Permission denied", str(path))
        return allowed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(StoreError, match=r"can't list .*results: Permission denied") as caught:
        store.list()
    assert caught.value.remedy.startswith("have its owner let you read it, or set crossdiff_cache")


@pytest.mark.parametrize("kind", ["locks", "digests"])
def test_the_folders_of_the_store_itself_are_no_kinds(store, kind):
    with pytest.raises(StoreError, match="the store's own folder"):
        store.entry(kind, KEYS[0])


@pytest.mark.parametrize("key", ["ab", "abc.damaged-1"])
def test_a_key_is_long_enough_and_has_no_dot(store, key):
    with pytest.raises(StoreError, match="is no key"):
        store.entry("results", key)


def test_the_list_shows_kind_key_size_and_state(store):
    done = fill(store, "results", KEYS[0], 100)
    fill(store, "activations", KEYS[1], 50, complete=False)
    broken = fill(store, "results", KEYS[2])
    broken.read_manifest()
    broken.set_aside("broken")
    store.memo.mkdir()
    (store.memo / "x.json").write_text("{}")
    found = [(i.kind, i.key, i.state, i.complete) for i in store.list()]
    assert found == [
        ("activations", KEYS[1], "unfinished", False),
        ("results", KEYS[0], "complete", True),
        ("results", KEYS[2], "damaged", False),
    ]
    info = store.list()[1]
    assert info.size == sum(path.stat().st_size for path in done.path.iterdir()) > 100
    assert abs(info.mtime - time.time()) < 60
    assert store.usage() == Usage(3, sum(i.size for i in store.list()))


def test_pruning_removes_what_was_not_used_for_so_long(store):
    old, new = fill(store, "results", KEYS[0]), fill(store, "results", KEYS[1])
    half = fill(store, "activations", KEYS[2], complete=False)
    age(old, 3600)
    age(half, 3600)
    size = sum(info.size for info in store.list() if info.key != KEYS[1])
    assert store.prune(unused_for=1800) == Usage(2, size)
    assert [info.key for info in store.list()] == [KEYS[1]]
    assert new.read_bytes("part")
    assert store.prune().entries == 1
    assert store.list() == ()


def test_pruning_can_keep_to_damaged_entries(store):
    fill(store, "results", KEYS[0])
    broken = fill(store, "results", KEYS[1])
    broken.read_manifest()
    broken.set_aside("broken")
    assert store.prune(damaged_only=True).entries == 1
    assert [info.key for info in store.list()] == [KEYS[0]]


def test_pruning_an_absent_cache_creates_nothing(store):
    assert store.prune() == Usage(0, 0)
    assert not store.root.exists()


def test_pruning_leaves_an_entry_that_another_process_works_on(store):
    entry = fill(store, "results", KEYS[0], complete=False)
    script = (
        "import sys; from pathlib import Path; from pytest_crossdiff.store.cache import Store\n"
        "print(Store(Path(sys.argv[1])).prune().entries)"
    )
    with entry.lock():
        assert output_of(script, str(store.root)) == "0\n"
    assert entry.has("part")


def test_an_entry_that_is_being_worked_on_is_not_free_and_stays(store):
    entry, other = fill(store, "results", KEYS[0]), Store(store.root)  # with a lock of its own
    (info,) = other.list()
    with entry.lock():
        assert not other.is_free(info)
        assert not other.remove(info)
        assert other.prune() == Usage(0, 0)
        assert info.path.exists()
    assert other.is_free(info)
    assert other.remove(info)
    assert not info.path.exists()
    assert other.remove(info), "what is gone already is gone"


def test_who_wants_to_hear_nothing_waits_in_silence(store):
    entry, other = store.entry("results", KEYS[0]), Store(store.root).entry("results", KEYS[0])
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with entry.lock():
            waiting = pool.submit(fill_entry, other)
            with pytest.raises(concurrent.futures.TimeoutError):
                waiting.result(timeout=0.2)
            assert not entry.path.exists()
        waiting.result(timeout=60)
    assert entry.has("part")


def fill_entry(entry):
    with entry.lock():
        entry.write("part", b"x")


def test_a_file_in_place_of_the_cache_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "cache").write_text("a file")
    entry = Store(tmp_path / "cache").entry("results", KEYS[0])
    with pytest.raises(StoreError, match="set crossdiff_cache_dir"):
        entry.read_manifest()
    with pytest.raises(StoreError, match="set crossdiff_cache_dir"), entry.lock():
        pass


def test_the_store_imports_nothing_heavy():
    script = (
        "import sys; import pytest_crossdiff.store.cache, pytest_crossdiff.store.digest\n"
        "heavy = {'torch', 'numpy', 'transformers', 'safetensors', 'filelock', 'pytest'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert output_of(script) == "[]\n"


def test_the_list_goes_on_while_another_process_removes_what_is_listed(store, monkeypatch):
    for key in ("aa" * 8, "bb" * 8):
        entry = store.entry("harvest", key)
        with entry.lock():
            entry.write("part", b"0")
            entry.complete({})
    listed, gone = cache_module._files, []

    def removing(folder):
        found = list(listed(folder))
        if not gone:  # the first folder vanishes between being seen and being looked at
            gone.append(folder.name)
            shutil.rmtree(folder)
        return iter(found)

    monkeypatch.setattr(cache_module, "_files", removing)
    assert [info.key for info in store.list()] == [{"aa" * 8, "bb" * 8}.difference(gone).pop()]
