"""An artefact is read, and built first where it is missing or damaged; a lock is told of."""

from __future__ import annotations

import threading

import pytest

from pytest_crossdiff.store.artefact import is_whole, read_or_build
from pytest_crossdiff.store.cache import Store

KEY = "ab" * 32


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


def get(store, told=lambda _: None):
    built = []

    def build(entry):
        built.append(1)
        entry.write("part", b"content")
        entry.complete({})

    found = read_or_build(
        store.entry("kind", KEY), build, lambda entry: entry.read_bytes("part"), told
    )
    return found, len(built)


def test_it_is_built_once(store):
    assert [get(store), get(store)] == [(b"content", 1), (b"content", 0)]


@pytest.mark.parametrize("name", ["part", "manifest.json"])
def test_what_is_damaged_is_set_aside_and_built_again(store, name):
    get(store)
    entry = store.entry("kind", KEY)
    (entry.path / name).write_bytes(b"other")
    if name == "manifest.json":
        with entry.lock():
            assert not is_whole(entry)
        assert not entry.path.exists()
    assert get(store) == (b"content", 1)
    assert [info.state for info in store.list()] == ["complete", "damaged"]


def test_only_a_complete_one_is_whole(store):
    entry = store.entry("kind", KEY)
    with entry.lock():
        assert not is_whole(entry)
    get(store)
    with entry.lock():
        assert is_whole(entry)


def test_who_waits_for_another_is_told_and_gets_its_answer(store, tmp_path):
    other, taken, told = Store(tmp_path / "cache"), threading.Event(), []
    release = threading.Event()

    def hold():
        entry = other.entry("kind", KEY)
        with entry.lock():
            taken.set()
            release.wait(10)
            entry.write("part", b"theirs")
            entry.complete({})

    def tell(message):
        told.append(message)
        release.set()

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(10)
    assert get(store, tell) == (b"theirs", 0)
    holder.join()
    assert told == [f"another process is at work on kind {KEY[:12]}; waiting for it to finish"]
    assert all(store.is_free(info) for info in store.list())


def test_the_users_own_folder_is_that_of_the_platform(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Store.at("").root == tmp_path / "pytest-crossdiff"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    for platform, folder in (("linux", ".cache"), ("darwin", "Library/Caches")):
        monkeypatch.setattr("sys.platform", platform)
        assert Store.default_root() == tmp_path / folder / "pytest-crossdiff"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert Store.default_root() == tmp_path / "local" / "pytest-crossdiff"
