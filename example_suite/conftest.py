"""Fetches the models, and names the pair that most of the suite is about."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from example_suite import models

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from example_suite.cache import CachedModel

GEMMA_OPTION = "--accept-gemma-terms"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        GEMMA_OPTION,
        action="store_true",
        help="I accept the Gemma Terms of Use; compare SmolLM2 with Gemma-3-270M (239 MB) as well",
    )


def pytest_configure() -> None:
    os.environ.setdefault("CROSSDIFF_BASELINE", str(models.minilm.folder))
    os.environ.setdefault("CROSSDIFF_CANDIDATE", str(models.minilm_sre.folder))


def _fetched(config: pytest.Config, model: CachedModel) -> Path:
    """The model's folder; what making it takes is said among the dots of the test file."""
    if model.folder.is_dir():
        return model()
    reporter = config.pluginmanager.getplugin("terminalreporter")
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        if hasattr(config, "workerinput"):  # pytest-xdist's workers have no terminal
            return model()
        return model(lambda made: reporter.write(f"({made.work}) ", flush=True))


def _fixture(model: CachedModel) -> Callable[[pytest.Config], Path]:
    """A fixture that is the model's folder."""

    @pytest.fixture(scope="session")
    def folder(pytestconfig: pytest.Config) -> Path:
        return _fetched(pytestconfig, model)

    return folder


minilm = _fixture(models.minilm)
minilm_sre = _fixture(models.minilm_sre)
minilm_int8 = _fixture(models.minilm_int8)
quire_032 = _fixture(models.quire_032)
smollm2 = _fixture(models.smollm2)
smollm2_fine_tune = _fixture(models.smollm2_fine_tune)


@pytest.fixture(scope="session")
def gemma(pytestconfig: pytest.Config) -> Path:
    if not pytestconfig.getoption(GEMMA_OPTION):
        pytest.skip(f"Gemma comes under terms of its own, {models.GEMMA_TERMS}: {GEMMA_OPTION}")
    return _fetched(pytestconfig, models.gemma3_270m)
