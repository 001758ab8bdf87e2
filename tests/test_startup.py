"""Installed and unused, the plugin costs nothing and leaves nothing behind."""

from __future__ import annotations

import json

HEAVY = [
    "torch",
    "transformers",
    "numpy",
    "safetensors",
    "jinja2",
    "tabulate",
    "tqdm",
    "filelock",
    "scipy",
]

SUITE = """
import pytest

@pytest.fixture
def number(tmp_path): return 1

@pytest.mark.parametrize("n", [1, 2])
def test_passes(number, n): assert number <= n
def test_fails(): assert 1 == 2
def test_errors(missing): pass
@pytest.mark.skip
def test_skips(): pass
@pytest.mark.xfail
def test_expected(): raise ValueError
def test_warns():
    import warnings
    warnings.warn("a warning")
"""

CONFTEST = """
import json, sys

def pytest_unconfigure(config):
    with open(config.rootpath.parent / "modules.json", "w") as file:
        json.dump(sorted(sys.modules), file)
"""


def modules_and_files(pytester, *arguments):
    result = pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "--junitxml=../x.xml", *arguments
    )
    result.assert_outcomes(passed=3, failed=1, errors=1, skipped=1, xfailed=1, warnings=1)
    modules = set(json.loads((pytester.path.parent / "modules.json").read_text()))
    files = {str(path.relative_to(pytester.path)) for path in pytester.path.rglob("*")}
    own = "__pycache__", "stdout", "stderr", "runpytest-"  # of Python and of pytester
    return modules, {f for f in files if not any(name in f for name in own)}


def test_a_complete_unrelated_run_imports_next_to_nothing_and_writes_nothing(pytester, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / "cache"))
    monkeypatch.setenv("HOME", str(pytester.path))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=SUITE)
    without, files_without = modules_and_files(pytester, "-p", "no:crossdiff")
    used, files = modules_and_files(pytester)
    new = used - without
    assert "pytest_crossdiff.plugin" in new
    assert len(new) <= 9, sorted(new)
    assert not [m for m in HEAVY if m in new]
    assert files == files_without


def test_settings_without_a_test_that_uses_them_import_nothing_heavy_either(pytester):
    pytester.makeini("[pytest]\ncrossdiff_baseline = org/old\ncrossdiff_layer = 3")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=SUITE)
    used, _ = modules_and_files(pytester, "-p", "crossdiff")
    assert not [m for m in HEAVY if m in used]
