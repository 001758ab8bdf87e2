"""`from pytest_crossdiff import …`: the names for users, loaded when used, with their types."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_crossdiff
from pytest_crossdiff.version import VERSION

ROOT = Path(__file__).parents[1]
OPTIONS = "--config-file", ROOT / "pyproject.toml", "--cache-dir", ROOT / ".mypy_cache"
NAMES = [name for name in pytest_crossdiff.__all__ if name != "__version__"]


def declared() -> dict[str, str]:
    """What a type checker sees: the module from which each name is imported."""
    tree = ast.parse(Path(pytest_crossdiff.__file__).read_text("utf-8"))
    (checked,) = [
        node for node in tree.body if isinstance(node, ast.If) and "Not" not in ast.dump(node.test)
    ]
    return {alias.name: node.module for node in checked.body for alias in node.names}


def test_a_type_checker_sees_the_same_names():
    assert sorted(declared()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_the_object_of_the_module_in_which_it_is_declared(name):
    module = importlib.import_module(declared()[name])
    assert getattr(pytest_crossdiff, name) is getattr(module, name)
    assert getattr(module, name).__module__ == module.__name__, "the module defines it"


def test_the_version_is_the_one_that_pyproject_reads():
    assert pytest_crossdiff.__version__ == VERSION


def loaded_by(statement: str) -> set[str]:
    """The modules of a new interpreter that has run one statement."""
    code = f"import json, sys; {statement}; print(json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {*json.loads(done.stdout)}


def test_the_package_alone_loads_none_of_its_modules():
    loaded = loaded_by("import pytest_crossdiff")
    assert {name for name in loaded if name.startswith("pytest_crossdiff")} == {"pytest_crossdiff"}


def test_the_errors_load_neither_torch_nor_pytest():
    loaded = loaded_by("from pytest_crossdiff import BudgetExceeded")
    assert "pytest_crossdiff.errors" in loaded
    assert not {"torch", "pytest", "numpy"} & loaded


def test_another_name_is_an_error_of_python():
    with pytest.raises(AttributeError, match="no attribute 'CrossDif'"):
        pytest_crossdiff.CrossDif  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'CrossDif'"):
        exec("from pytest_crossdiff import CrossDif")


def test_the_names_are_listed():
    assert {*NAMES, "__version__"} <= {*dir(pytest_crossdiff)}


@pytest.mark.parametrize("name", NAMES)
def test_each_is_documented(name):
    assert f"`{name}`" in (ROOT / "docs" / "reference" / "fixtures.md").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.long
def test_mypy_knows_their_types_and_refuses_others(tmp_path):
    (tmp_path / "uses.py").write_text(
        "from pytest_crossdiff import CrossDiff, Result\n"
        "def f(crossdiff: CrossDiff) -> Result:\n"
        "    crossdiff.assert_within_budget(1)\n"
        "    return crossdiff.result\n"
        "from pytest_crossdiff import CrossDif\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *OPTIONS, "uses.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line.partition("error: ")[2] for line in done.stdout.splitlines() if "error" in line]
    assert len(errors) == 3, done.stdout
    assert "Too many arguments" in errors[0]
    assert 'has no attribute "CrossDif"' in errors[1]
