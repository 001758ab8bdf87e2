"""Fixtures that the tests share."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

import pytest_crossdiff.engine
from support.browser import Opened, started
from support.commands import PAIR, crossdiff, make_project, run_pytest
from support.fake_engine import MODULE, FakeEngine
from support.results import make_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_crossdiff.report.document import Report

pytest_plugins = ["pytester"]

if "PYTEST_XDIST_WORKER" in os.environ:  # side by side, two threads each slow one another tenfold
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CROSSDIFF_BASELINE", "CROSSDIFF_CANDIDATE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """pytest's own, without the seconds in which every pytest started imports hypothesis again."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
    return pytester


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """An engine that answers at once with `engine.result`: no differences, unless replaced."""
    fake = FakeEngine(make_result())
    monkeypatch.setitem(sys.modules, MODULE, fake)
    monkeypatch.setattr(pytest_crossdiff.engine, "pipeline", fake, raising=False)
    return fake


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose pytest.ini names a pair and nothing else."""
    pytester.makefile(".ini", pytest=f"[pytest]\n{PAIR}")
    return pytester


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of two real models that `crossdiff train` has measured; change copies only."""
    folder = make_project(tmp_path_factory.mktemp("measured"), seeds=1, controls=False)
    done = crossdiff(folder, "train")
    assert done.returncode == 1, done.stdout + done.stderr
    (folder / "stdout.txt").write_text(done.stdout, "utf-8")
    (folder / "stderr.txt").write_text(done.stderr, "utf-8")
    return folder


@pytest.fixture(scope="session")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The README's project after its first run, in a folder to copy, and what that run said."""
    folder = make_project(tmp_path_factory.mktemp("upgraded"))
    test = "def test_upgrade(crossdiff):\n    crossdiff.assert_within_budget()\n"
    (folder / "test_upgrade.py").write_text(test, "utf-8")
    done = run_pytest(folder)
    assert done.returncode == 1, done.stdout + done.stderr
    return folder, done.stdout


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless browser."""
    with started() as found:
        yield found


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens reports in it, each of which may complain of nothing and ask for nothing."""
    pages: list[Opened] = []

    def open_(report: Report, hash_: str = "", **context: Any) -> Opened:
        page = Opened(browser, report, tmp_path, **context)
        pages.append(page)
        if hash_:
            page.go(hash_)
        return page

    yield open_
    for page in pages:
        page.context.close()
        assert page.troubles == []
        assert page.foreign == []
