"""Digests: canonical, and remembered only while that is safe."""

import hashlib
import json
import math
import os
import random
import shutil
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_crossdiff.store import digest as digest_module
from pytest_crossdiff.store.digest import canonical, digest, file_digest

LARGE = digest_module.REMEMBER_ABOVE + 1
LONG_AGO = time.time_ns() - 10**12

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def shuffled(value, order):
    if isinstance(value, dict):
        items = [(key, shuffled(item, order)) for key, item in value.items()]
        order.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return [shuffled(item, order) for item in value]
    return value


def same(one, other):
    """Equal as JSON, where 1, 1.0 and True are three values and 0.0 isn't -0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other and (one != 0 or str(one) == str(other))


@given(json_values, st.integers())
def test_the_order_of_keys_makes_no_difference(value, seed):
    assert digest(shuffled(value, random.Random(seed))) == digest(value)


@given(json_values)
def test_a_round_trip_through_json_makes_no_difference(value):
    assert digest(json.loads(json.dumps(value))) == digest(value)
    assert same(json.loads(canonical(value)), value)


@given(json_values, json_values)
def test_different_values_have_different_digests(one, other):
    assert (digest(one) == digest(other)) == same(one, other)


def test_the_digest_is_the_same_in_every_release():
    # A changed canonical form would silently orphan every cache there is.
    value = {"b": [1, 1.5, True, None], "a": "é\n", "c": {}}
    assert canonical(value) == '{"a":"é\\n","b":[1,1.5,true,null],"c":{}}'.encode()
    assert digest(value) == hashlib.sha256(canonical(value)).hexdigest()


def test_tuples_are_lists():
    assert digest({"a": (1, (2, 3))}) == digest({"a": [1, [2, 3]]})


def test_lone_surrogates_are_not_the_character_they_would_make_together():
    assert digest("\ud83d\ude00") != digest("😀")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_in_json_is_refused(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"a": [value]})


def test_keys_that_json_would_turn_into_text_are_refused():
    with pytest.raises(TypeError, match="a key must be text to have a digest, not 1"):
        digest({"a": [{1: "x"}]})


def test_other_types_are_refused():
    with pytest.raises(TypeError):
        digest({"a": object()})


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"x" * LARGE)
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    time.sleep(2 * digest_module.TICK_NS / 1e9)  # until the change is settled
    return path


@pytest.fixture
def readings(monkeypatch):
    """The files whose content was read, in order."""
    seen = []

    def read(path):
        seen.append(path.name)
        return content_digest(path)

    content_digest = digest_module.content_digest
    monkeypatch.setattr(digest_module, "content_digest", read)
    return seen


def test_a_file_digest_is_the_sha256_of_its_bytes(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b"{}")
    assert file_digest(path) == hashlib.sha256(b"{}").hexdigest()


def test_a_large_file_is_read_once(large, tmp_path, readings):
    memo = tmp_path / "memo"
    first = file_digest(large, memo)
    assert file_digest(str(large), memo) == first == hashlib.sha256(b"x" * LARGE).hexdigest()
    assert readings == ["weights.safetensors"]


def test_a_link_shares_the_memory_of_its_target(large, tmp_path, readings):
    link = tmp_path / "link"
    link.symlink_to(large)
    assert file_digest(large, tmp_path / "memo") == file_digest(link, tmp_path / "memo")
    assert len(readings) == 1


def test_a_small_file_is_read_each_time_and_leaves_no_memo(tmp_path, readings):
    path = tmp_path / "config.json"
    path.write_bytes(b"{}")
    assert file_digest(path, tmp_path / "memo") == file_digest(path, tmp_path / "memo")
    assert len(readings) == 2
    assert not (tmp_path / "memo").exists()


@pytest.mark.parametrize("removed", [False, True])
def test_a_copy_with_the_same_size_and_modification_time_is_another_file(large, tmp_path, removed):
    """As `cp -p` and archives with fixed times write them; a new file often gets the old inode."""
    memo, other = tmp_path / "memo", tmp_path / "other"
    file_digest(large, memo)
    other.write_bytes(b"y" * LARGE)
    os.utime(other, ns=(LONG_AGO, LONG_AGO))
    if removed:
        large.unlink()
    shutil.copy2(other, large)
    assert large.stat().st_mtime_ns == LONG_AGO
    assert file_digest(large, memo) == hashlib.sha256(b"y" * LARGE).hexdigest()


def test_another_mtime_size_or_inode_is_another_file(large, tmp_path, readings):
    memo = tmp_path / "memo"
    first = file_digest(large, memo)
    os.utime(large, ns=(LONG_AGO, LONG_AGO - 1))
    assert file_digest(large, memo) == first
    assert len(readings) == 2

    other = tmp_path / "other"
    other.write_bytes(b"y" * LARGE)
    os.utime(other, ns=(LONG_AGO, LONG_AGO - 1))
    other.replace(large)  # same size, same mtime
    assert file_digest(large, memo) == hashlib.sha256(b"y" * LARGE).hexdigest()

    large.write_bytes(b"y" * (LARGE + 1))
    os.utime(large, ns=(LONG_AGO, LONG_AGO - 1))
    assert file_digest(large, memo) == hashlib.sha256(b"y" * (LARGE + 1)).hexdigest()


def test_a_file_changed_just_now_is_not_remembered(large, tmp_path):
    # Its next change can fall into the same tick of the clock and leave the mtime as it is.
    large.touch()
    file_digest(large, tmp_path / "memo")
    assert not (tmp_path / "memo").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "{}",
        lambda text: "\x00" * len(text),
        lambda text: text.replace(json.loads(text)["sha256"], "0" * 64),
        lambda text: text.replace(json.loads(text)["sha256"][:1], "é", 1),
    ],
)
def test_a_damaged_memo_is_ignored_and_written_anew(large, tmp_path, readings, damage):
    memo = tmp_path / "memo"
    right = file_digest(large, memo)
    (note,) = memo.iterdir()
    note.write_text(damage(note.read_text()), encoding="utf-8")
    assert file_digest(large, memo) == right
    assert file_digest(large, memo) == right
    assert len(readings) == 2
    assert list(memo.iterdir()) == [note]


def test_a_memo_that_cannot_be_written_is_done_without(large, tmp_path):
    blocked = tmp_path / "memo"
    blocked.write_bytes(b"a file, not a folder")
    assert file_digest(large, blocked / "digests") == hashlib.sha256(b"x" * LARGE).hexdigest()


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        file_digest(tmp_path / "absent", tmp_path / "memo")
