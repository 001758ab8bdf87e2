"""crossdiff-accepted.json: what it says, how it changes, and what is refused."""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.gate import accepted_file
from pytest_crossdiff.gate.accepted_file import Entry
from pytest_crossdiff.gate.fingerprint import Fingerprint
from pytest_crossdiff.gate.slot import Slot

ENTRY = Entry(
    id="c-0a1b2c3d",
    side="candidate",
    slot=Slot("evals/prompts.jsonl", "0.5", "0.5"),
    seen_as="C2",
    baseline="org/old@abc",
    candidate="checkpoints/v2",
    strength=0.012345678,
    description="fires on ' kubectl' ' pods'; near the words cluster",
    tokens=("kubectl", "pods"),
    contexts=("To see what is wrong run⟦ kubectl⟧ get pods",),
    reason="we trained on our runbooks",
    author="Ann",
    date=datetime.date(2026, 11, 22),
    expires=None,
    fingerprint=Fingerprint(300, 0.51234567, {("f" * 16, 25): 2.04999, ("0" * 16, 7): 1.0}),
)
CONTENTS = """\
{
 "schema": 1,
 "accepted": [
  {
   "id": "c-0a1b2c3d",
   "side": "candidate",
   "slot": {
    "corpus": "evals/prompts.jsonl",
    "baseline_layer": "0.5",
    "candidate_layer": "0.5"
   },
   "seen_as": "C2",
   "baseline": "org/old@abc",
   "candidate": "checkpoints/v2",
   "strength": 0.01235,
   "description": "fires on ' kubectl' ' pods'; near the words cluster",
   "tokens": [
    "kubectl",
    "pods"
   ],
   "contexts": [
    "To see what is wrong run⟦ kubectl⟧ get pods"
   ],
   "reason": "we trained on our runbooks",
   "author": "Ann",
   "date": "2026-11-22",
   "expires": null,
   "fingerprint": {
    "pairs": 300,
    "share": 0.512346,
    "places": {
     "0000000000000000": "7:1",
     "ffffffffffffffff": "25:2.05"
    }
   }
  }
 ]
}
"""


def test_it_reads_like_this():
    assert accepted_file.to_json([ENTRY]) == CONTENTS


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / accepted_file.FILE
    accepted_file.write(path, [ENTRY])
    (entry,) = accepted_file.read(path)
    assert dataclasses.replace(entry, strength=0, fingerprint=None) == dataclasses.replace(
        ENTRY, strength=0, fingerprint=None
    )
    assert entry.strength == 0.01235
    assert entry.fingerprint.places == {("f" * 16, 25): 2.05, ("0" * 16, 7): 1.0}
    accepted_file.write(path, [entry])
    assert path.read_text("utf-8") == CONTENTS
    assert [p.name for p in tmp_path.iterdir()] == [accepted_file.FILE]


def test_the_order_in_which_entries_were_accepted_does_not_show():
    entries = [
        dataclasses.replace(ENTRY, id=f"c-{n:08x}", slot=ENTRY.slot._replace(corpus=corpus))
        for n in range(6)
        for corpus in ("a", "b")
    ]
    for _ in range(3):
        random.shuffle(entries)
        assert accepted_file.to_json(entries) == accepted_file.to_json(
            sorted(entries, key=lambda e: e.id)
        )


def test_a_further_entry_only_adds_lines():
    further = dataclasses.replace(ENTRY, id="c-ffffffff")
    before, after = (accepted_file.to_json(e).splitlines() for e in ([ENTRY], [further, ENTRY]))
    changes = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    assert all(line.startswith("+ ") for line in changes)


def test_an_entry_of_the_time_before_descriptions_is_read_and_stays_as_it_was(tmp_path):
    path = tmp_path / accepted_file.FILE
    path.write_text(without("description"), "utf-8")
    (entry,) = accepted_file.read(path)
    assert entry.description == ""
    accepted_file.write(path, [entry])
    assert path.read_text("utf-8") == re.sub(r'\n +"description".*', "", CONTENTS)


def test_what_a_later_version_may_say_besides_is_passed_over(tmp_path):
    path = tmp_path / accepted_file.FILE
    path.write_text(changed(strength_high=0.2), "utf-8")
    assert accepted_file.read(path) == accepted_file.parse(CONTENTS)


def test_no_file_is_no_entries(tmp_path):
    assert accepted_file.read(tmp_path / accepted_file.FILE) == ()


def test_a_byte_order_mark_does_no_harm(tmp_path):
    path = tmp_path / accepted_file.FILE
    path.write_text("\ufeff" + CONTENTS, "utf-8")
    assert len(accepted_file.read(path)) == 1


def without(name):
    data = json.loads(CONTENTS)
    del data["accepted"][0][name]
    return json.dumps(data)


def changed(**changes):
    data = json.loads(CONTENTS)
    data["accepted"][0] |= changes
    return json.dumps(data)


@pytest.mark.parametrize(
    ("contents", "why"),
    [
        ("", "it is not JSON: Expecting value"),
        (CONTENTS[:200], "it is not JSON: "),
        (CONTENTS + "x", "it is not JSON: Extra data"),
        ("[" * 100_000, "it is not JSON: "),
        ("[]", 'it doesn\'t say "schema": 1, the only one this version reads'),
        ('{"schema": 2, "accepted": []}', "it doesn't say"),
        ('{"schema": 1}', '"accepted" is not a list'),
        ('{"schema": 1, "accepted": [3]}', "entry 1: it is not an object"),
        (CONTENTS.replace("0.01235", "NaN"), "it is not JSON: NaN is not a number"),
        (CONTENTS.replace("0.01235", "1e999"), "entry 1: strength is 'inf', not a number"),
        (CONTENTS.replace("0.01235", "9" * 5000), "not"),
        (without("reason"), "entry 1: reason is missing"),
        (without("slot"), "entry 1: slot is missing"),
        (changed(reason=" "), "entry 1: it has no reason"),
        (changed(reason=["x"]), "entry 1: reason is \"['x']\""),
        (changed(id="C1"), "entry 1: id 'C1' is none of ours"),
        (changed(id="c-0a1b2c3d\x1b[2J"), "entry 1: id"),
        (changed(side="both"), "entry 1: side is 'both', not baseline or candidate"),
        (changed(strength=-1), "entry 1: strength is '-1', not a number from 0 to 1"),
        (changed(strength=True), "entry 1: strength is 'True'"),
        (changed(date="22.11.2026"), "entry 1: '22.11.2026' is not a date, YYYY-MM-DD"),
        (changed(expires="2026-02-30"), "entry 1: "),
        (changed(tokens="x"), "entry 1: tokens is 'x'"),
        (changed(description=3), "entry 1: description is '3'"),
        (changed(contexts=[3]), "entry 1: contexts is not a list of texts"),
        (changed(fingerprint={"pairs": 3, "share": 2, "places": {}}), "entry 1: share is '2'"),
        (
            changed(fingerprint={"pairs": 3, "share": 1, "places": {"f": "x"}}),
            "entry 1: fingerprint: 'x' is not a list of places",
        ),
        (
            changed(fingerprint={"pairs": 3, "share": 1, "places": {"f": "1:9e999"}}),
            "entry 1: fingerprint: 9e999 is not an activation",
        ),
        (
            CONTENTS.replace("  }\n ]\n}\n", "  },\n" + CONTENTS.partition("[\n")[2]),
            "entry 2: c-0a1b2c3d is there twice",
        ),
        (
            f"<<<<<<< ours\n{CONTENTS}=======\n{CONTENTS}>>>>>>> theirs\n",
            "a merge left conflict marks in it",
        ),
    ],
)
def test_what_it_can_not_say_is_refused(tmp_path, contents, why):
    path = tmp_path / accepted_file.FILE
    path.write_text(contents, "utf-8")
    with pytest.raises(SettingsError) as caught:
        accepted_file.read(path)
    assert caught.value.what.startswith("the accepted differences can't be read: ")
    assert why in caught.value.what
    assert caught.value.source == str(path)
    assert "\x1b" not in str(caught.value)


def test_what_is_no_text_is_refused(tmp_path):
    path = tmp_path / accepted_file.FILE
    path.write_bytes(b'{"schema": \xff}')
    with pytest.raises(SettingsError, match="can't be read: 'utf-8' codec"):
        accepted_file.read(path)


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / accepted_file.FILE).mkdir()
    with pytest.raises(SettingsError, match="can't be read"):
        accepted_file.read(tmp_path / accepted_file.FILE)


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / accepted_file.FILE)
    with pytest.raises(SettingsError, match="can't be read: it is no file"):
        accepted_file.read(tmp_path / accepted_file.FILE)


def test_what_two_processes_add_at_the_same_time_is_all_kept(tmp_path):
    path = tmp_path / accepted_file.FILE
    script = (
        "import sys, dataclasses; from pathlib import Path\n"
        "from pytest_crossdiff.gate import accepted_file\n"
        "path = Path(sys.argv[1])\n"
        "(entry,) = accepted_file.read(path.with_name('one.json'))\n"
        "for n in range(10):\n"
        "    new = dataclasses.replace(entry, id=f'c-{sys.argv[2]}{n:07x}')\n"
        "    accepted_file.add(path, [new])\n"
    )
    accepted_file.write(tmp_path / "one.json", [ENTRY])
    runs = [subprocess.Popen([sys.executable, "-c", script, str(path), str(n)]) for n in range(4)]
    assert [run.wait() for run in runs] == [0] * 4
    assert len(accepted_file.read(path)) == 40
    assert sorted(p.name for p in tmp_path.iterdir()) == [accepted_file.FILE, "one.json"]


def test_a_file_too_large_to_be_one_is_refused_unread(tmp_path):
    path = tmp_path / accepted_file.FILE
    with path.open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    with pytest.raises(SettingsError, match="it is larger than 64 MiB"):
        accepted_file.read(path)


@pytest.mark.parametrize(
    ("error", "words"),
    [(OSError(5, "Input/output error"), "Input/output"), (OSError("odd"), "odd")],
)
def test_why_it_can_not_be_read_is_told(tmp_path, monkeypatch, error, words):
    def broken(path, encoding):
        raise error

    accepted_file.write(tmp_path / accepted_file.FILE, [ENTRY])
    monkeypatch.setattr(Path, "read_text", broken)
    with pytest.raises(SettingsError, match=f"can't be read: {words}"):
        accepted_file.read(tmp_path / accepted_file.FILE)


def test_what_a_killed_process_left_beside_it_is_removed_by_the_next(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f".tmp-{ended.pid}-0-{accepted_file.FILE}"
    left.write_text("half")
    os.utime(left, (0, 0))
    accepted_file.add(tmp_path / accepted_file.FILE, [ENTRY])
    assert [path.name for path in tmp_path.iterdir()] == [accepted_file.FILE]


def test_where_it_can_not_be_written_the_old_one_stays(tmp_path):
    path = tmp_path / "missing" / accepted_file.FILE
    with pytest.raises(SettingsError, match="can't be written: No such file"):
        accepted_file.write(path, [ENTRY])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from([f.name for f in dataclasses.fields(Entry)]), JSON)
def test_whatever_stands_for_a_value_it_is_read_or_refused(name, value):
    try:
        (entry,) = accepted_file.parse(changed(**{name: value}))
    except ValueError:
        return
    assert accepted_file.parse(accepted_file.to_json([entry]))


@given(st.integers(0, len(CONTENTS.encode())), st.binary(max_size=3))
def test_damaged_at_any_place_it_is_read_or_refused(at, damage):
    content = CONTENTS.encode()
    damaged = (content[:at] + damage + content[at + len(damage) :]).decode(errors="replace")
    try:
        accepted_file.parse(damaged)
    except ValueError:
        return
