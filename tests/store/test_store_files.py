"""Temporary files of killed processes, and the lock on a folder."""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.store import files
from pytest_crossdiff.store.files import (
    LOCK,
    locked_folder,
    remove_leftovers,
    translate_os_errors,
)

WITHOUT_FCNTL = "import filelock, sys; sys.modules['fcntl'] = None\n"
REFUSES_FOLDERS = """import fcntl, os, stat
flock = fcntl.flock
def refusing(handle, how):
    if stat.S_ISDIR(os.fstat(handle).st_mode):
        raise OSError(9, "Bad file descriptor")
    flock(handle, how)
fcntl.flock = refusing
"""


def made(folder, name, age):
    path = folder / name
    path.touch()
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    return path


@pytest.fixture(scope="module")
def ended():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_only_old_temporary_files_of_processes_that_have_ended_are_removed(tmp_path, ended):
    gone = made(tmp_path, f".tmp-{ended}-3-report.html", 120)
    stay = {
        made(tmp_path, f".tmp-{ended}-4-report.html", 5),
        made(tmp_path, f".tmp-{os.getpid()}-3-report.html", 120),
        made(tmp_path, f".tmp-{ended}", 120),
        made(tmp_path, ".tmp-notes-of-somebody", 120),
        made(tmp_path, "report.html", 120),
    }
    remove_leftovers(tmp_path)
    assert not gone.exists()
    assert {*tmp_path.iterdir()} == stay
    remove_leftovers(tmp_path / "missing")


def test_a_setting_other_than_that_of_the_cache_is_named_where_it_is_to_blame(tmp_path):
    for setting, remedy in (
        ("crossdiff_report_dir", "set crossdiff_report_dir to a folder that can be written"),
        ("", "check that its folder is there and that you may write there, or name another place"),
    ):
        with (
            pytest.raises(StoreError) as caught,
            translate_os_errors(tmp_path, "write", setting=setting),
        ):
            raise PermissionError(13, "Permission denied")
        assert caught.value.remedy == remedy


@pytest.mark.parametrize(
    ("system", "left"),
    [
        pytest.param("", set(), marks=pytest.mark.skipif(sys.platform == "win32", reason="below")),
        (WITHOUT_FCNTL, {LOCK}),  # as on Windows
        (REFUSES_FOLDERS, {LOCK}),  # as on some network file systems
    ],
    ids=["as here", "without fcntl", "folders that can't be locked"],
)
def test_a_locked_folder_lets_one_process_in_at_a_time(tmp_path, system, left):
    script = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from pytest_crossdiff.store.files import locked_folder
        folder = Path({str(tmp_path)!r})
        for _ in range(20):
            with locked_folder(folder):
                count = int((folder / "count").read_text())
                time.sleep(0.001)
                (folder / "count").write_text(str(count + 1))
    """)
    (tmp_path / "count").write_text("0")
    command = [sys.executable, "-c", system + script]
    runs = [subprocess.Popen(command) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "60"
    assert {path.name for path in tmp_path.iterdir()} == {"count"} | left


def test_a_missing_folder_is_not_made_by_a_lock(tmp_path, monkeypatch):
    importlib.import_module("filelock")  # which takes fcntl where it finds it
    for fcntl in (sys.modules.get("fcntl"), None):
        monkeypatch.setitem(sys.modules, "fcntl", fcntl)
        with pytest.raises(FileNotFoundError), locked_folder(tmp_path / "missing"):
            pass
    assert not [*tmp_path.iterdir()]


class OpenElsewhere(PermissionError):
    """What Windows raises where another process has the file open."""

    winerror = 5


@pytest.mark.parametrize(("times", "content"), [(1, "new"), (2, "old")])
def test_a_file_that_is_open_elsewhere_is_replaced_once_it_is_closed(
    tmp_path, monkeypatch, times, content
):
    (tmp_path / "file").write_text("old")
    refused, replace = [], Path.replace

    def when_closed(path, target):
        if len(refused) < times:
            refused.append(target)
            raise OpenElsewhere(13, "Access is denied")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", when_closed)
    monkeypatch.setattr(files, "_RENAME_SECONDS", 0.0)
    monkeypatch.setattr(files, "_RENAMES", 2)
    with contextlib.nullcontext() if times < 2 else pytest.raises(PermissionError):
        files.replace_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_text() == content
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_any_other_refusal_is_final(tmp_path, monkeypatch):
    tried = []

    def refuse(path, target):
        tried.append(target)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        files.replace_file(tmp_path / "file", b"new")
    assert len(tried) == 1
