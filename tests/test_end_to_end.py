"""pytest itself on real models: what a person sees and what CI gets."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from support import planted

if TYPE_CHECKING:
    from pathlib import Path

SPY = """
def pytest_sessionfinish(session):
    import sys
    heavy = [m for m in ("torch", "transformers", "numpy") if m in sys.modules]
    print(f"\\nHEAVY {heavy}")
"""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    makers = (planted.plain, planted.merged, planted.noisy, planted.broken)
    return {maker.__name__: maker(root / maker.__name__) for maker in makers}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def configure(
    pytester: pytest.Pytester, old: Path, new: Path, cache: Path, **others: object
) -> None:
    ini = planted.ini(baseline=old, candidate=new, cache_dir=cache, **others)
    pytester.makefile(".ini", pytest=f"[pytest]\n{ini}")


def test_a_lost_ability_fails_the_build_and_is_shown_then_answered_from_the_cache(
    pytester: pytest.Pytester, upgraded: tuple[Path, str]
) -> None:
    folder, shown = upgraded
    assert "test_upgrade.py (about " in shown
    assert "= 1 failed in " in shown
    assert "baseline-only" in shown.lower()
    assert any(f"⟦{word}⟧" in shown or f"⟦ {word}⟧" in shown for word in planted.MERGED)

    shutil.copytree(folder, pytester.path, dirs_exist_ok=True)
    pytester.makeconftest(SPY)
    pytester.makepyfile(
        test_upgrade="""
        def test_upgrade(crossdiff):
            crossdiff.assert_within_budget()

        def test_nothing_was_gained(crossdiff):
            crossdiff.assert_candidate_only(max_count=0)

        def test_ordinary():
            assert 1 + 1 == 2
        """
    )
    second = pytester.runpytest_subprocess("--junitxml=out.xml")
    second.assert_outcomes(failed=1, passed=2)
    second.stdout.fnmatch_lines(["HEAVY *"])
    assert "HEAVY []" in second.stdout.str()
    assert "from cache (measured in" in second.stdout.str()
    cases = ET.parse(pytester.path / "out.xml").getroot().iter("testcase")
    assert [[child.tag for child in case if child.tag != "properties"] for case in cases] == [
        ["failure"], [], [],
    ]  # fmt: skip


def test_a_noisy_copy_passes_on_the_built_in_texts_without_a_test_written(
    pytester: pytest.Pytester, models: dict[str, Path], cache: Path
) -> None:
    configure(pytester, models["plain"], models["noisy"], cache, corpus="builtin:pydoc")
    run = pytester.runpytest_subprocess("--crossdiff", "-v")
    run.assert_outcomes(passed=1)
    run.stdout.fnmatch_lines(["*pytest.ini::crossdiff PASSED*"])


def test_four_workers_compute_once(
    pytester: pytest.Pytester, models: dict[str, Path], tmp_path: Path
) -> None:
    quick = {"seeds": 1, "controls": False}
    configure(pytester, models["plain"], models["noisy"], tmp_path / "cache", **quick)
    pytester.makeconftest(
        """
        import os, pathlib
        from pytest_crossdiff.engine import pipeline

        _run = pipeline.run

        def run(*args, **kwargs):
            outcome = _run(*args, **kwargs)
            if not outcome.cached:
                pathlib.Path(__file__).with_name(f"computed-{os.getpid()}").touch()
            return outcome

        pipeline.run = run
        """
    )
    tests = "\n".join(
        f"def test_{i}(crossdiff):\n    crossdiff.assert_within_budget()\n" for i in range(8)
    )
    pytester.makepyfile(test_upgrade=tests)
    run = pytester.runpytest_subprocess("-n", "4")
    run.assert_outcomes(passed=8)
    assert len(list(pytester.path.glob("computed-*"))) == 1


def test_what_keeps_us_from_measuring_is_an_error_with_cause_and_remedy(
    pytester: pytest.Pytester, models: dict[str, Path], cache: Path
) -> None:
    configure(pytester, models["plain"], models["broken"], cache)
    pytester.makepyfile("def test_upgrade(crossdiff):\n    crossdiff.assert_within_budget()")
    run = pytester.runpytest_subprocess()
    run.assert_outcomes(errors=1)
    run.stdout.fnmatch_lines(["*NaN or infinite*", "*from:*crossdiff_candidate*", "*to do:*"])
    assert "Traceback" not in run.stdout.str()


def test_the_models_are_there_for_ordinary_tests(
    pytester: pytest.Pytester, models: dict[str, Path], cache: Path
) -> None:
    configure(pytester, models["plain"], models["merged"], cache)
    pytester.makepyfile(
        """
        import torch

        def test_both(crossdiff_baseline, crossdiff_candidate):
            for loaded in (crossdiff_baseline, crossdiff_candidate):
                ids = loaded.tokenizer("a list of names", return_tensors="pt").input_ids
                with torch.no_grad():
                    assert loaded.model(ids).logits.isfinite().all()
        """
    )
    pytester.runpytest_subprocess("-p", "no:warnings").assert_outcomes(passed=1)
