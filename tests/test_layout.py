"""The layout stays as the table in `support/layout.py` has it."""

from __future__ import annotations

import textwrap

import pytest

from support import layout
from support.imports import cycle, inside, loaded_with, read

TODO = """
Where an import is not allowed: move what both need to an earlier part, or hand it over as an
argument.  Where the design has changed: change the table `ALLOWED` in tests/support/layout.py."""


@pytest.fixture(scope="module")
def modules():
    return layout.project()


@pytest.fixture
def package(tmp_path):
    """Writes a package `p` of the given files and reads it."""

    def write(**files):
        for name, text in {"__init__": "", **files}.items():
            path = tmp_path / "p" / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(exist_ok=True, parents=True)
            (path.parent / "__init__.py").touch()
            path.write_text(textwrap.dedent(text), "utf-8")
        return read(tmp_path / "p")

    return write


class TestPytestCrossdiff:
    def test_no_imports_form_a_cycle(self, modules):
        assert not layout.import_cycles(modules)

    def test_every_import_is_in_the_table(self, modules):
        found = layout.forbidden_imports(modules, layout.ALLOWED)
        assert not found, "\n".join([*found, TODO])

    def test_every_entry_of_the_table_is_used(self, modules):
        found = layout.unused_entries(modules, layout.ALLOWED)
        assert not found, "\n".join([*found, TODO])

    def test_the_table_allows_imports_of_earlier_parts_only(self):
        assert not layout.upward_entries(layout.ALLOWED)

    def test_no_module_imports_the_front_of_the_package(self, modules):
        assert not layout.imports_of_the_front(modules)

    def test_only_the_stages_of_the_engine_load_torch_and_the_like(self, modules):
        assert not layout.heavy_imports(modules)

    def test_no_folder_has_more_files_than_one_surveys(self, modules):
        assert not layout.large_folders(modules)

    def test_no_file_is_longer_than_one_reads_at_a_sitting(self, modules):
        assert not layout.long_files(modules)

    def test_every_module_is_named_by_what_is_in_it(self, modules):
        assert not layout.vague_names(modules)

    def test_the_map_in_contributing_is_that_of_the_imports(self, modules):
        text = layout.CONTRIBUTING.read_text("utf-8").partition(layout.BEGIN)[2]
        assert text.partition(layout.END)[0] == layout.package_map(modules, [*layout.ALLOWED]), (
            "run: PYTHONPATH=tests python -m support.layout"
        )


class TestImports:
    """How imports are read, on packages whose imports are known."""

    @pytest.mark.parametrize(
        "line",
        [
            "import p.b",
            "from p import b",
            "from p.b import x",
            "from . import b",
            "from .b import x",
        ],
    )
    def test_each_form_of_an_import_names_the_module(self, package, line):
        assert inside(package(a=line, b="x = 1"))["p.a"] == {"p.b"}

    def test_a_name_that_is_no_module_is_an_import_of_the_package(self, package):
        assert inside(package(a="from p import version"))["p.a"] == {"p"}

    @pytest.mark.parametrize(
        "text",
        [
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import p.b",
            "def f():\n    import p.b",
            "class A:\n    async def f(self):\n        import p.b",
        ],
        ids=["type checking", "function", "method"],
    )
    def test_those_that_do_not_run_on_load_are_dependencies_and_not_loaded(self, package, text):
        modules = package(a=text, b="import torch")
        assert inside(modules)["p.a"] == {"p.b"}
        assert "torch" not in loaded_with("p.a", modules)

    @pytest.mark.parametrize(
        "text",
        [
            "import p.b",
            "try:\n    pass\nexcept ImportError:\n    import p.b",
            "class A:\n    import p.b",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import p.b",
            "with open('x'):\n    import p.b",
        ],
        ids=["module", "except", "class", "else", "with"],
    )
    def test_those_that_run_on_load_are_followed_to_what_they_load(self, package, text):
        assert "torch" in loaded_with("p.a", package(a=text, b="import torch.nn as nn"))

    def test_a_module_loads_the_packages_that_it_is_in(self, package):
        modules = package(sub__in__a="", sub__in____init__="import torch")
        assert "torch" in loaded_with("p.sub.a", modules)

    def test_a_cycle_is_given_in_full(self):
        found = cycle({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]})
        assert found[0] == found[-1]
        assert {*found} == {"a", "b", "c"}


TABLE = {"low": "", "engine.stage": "low", "high": "low engine.stage"}
GOOD = {
    "low": "",
    "engine__in__stage__in__work": "from p import low",
    "high": "from p import low\ndef f():\n    from p.engine.stage import work",
}


class TestRules:
    """Each rule sees what breaks it, in a package where that was planted."""

    def broken(self, package, **files):
        return package(**{**GOOD, **files})

    def test_a_package_that_keeps_them_passes(self, package):
        modules = package(**GOOD)
        assert not layout.import_cycles(modules)
        assert not layout.forbidden_imports(modules, TABLE)
        assert not layout.unused_entries(modules, TABLE)
        assert not layout.upward_entries(TABLE)
        assert not layout.heavy_imports(modules)
        assert not layout.imports_of_the_front(modules)

    def test_cycle_between_files(self, package):
        modules = self.broken(package, low="def f():\n    import p.high")
        assert {line.partition(" in ")[0] for line in layout.import_cycles(modules)} == {
            "files",
            "parts",
        }

    def test_cycle_between_parts_whose_files_form_none(self, package):
        up = {"up__in__a": "import p.down.a", "down__in__a": ""}
        down = {"down__in__b": "import p.up.b", "up__in__b": ""}
        modules = self.broken(package, **up, **down)
        (line,) = layout.import_cycles(modules)
        assert line.startswith("parts in a cycle")

    def test_import_that_is_not_allowed(self, package):
        modules = self.broken(package, engine__in__stage__in__more="import p.other", other="")
        assert layout.forbidden_imports(modules, TABLE) == [
            "p.engine.stage.more imports p.other: the row of engine.stage does not allow other",
            "other has no row",
        ]

    def test_entry_that_is_not_used(self, package):
        table = {**TABLE, "engine.stage": "", "engine.gone": "", "high": "low engine.stage x"}
        assert layout.unused_entries(package(**GOOD), table) == [
            "engine.gone is gone",
            "high does not import x",
        ]

    def test_table_that_is_not_in_order(self):
        assert layout.upward_entries({"a": "b", "b": ""}) == ["a stands before b"]

    def test_import_of_the_front(self, package):
        modules = self.broken(package, low="from p import __version__")
        assert layout.imports_of_the_front(modules) == ["p.low"]

    def test_heavy_package_loaded_through_a_stage(self, package):
        modules = self.broken(
            package,
            engine__in__stage__in__work="import torch.nn",
            high="import p.engine.stage.work",
        )
        assert layout.heavy_imports(modules) == ["p.high loads torch"]

    def test_seventeenth_file_of_a_folder(self, package):
        files = {f"engine__in__f{n}": "" for n in range(16)}
        assert not layout.large_folders(package(**files))
        assert layout.large_folders(package(**files, engine__in__f16="")) == ["engine: 17 files"]

    def test_line_after_the_350th(self, package):
        modules = package(fits="x = 1\n" * 350, long="x = 1\n" * 351)
        assert layout.long_files(modules) == ["p.long: 351 lines"]

    @pytest.mark.parametrize("name", ["utils", "common", "base", "helpers", "_utils"])
    def test_name_that_says_nothing(self, package, name):
        assert layout.vague_names(package(**{name: ""}, based="")) == [f"p.{name}"]

    def test_the_map_says_what_each_part_does_and_imports_in_the_order_of_the_table(self, package):
        modules = self.broken(
            package,
            low='"""Is low."""',
            engine__in__stage__in____init__='"""Works,\nin a stage.\n\nMore of it."""',
        )
        assert layout.package_map(modules, [*TABLE]) == (
            "| part | what it does | imports |\n"
            "|---|---|---|\n"
            "| `low.py` | Is low. | – |\n"
            "| `engine/stage/` | Works, in a stage. | low |\n"
            "| `high.py` |  | low; engine: stage |\n"
        )
