"""Temporary files of killed processes, and the lock on a folder."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.store.files import remove_leftovers, translate_os_errors


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
        ("", "check that file and its permissions"),
    ):
        with (
            pytest.raises(StoreError) as caught,
            translate_os_errors(tmp_path, "write", setting=setting),
        ):
            raise PermissionError(13, "Permission denied")
        assert caught.value.remedy == remedy


@pytest.mark.skipif(sys.platform == "win32", reason="no locks on folders there")
def test_a_locked_folder_lets_one_process_in_at_a_time(tmp_path):
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
    runs = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "60"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]
