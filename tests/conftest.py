"""Fixtures that the tests share."""

from __future__ import annotations

import sys

import pytest
from fake_engine import MODULE, FakeEngine
from results import make_result

import pytest_crossdiff.engine

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CROSSDIFF_BASELINE", "CROSSDIFF_CANDIDATE", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")


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
    pytester.makeini("[pytest]\ncrossdiff_baseline = org/old\ncrossdiff_candidate = org/new\n")
    return pytester
