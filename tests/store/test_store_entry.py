"""Entries: whole or not there, checked at every read, immutable once complete."""

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.store import entry as entry_module
from pytest_crossdiff.store import files
from pytest_crossdiff.store.cache import DamagedEntry, Store
from pytest_crossdiff.store.digest import canonical, content_digest, digest
from pytest_crossdiff.store.entry import Entry
from pytest_crossdiff.store.manifest import Manifest

KEY = "ab" * 32


@pytest.fixture
def notes():
    return []


@pytest.fixture
def store(tmp_path, notes):
    return Store(tmp_path / "cache", notes.append)


@pytest.fixture
def entry(store):
    return store.entry("activations", KEY)


@pytest.fixture
def complete(entry):
    with entry.lock():
        entry.write("shard-0.safetensors", b"0" * 5000)
        entry.write("shard-1.safetensors", b"1" * 5000)
        entry.complete({"tokens": 10})
    return entry


def again(entry, notes=None):
    """The same entry as another process sees it."""
    root = entry.path.parents[2]
    return Store(root, notes.append if notes is not None else None).entry("activations", KEY)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def flip(path, at=100):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def interrupted_after(written):
    raise KeyboardInterrupt


def test_nothing_is_created_before_something_is_written(store, entry):
    assert entry.read_manifest() is None
    assert not entry.has("shard-0.safetensors")
    assert store.list() == ()
    assert not store.root.exists()


def test_what_was_written_is_read(complete):
    manifest = again(complete).read_manifest()
    assert manifest is not None
    assert manifest.meta == {"tokens": 10}
    assert manifest.files == {
        f"shard-{i}.safetensors": hashlib.sha256(str(i).encode() * 5000).hexdigest() for i in (0, 1)
    }
    assert again(complete).read_bytes("shard-1.safetensors") == b"1" * 5000
    path = again(complete).verified_path("shard-0.safetensors")
    assert path == complete.path / "shard-0.safetensors"
    assert names(complete.path) == ["manifest.json", "shard-0.safetensors", "shard-1.safetensors"]


def test_an_entry_without_a_manifest_is_not_complete_but_has_its_parts(entry):
    with entry.lock():
        entry.write("shard-0.safetensors", b"0")
    assert again(entry).read_manifest() is None
    assert again(entry).has("shard-0.safetensors")
    assert not again(entry).has("shard-1.safetensors")
    assert again(entry).read_bytes("shard-0.safetensors") == b"0"


def test_a_part_takes_its_name_only_when_it_is_whole(entry):
    with entry.lock():
        with entry.writing("shard.safetensors") as temporary:
            temporary.write_bytes(b"half")
            assert not entry.has("shard.safetensors")
            assert temporary.parent == entry.path
            assert temporary.name.endswith("shard.safetensors")  # some writers append a suffix
        assert entry.has("shard.safetensors")


def test_a_failure_while_writing_leaves_the_older_part_and_no_rubbish(entry):
    with entry.lock():
        entry.write("checkpoint", b"old")
        with pytest.raises(KeyboardInterrupt), entry.writing("checkpoint") as temporary:
            interrupted_after(temporary.write_bytes(b"ne"))
    assert again(entry).read_bytes("checkpoint") == b"old"
    assert names(entry.path) == ["checkpoint", "parts.json"]


def test_a_part_can_be_replaced_until_the_entry_is_complete(entry):
    with entry.lock():
        for version in (b"1", b"2", b"3"):
            entry.write("checkpoint", version)
            assert again(entry).read_bytes("checkpoint") == version


def test_parts_of_the_way_are_left_out_of_the_complete_entry(entry):
    with entry.lock():
        entry.write("checkpoint", b"c")
        entry.write("result", b"r")
        entry.complete({}, without=("checkpoint", "never-written"))
    manifest = again(entry).read_manifest()
    assert manifest is not None
    assert set(manifest.files) == {"result"}
    assert names(entry.path) == ["manifest.json", "result"]


def test_a_discarded_part_is_gone(entry):
    with entry.lock():
        entry.write("checkpoint", b"c")
        entry.discard("checkpoint")
        entry.discard("checkpoint")
        assert not entry.has("checkpoint")
        entry.complete({})
        entry.discard("checkpoint")
    assert names(entry.path) == ["manifest.json"]


def test_a_complete_entry_never_changes(complete):
    changes = [
        lambda entry: entry.write("shard-0.safetensors", b""),
        lambda entry: entry.write("shard-2.safetensors", b""),
        lambda entry: entry.discard("shard-0.safetensors"),
        lambda entry: entry.complete({"tokens": 11}),
    ]
    for change in changes:
        with complete.lock(), pytest.raises(StoreError, match="is complete and can't change"):
            change(complete)
    assert again(complete).read_bytes("shard-0.safetensors") == b"0" * 5000


def test_writing_without_the_lock_is_a_mistake_of_the_caller(entry):
    with pytest.raises(RuntimeError, match=r"with entry\.lock\(\)"):
        entry.write("shard", b"")
    with pytest.raises(RuntimeError, match=r"with entry\.lock\(\)"):
        entry.complete({})


def test_the_lock_can_be_taken_again_by_its_holder(store):
    first, second = store.entry("results", KEY), store.entry("results", KEY)
    with first.lock(), second.lock():
        second.write("a", b"a")
        with first.writing("b") as temporary, first.lock():
            temporary.write_bytes(b"b")
    assert second.has("a")
    assert second.has("b")


def test_leftovers_of_a_killed_process_are_removed_when_the_lock_is_taken(entry):
    with entry.lock():
        entry.write("shard", b"s")
    (entry.path / ".tmp-1-0-shard").write_bytes(b"half")
    (entry.path / ".tmpAbC123").write_bytes(b"half")  # safetensors' own
    with again(entry).lock():
        pass
    assert names(entry.path) == ["parts.json", "shard"]


# Damage


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (flip, "is not what was written"),
        (lambda path: os.truncate(path, 4000), r"is not what was written \(4000 bytes\)"),
        (lambda path: path.write_bytes(b""), r"is not what was written \(0 bytes\)"),
        (lambda path: path.unlink(), "is missing"),
    ],
    ids=["flipped bit", "truncated", "empty", "missing"],
)
def test_a_damaged_part_is_noticed_at_read(complete, damage, says):
    damage(complete.path / "shard-0.safetensors")
    for read in (again(complete).read_bytes, again(complete).verified_path):
        with pytest.raises(DamagedEntry, match=says) as caught:
            read("shard-0.safetensors")
        assert str(complete.path / "shard-0.safetensors") in str(caught.value)
        assert "to do: run again" in str(caught.value)
    assert again(complete).read_bytes("shard-1.safetensors") == b"1" * 5000


def test_a_part_that_was_never_written_is_damage_of_a_complete_entry(complete):
    with pytest.raises(DamagedEntry, match="is not a finished part"):
        again(complete).read_bytes("shard-2.safetensors")


def test_a_path_is_verified_once_and_again_when_the_file_changes(complete, monkeypatch):
    reads = []

    def read(path):
        reads.append(path.name)
        return content_digest(path)

    monkeypatch.setattr(entry_module, "content_digest", read)
    entry = again(complete)
    for _ in range(3):
        entry.verified_path("shard-0.safetensors")
    assert reads == ["shard-0.safetensors"]
    flip(complete.path / "shard-0.safetensors")
    os.utime(complete.path / "shard-0.safetensors", ns=(1, 1))
    for _ in range(2):
        with pytest.raises(DamagedEntry):
            entry.verified_path("shard-0.safetensors")
    assert len(reads) == 2


@pytest.mark.parametrize("cut", [0, 1, 20, -1])
def test_a_truncated_manifest_is_noticed(complete, cut):
    manifest = complete.path / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:cut])
    with pytest.raises(DamagedEntry, match=r"manifest\.json is malformed"):
        again(complete).read_manifest()


def test_every_flipped_bit_of_a_manifest_is_noticed(complete):
    manifest = complete.path / "manifest.json"
    whole = manifest.read_bytes()
    for at in range(len(whole)):
        flip(manifest, at)
        with pytest.raises(DamagedEntry):
            again(complete).read_manifest()
        manifest.write_bytes(whole)


@pytest.mark.parametrize("text", ["null", "[]", "{}", '{"seal": 1}', '{"seal": {}, "format": 1}'])
def test_json_that_is_no_manifest_is_noticed(complete, text):
    (complete.path / "manifest.json").write_text(text)
    with pytest.raises(DamagedEntry):
        again(complete).read_manifest()


def test_a_damaged_entry_is_set_aside_said_so_and_made_anew(complete, notes):
    flip(complete.path / "shard-0.safetensors")
    entry = again(complete, notes)
    with pytest.raises(DamagedEntry) as caught:
        entry.read_bytes("shard-0.safetensors")
    with entry.lock():
        warning = entry.set_aside(caught.value.what)
        assert entry.read_manifest() is None
        assert not entry.has("shard-0.safetensors")
        entry.write("shard-0.safetensors", b"0" * 5000)
        entry.complete({})
    assert warning.endswith(f"it is set aside as {KEY}.damaged-1 and made again")
    assert notes == [warning]
    assert again(complete).read_bytes("shard-0.safetensors") == b"0" * 5000
    assert names(complete.path.parent) == [KEY, f"{KEY}.damaged-1"]


def test_damage_that_is_noticed_under_the_lock_is_made_anew_by_the_same_object(complete):
    flip(complete.path / "shard-0.safetensors")
    entry = again(complete)
    with entry.lock():
        with pytest.raises(DamagedEntry) as caught:
            entry.read_bytes("shard-0.safetensors")
        assert entry.set_aside(caught.value.what)
        entry.write("shard-0.safetensors", b"0" * 5000)
        entry.complete({})
    assert again(complete).read_bytes("shard-0.safetensors") == b"0" * 5000


def test_a_malformed_manifest_can_be_set_aside(complete):
    (complete.path / "manifest.json").write_bytes(b"")
    entry = again(complete)
    with pytest.raises(DamagedEntry):
        entry.read_manifest()
    assert entry.set_aside("the manifest is malformed")
    assert entry.read_manifest() is None


def test_what_a_kill_left_beside_the_manifest_is_removed_when_the_lock_is_taken(complete):
    for name in ("checkpoint.safetensors", "parts.json", ".tmp-1-0-shard"):
        (complete.path / name).write_bytes(b"x")
    with again(complete).lock():
        pass
    assert names(complete.path) == ["manifest.json", "shard-0.safetensors", "shard-1.safetensors"]


@pytest.mark.parametrize("name", ["manifest.json", "shard-0.safetensors"])
@pytest.mark.parametrize("kind", [Path.mkdir, getattr(os, "mkfifo", Path.mkdir)])
def test_a_folder_or_a_pipe_in_place_of_a_file_is_damage_and_not_waited_for(complete, name, kind):
    (complete.path / name).unlink()
    kind(complete.path / name)
    for read in (Entry.read_bytes, Entry.verified_path):
        found = again(complete)
        with pytest.raises(DamagedEntry, match=f"{name} is no file"):
            read(found, "shard-0.safetensors")
    found.set_aside("it is damaged")
    assert again(complete).read_manifest() is None


def test_a_damaged_entry_that_can_not_be_set_aside_is_named_first(complete, monkeypatch):
    def refuse(path, word):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(entry_module, "move_aside", refuse)
    complete.read_manifest()
    with pytest.raises(StoreError) as caught:
        complete.set_aside("shard-0 is not what was written")
    assert caught.value.what.startswith(
        "shard-0 is not what was written, and it can't be set aside: "
    )
    assert caught.value.remedy.startswith(f"remove {complete.path} as somebody who may write there")


def test_damage_again_is_numbered(complete):
    for number in (1, 2, 3):
        entry = again(complete)
        if number > 1:
            with entry.lock():
                entry.write("x", b"x")
        else:
            entry.read_manifest()
        assert f"damaged-{number}" in entry.set_aside("broken")


def test_an_entry_that_another_process_rebuilt_meanwhile_stays(complete):
    flip(complete.path / "shard-0.safetensors")
    slow, quick = again(complete), again(complete)
    for entry in (slow, quick):
        with pytest.raises(DamagedEntry):
            entry.read_bytes("shard-0.safetensors")
    assert quick.set_aside("damaged")
    with quick.lock():
        quick.write("shard-0.safetensors", b"0" * 5000)
    assert slow.set_aside("damaged") == ""  # the other one's unfinished work
    with quick.lock():
        quick.complete({})
    assert slow.set_aside("damaged") == ""
    assert slow.read_bytes("shard-0.safetensors") == b"0" * 5000


def test_nothing_to_set_aside_is_no_error(entry, notes):
    assert entry.set_aside("never there") == ""
    assert notes == []


@pytest.mark.parametrize("damage", [flip, lambda path: os.truncate(path, 10)])
def test_a_damaged_part_of_an_unfinished_entry_is_made_anew(entry, notes, damage):
    with entry.lock():
        entry.write("shard-0", b"0" * 500)
        entry.write("shard-1", b"1" * 500)
    damage(entry.path / "shard-1")
    resumed = again(entry, notes)
    with resumed.lock():
        assert resumed.has("shard-0")
        assert not resumed.has("shard-1")
        assert not resumed.has("shard-1")
        resumed.write("shard-1", b"1" * 500)
        resumed.complete({})
    (note,) = notes
    assert "shard-1 is not what was written" in note
    assert note.endswith("it is set aside and made again")
    assert again(entry).read_bytes("shard-1") == b"1" * 500
    assert set(resumed.read_manifest().files) == {"shard-0", "shard-1"}


def test_a_damaged_list_of_parts_costs_the_parts_not_the_run(entry, notes):
    with entry.lock():
        entry.write("shard-0", b"0")
    (entry.path / "parts.json").write_bytes(b"{")
    resumed = again(entry, notes)
    with resumed.lock():
        assert not resumed.has("shard-0")
        resumed.write("shard-0", b"0")
        resumed.complete({})
    assert "parts.json is malformed" in notes[0]
    assert again(entry).read_bytes("shard-0") == b"0"


def test_a_part_lost_before_completion_keeps_the_entry_incomplete(entry):
    with entry.lock():
        entry.write("shard-0", b"0")
        (entry.path / "shard-0").unlink()
        with pytest.raises(DamagedEntry, match="was lost before the entry was complete"):
            entry.complete({})
        assert entry.read_manifest() is None


# Names


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../x", "a/b", "a\\b", "/etc/passwd", "C:x", ".tmp-1", "a\0b", "a\n"),
        *("-rf", "x" * 129, "é", "NUL", "con.txt", "a.", "a b", "~"),
    ],
)
def test_a_hostile_or_strange_name_is_refused(store, complete, name):
    with pytest.raises(StoreError, match="can't be the name of a part"):
        complete.read_bytes(name)
    entry = store.entry("results", KEY)
    with entry.lock(), pytest.raises(StoreError, match="can't be the name of a part"):
        entry.write(name, b"")
    with pytest.raises(StoreError):
        store.entry(name, KEY)
    with pytest.raises(StoreError):
        store.entry("results", name)


@pytest.mark.parametrize("name", ["manifest.json", "parts.json"])
def test_the_names_of_the_store_itself_are_refused(entry, name):
    with entry.lock(), pytest.raises(StoreError, match="the store's own"):
        entry.write(name, b"{}")


# A full disk, simulated; test_store_processes.py has the real thing


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "another disk"),
        (errno.EDQUOT, "another disk"),
        (errno.EROFS, "that can be written"),
        (errno.EACCES, "that can be written"),
        (errno.EIO, "check that folder"),
    ],
)
def test_an_error_of_the_disk_says_path_and_remedy(entry, monkeypatch, code, remedy):
    def fail(path):
        raise OSError(code, os.strerror(code), str(path))

    with entry.lock():
        entry.write("checkpoint", b"old")
        with monkeypatch.context() as patch:
            patch.setattr(entry_module, "sync", fail)
            with pytest.raises(StoreError) as caught:
                entry.write("checkpoint", b"new")
    message = str(caught.value)
    assert message.startswith(
        f"can't write {entry.path / 'checkpoint'}: {os.strerror(code)}\n  to do: "
    )
    assert remedy in message
    assert "crossdiff_cache_dir" in message
    assert again(entry).read_bytes("checkpoint") == b"old"
    assert names(entry.path) == ["checkpoint", "parts.json"]


def test_the_disk_full_inside_another_library_is_recognised(entry):
    # safetensors raises an exception of its own, with the system's number in its text
    with (
        entry.lock(),
        pytest.raises(StoreError, match=f"can't write .*shard: {os.strerror(errno.ENOSPC)}"),
        entry.writing("shard"),
    ):
        raise RuntimeError("I/O error: No space left on device (os error 28)")


def test_errors_of_the_caller_pass_unchanged(entry):
    for error in (ValueError("bad shape"), FileNotFoundError(errno.ENOENT, "gone", "corpus.txt")):
        with entry.lock(), pytest.raises(type(error)) as caught, entry.writing("shard"):
            raise error
        assert caught.value is error


def test_a_writer_that_writes_nothing_is_an_error(entry):
    with entry.lock(), pytest.raises(StoreError, match="can't write"), entry.writing("shard"):
        pass


def test_what_a_check_refuses_is_not_stored(entry):
    def refuse():
        raise ValueError("changed")

    with entry.lock():
        entry.write("before", b"1")
        with entry.checked_by(refuse):
            with pytest.raises(ValueError, match="changed"):
                entry.write("part", b"2")
            with pytest.raises(ValueError, match="changed"):
                entry.complete({})
        assert entry.read_manifest() is None
        assert (entry.has("before"), entry.has("part")) == (True, False)
        entry.write("part", b"3")
        entry.complete({})
    assert entry.read_bytes("part") == b"3"


def test_a_private_temporary_file_is_readable_like_its_folder(entry):
    with entry.lock(), entry.writing("shard") as temporary:
        temporary.write_bytes(b"s")
        temporary.chmod(0o600)
    folder = entry.path.stat().st_mode & 0o666
    assert (entry.path / "shard").stat().st_mode & 0o777 == folder


def test_the_stored_form_is_plain_json(complete):
    content = json.loads((complete.path / "manifest.json").read_bytes())
    assert set(content) == {"format", "of", "meta", "files", "seal"}


def test_moving_aside_never_overwrites(tmp_path):
    for _ in range(3):
        (tmp_path / "a").mkdir()
        files.move_aside(tmp_path / "a", "damaged")
    assert names(tmp_path) == ["a.damaged-1", "a.damaged-2", "a.damaged-3"]


class TestWhatItBelongsTo:
    """A folder that was moved or copied to another key, as a careless sync does, is no answer."""

    OTHER = "cd" * 32

    def pair(self, store, *, complete=True):
        made = []
        for key, content in ((KEY, b"ours"), (self.OTHER, b"theirs")):
            one = store.entry("result", key)
            with one.lock():
                one.write("result.json", content)
                if complete:
                    one.complete({})
            made.append(one)
        return made

    def swap(self, first, second):
        aside = first.path.with_name("aside")
        first.path.rename(aside)
        second.path.rename(first.path)
        aside.rename(second.path)

    def test_two_entries_that_changed_places_are_both_noticed(self, store, tmp_path):
        self.swap(*self.pair(store))
        for key, other in ((KEY, self.OTHER), (self.OTHER, KEY)):
            with pytest.raises(DamagedEntry, match=f"belongs to the entry result/{other}, not to"):
                Store(tmp_path / "cache").entry("result", key).read_bytes("result.json")

    def test_so_is_an_entry_of_another_kind(self, store, tmp_path):
        one, _ = self.pair(store)
        place = store.entry("null", KEY)
        place.path.parent.mkdir(parents=True)
        one.path.rename(place.path)
        with pytest.raises(DamagedEntry, match="belongs to the entry result/"):
            place.read_manifest()

    def test_unfinished_parts_of_another_entry_are_not_gone_on_with(self, store, notes, tmp_path):
        self.swap(*self.pair(store, complete=False))
        one = Store(tmp_path / "cache", notes.append).entry("result", KEY)
        assert not one.has("result.json")
        assert "belongs to the entry" in notes[0]

    def test_an_entry_of_an_earlier_version_which_kept_no_name_is_read(self, complete):
        path = complete.path / "manifest.json"
        manifest = Manifest.from_bytes(path.read_bytes(), "")
        assert manifest.of == f"activations/{KEY}"
        content = {"format": 1, "meta": manifest.meta, "files": manifest.files}
        path.write_bytes(canonical({**content, "seal": digest(content)}))
        assert again(complete).read_bytes("shard-0.safetensors") == b"0" * 5000
