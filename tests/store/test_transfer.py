"""Entries of a cache in one file: what comes out is what went in, or nothing."""

import io
import json
import os
import tarfile

import pytest

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.store.cache import Store
from pytest_crossdiff.store.transfer import HEAD, Packed, pack, read_facts, unpack

KEY, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def store(tmp_path):
    """A cache with two entries."""
    made = Store(tmp_path / "from")
    for kind, key, parts in (
        ("harvest", KEY, {"a.bin": b"a" * 3_000_000, "b.bin": b"b"}),
        ("replies", OTHER, {"batch-00000.json": b"[]"}),
    ):
        entry = made.entry(kind, key)
        with entry.lock():
            for name, data in parts.items():
                entry.write(name, data)
            entry.complete({"tokens": 3, "kind": kind})
    return made


def entries(store):
    return [store.entry("harvest", KEY), store.entry("replies", OTHER)]


@pytest.fixture
def packed(store, tmp_path):
    file = tmp_path / "one.archive"
    assert pack(file, entries(store), "a-purpose", {"of": "x"}) == file.stat().st_size
    return file


def rewritten(packed, change):
    """The archive with other members: `change` is given each name and its bytes."""
    other = packed.with_name("other.archive")
    with tarfile.open(packed) as before, tarfile.open(other, "w") as after:
        for member in before.getmembers():
            found = change(member.name, before.extractfile(member).read())
            if found is not None:
                member.size = len(found)
                after.addfile(member, io.BytesIO(found))
    return other


def test_every_part_and_what_the_writer_said_arrive(packed, tmp_path):
    target = Store(tmp_path / "to")
    assert unpack(packed, "a-purpose", target) == 2
    harvest, replies = entries(target)
    assert harvest.read_manifest().meta == {"tokens": 3, "kind": "harvest"}
    assert harvest.read_bytes("a.bin") == b"a" * 3_000_000
    assert harvest.read_bytes("b.bin") == b"b"
    assert replies.read_bytes("batch-00000.json") == b"[]"
    assert read_facts(packed, "a-purpose") == {"of": "x"}


def test_entries_that_are_there_stay_and_are_not_counted(packed, store):
    before = store.entry("harvest", KEY).path.stat().st_mtime_ns
    assert unpack(packed, "a-purpose", store) == 0
    assert store.entry("harvest", KEY).path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda name, data: data[:-1] + b"z" if name.endswith("b.bin") else data, "b.bin is not"),
        (lambda name, data: None if name.endswith("b.bin") else data, "it lacks b.bin of harvest"),
        (lambda name, data: data.replace(b'"x"', b'"y"') if name == HEAD else data, "its list of"),
        (lambda name, data: b"{" if name == HEAD else data, "its list of contents can't be read"),
    ],
)
def test_a_changed_archive_is_refused_and_leaves_no_damaged_entry(packed, tmp_path, change, words):
    target = Store(tmp_path / "to")
    with pytest.raises(StoreError, match=words):
        unpack(rewritten(packed, change), "a-purpose", target)
    assert target.entry("harvest", KEY).read_manifest() is None


def test_the_first_entry_is_there_only_where_all_others_are(packed, tmp_path):
    """What names the others, such as the description of an archived model, is packed first."""
    target = Store(tmp_path / "to")
    broken = rewritten(packed, lambda name, data: b"x" if name.startswith("replies") else data)
    with pytest.raises(StoreError, match="is not what was packed"):
        unpack(broken, "a-purpose", target)
    assert [entry.read_manifest() for entry in entries(target)] == [None, None]
    assert unpack(packed, "a-purpose", target) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="pipe is no file"):
        read_facts(tmp_path / "pipe", "a-purpose")


def test_the_cache_is_not_to_blame_for_the_place_of_an_archive(store, tmp_path):
    with pytest.raises(StoreError, match="can't write") as caught:
        pack(tmp_path / "nowhere" / "a.archive", entries(store), "a-purpose", {})
    with pytest.raises(StoreError, match="can't read") as read:
        read_facts(tmp_path / "nowhere" / "a.archive", "a-purpose")
    assert (caught.value.remedy, read.value.remedy) == (
        "check that its folder is there and that you may write there, or name another place",
        "check its name, and that you may read it",
    )


def test_what_is_cut_short_or_no_archive_is_refused(packed, tmp_path):
    for name, data in (("cut", packed.read_bytes()[:2_000_000]), ("text", b"no archive\n" * 99)):
        file = tmp_path / name
        file.write_bytes(data)
        with pytest.raises(StoreError, match="is damaged"):
            unpack(file, "a-purpose", Store(tmp_path / f"to-{name}"))
    with pytest.raises(StoreError, match="missing"):
        unpack(tmp_path / "missing", "a-purpose", Store(tmp_path / "to"))


def test_an_archive_for_another_purpose_is_refused(packed, tmp_path):
    with pytest.raises(StoreError, match="is no another-purpose"):
        unpack(packed, "another-purpose", Store(tmp_path / "to"))


@pytest.mark.parametrize("what", ["kind", "key"])
def test_a_name_that_is_no_text_is_refused(what):
    listed = {"kind": "harvest", "key": KEY, "meta": {}, "files": {"a.bin": "0" * 64}}
    assert Packed.of(listed).key == KEY
    for one in (listed | {what: 7}, listed | {"files": {"a.bin": 7}}):
        with pytest.raises(ValueError, match="no text"):
            Packed.of(one)


def test_names_lead_nowhere_outside(packed, tmp_path):
    def change(name, data):
        if name != HEAD:
            return data
        content = json.loads(data)
        content.pop("seal")
        content["entries"][0]["files"] = {"../../x": "0" * 64}
        from pytest_crossdiff.store.digest import digest

        return json.dumps({**content, "seal": digest(content)}).encode()

    with pytest.raises(StoreError):
        unpack(rewritten(packed, change), "a-purpose", Store(tmp_path / "to"))
    assert not list(tmp_path.rglob("x"))


def test_a_file_that_is_there_is_not_replaced(packed, store):
    with pytest.raises(StoreError, match="is there already"):
        pack(packed, entries(store), "a-purpose", {})


def test_an_unfinished_entry_is_not_packed(store, tmp_path):
    with pytest.raises(StoreError, match="is not finished"):
        pack(tmp_path / "two", [store.entry("harvest", "ef" * 32)], "a-purpose", {})
    assert not (tmp_path / "two").exists()
