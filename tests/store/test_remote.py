"""Entries that are pushed to a place of fsspec and pulled from it: whole, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fsspec
import pytest

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.store.cache import DamagedEntry, Store
from pytest_crossdiff.store.remote import pull, push

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = ("harvest", "weights")
PARTS = {"shard-0": b"a" * 3_000_000, "shard-1": b"b"}
KEY, OTHER = "1" * 64, "2" * 64


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        yield f"file://{tmp_path}/bucket"
        return
    yield "memory://bucket/cache"
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


def written(root: Path) -> Store:
    store = Store(root)
    for kind, key in (("harvest", KEY), ("weights", KEY), ("harvest", OTHER)):
        entry = store.entry(kind, key)
        with entry.lock():
            for name, data in PARTS.items():
                entry.write(name, data)
            if key == KEY:
                entry.complete({"of": kind})
    return store


def test_finished_entries_come_back_as_they_were(url: str, tmp_path: Path) -> None:
    here, there = written(tmp_path / "here"), Store(tmp_path / "there")
    carried = push(here, url, KINDS)
    assert [(one.kind, one.key, one.size) for one in carried] == [
        (kind, KEY, sum(map(len, PARTS.values()))) for kind in KINDS
    ]
    assert push(here, url, KINDS) == []  # everything is there
    assert [one.kind for one in pull(there, url, ["harvest"])] == ["harvest"]
    entry = there.entry("harvest", KEY)
    manifest = entry.read_manifest()
    assert manifest is not None
    assert manifest.meta == {"of": "harvest"}
    assert {name: entry.read_bytes(name) for name in manifest.files} == PARTS
    assert pull(there, url, ["harvest"]) == []
    assert there.entry("weights", KEY).read_manifest() is None


def test_what_was_not_finished_when_it_was_pushed_is_not_pulled(url: str, tmp_path: Path) -> None:
    push(written(tmp_path / "here"), url, KINDS)
    place, root = fsspec.core.url_to_fs(url)
    place.rm(f"{root}/harvest/{KEY}/manifest.json")
    there = Store(tmp_path / "there")
    assert [one.kind for one in pull(there, url, KINDS)] == ["weights"]


def test_a_part_that_was_changed_there_is_refused(url: str, tmp_path: Path) -> None:
    push(written(tmp_path / "here"), url, KINDS)
    place, root = fsspec.core.url_to_fs(url)
    place.pipe_file(f"{root}/harvest/{KEY}/shard-1", b"c")
    there = Store(tmp_path / "there")
    with pytest.raises(DamagedEntry, match=r"shard-1 is not what was pushed"):
        pull(there, url, KINDS)
    assert there.entry("harvest", KEY).read_manifest() is None


def test_an_entry_under_another_key_is_refused(url: str, tmp_path: Path) -> None:
    push(written(tmp_path / "here"), url, ["harvest"])
    place, root = fsspec.core.url_to_fs(url)
    place.mv(f"{root}/harvest/{KEY}", f"{root}/harvest/{OTHER}", recursive=True)
    with pytest.raises(DamagedEntry):
        pull(Store(tmp_path / "there"), url, ["harvest"])


def test_an_unknown_kind_of_place_says_what_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere://x can't be reached(.|\n)*fsspec"):
        pull(Store(tmp_path), "nowhere://x", KINDS)
