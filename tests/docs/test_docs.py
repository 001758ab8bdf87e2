"""What README and docs show is run, and what they list is what there is."""

from __future__ import annotations

import ast
import dataclasses
import itertools
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from pytest_crossdiff import __version__
from pytest_crossdiff.plugin.diff import CrossDiff
from pytest_crossdiff.results.difference import Context, Difference, TokenCount
from support import planted, reference
from support.commands import crossdiff
from support.fake_engine import install_for_subprocess
from support.replies import refusing
from support.results import make_difference, make_result

ROOT = Path(__file__).parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ANEW = "run: PYTHONPATH=tests:. python -m support.reference"
ON_A_PAIR = [
    ROOT / "docs" / name
    for name in ("reference/command.md", "how-to/lost-baseline.md", "how-to/history.md")
]
"""Documents whose commands are run on a real pair."""
TUTORIAL = ROOT / "docs" / "tutorial" / "first-verdict.md"
"""Its commands are run by test_tutorial.py."""
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SETUP = "python3 -m venv"
REAL = re.compile(r"import torch|\.reply\(|crossdiff_record")
"""What stands in examples that are run on real models."""
EITHER = re.compile("crossdiff_model|crossdiff_record")
"""What stands in those that run once with either model."""


class Block(NamedTuple):
    """A fenced block.  file: its first line's comment, "" without one."""

    kind: str
    text: str

    @property
    def file(self) -> str:
        found = re.match(r"# ([\w.]+)\n", self.text)
        return found[1] if found else ""


def blocks(document: Path, *kinds: str) -> list[Block]:
    found = (Block(*match.groups()) for match in FENCE.finditer(document.read_text("utf-8")))
    return [block for block in found if block.kind in kinds]


def names(documents: list[Path]) -> list[str]:
    return [str(document.relative_to(ROOT)) for document in documents]


def test_what_follows_from_the_code_is_generated_anew():
    for (page, name), text in reference.blocks().items():
        made = page.read_text("utf-8").partition(f"<!-- {name}: begin, generated -->\n")[2]
        assert made.partition(f"\n<!-- {name}: end -->")[0] == text.strip(), f"{page.name}: {ANEW}"
    assert reference.SCHEMA.read_text("utf-8") == reference.schema(), ANEW


def with_commands(program: str) -> list[Path]:
    """The documents that call a program, but the tutorial."""
    return [
        document
        for document in DOCS
        if document != TUTORIAL
        and any(line.startswith(f"{program} ") for line in commands(document))
    ]


def commands(document: Path) -> list[str]:
    return [line for block in blocks(document, "sh") for line in block.text.splitlines()]


PROJECTS = sorted(
    {d for d in DOCS if blocks(d, "ini", "toml", "python")} | {*with_commands("pytest")}
)
PLAIN = [document for document in with_commands("crossdiff") if document not in ON_A_PAIR]


class TestExamples:
    """Each document's blocks make one project, a later block taking the place of an earlier one of
    the same file; its tests pass on a pair without differences.
    """

    @pytest.mark.parametrize("document", PROJECTS, ids=names(PROJECTS))
    def test_they_run(self, project, engine, document, monkeypatch):
        shown = blocks(document, "ini", "toml", "python")
        if document.name == "replies.md":
            engine.result = make_result(replies=refusing(100, 0))
        for block in shown:
            assert block.file, f"{document.name}: a block must begin with its file's name"
            if REAL.search(block.text):
                continue  # it is run on real models below
            write(project.path, block)
            if block.kind != "python" or block.file == "conftest.py":
                accepted(project)
            else:
                passes(project)
        write(project.path, Block("ini", INI))
        if document.name == "accepting.md":  # on a pair that has what it accepts
            engine.result = make_result(make_difference("C1"), make_difference("B1", "baseline"))
            monkeypatch.delenv("CI", raising=False)
            for name, value in (("COUNT", "1"), ("KEY_0", "user.name"), ("VALUE_0", "Ann")):
                monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
        for line in commands(document):
            if line.startswith("pytest"):
                done = project.runpytest(*shlex.split(line)[1:])
                assert done.ret in (0, pytest.ExitCode.NO_TESTS_COLLECTED), line

    @pytest.mark.parametrize("document", PLAIN, ids=names(PLAIN))
    def test_calls_of_the_console_script_run(self, pytester, monkeypatch, document):
        monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest -p fake_engine")
        monkeypatch.setenv("PYTHONPATH", str(pytester.path))
        pytester.makefile(".ini", pytest=INI)
        install_for_subprocess(pytester.path, make_result())
        for line in commands(document):
            if line.startswith("crossdiff "):
                arguments = shlex.split(line)[1:]
                assert pytester.run(sys.executable, "-m", "pytest_crossdiff", *arguments).ret == 0

    @pytest.mark.long
    def test_commands_run_on_a_real_pair(self, measured, tmp_path):
        folder = tmp_path / "project"
        shutil.copytree(measured, folder)
        for line in itertools.chain(*map(commands, ON_A_PAIR)):
            arguments = shlex.split(line.partition(" > ")[0])[1:]
            done = crossdiff(folder, *arguments)
            over = arguments == ["train"]  # the pair differs
            assert done.returncode == int(over), (line, done.stdout, done.stderr)
            assert done.stdout or "--quiet" in line

    def test_ordinary_tests_run_on_models(self, pytester):
        shown = [
            b for b in blocks(ROOT / "docs/reference/fixtures.md", "python") if REAL.search(b.text)
        ]
        model = planted.plain(pytester.path / "model")
        pair = f"crossdiff_baseline = {model}\ncrossdiff_candidate = {model}\n"
        pytester.makefile(".ini", pytest=f"[pytest]\n{pair}")
        for block in shown:
            write(pytester.path, block)
        runs = sum(1 + bool(EITHER.search(block.text)) for block in shown)
        assert runs > len(shown) > 1
        pytester.runpytest_subprocess().assert_outcomes(passed=runs)


INI = "# pytest.ini\n[pytest]\ncrossdiff_baseline = org/old\ncrossdiff_candidate = org/new\n"


def write(folder: Path, block: Block) -> None:
    if block.kind in ("ini", "toml"):
        for other in ("pytest.ini", "pyproject.toml"):
            (folder / other).unlink(missing_ok=True)
    (folder / block.file).write_text(block.text, "utf-8")


def accepted(project: pytest.Pytester) -> None:
    done = project.runpytest("--collect-only", "-q")
    assert done.ret in (0, pytest.ExitCode.NO_TESTS_COLLECTED)
    done.stdout.no_fnmatch_line("*Warning*")


def passes(project: pytest.Pytester) -> None:
    shutil.rmtree(project.path / "__pycache__", ignore_errors=True)  # of files of the same second
    done = project.runpytest()
    assert done.ret == 0, done.stdout.str()
    assert set(done.parseoutcomes()) == {"passed"}


class TestReadme:
    def test_it_has_two_commands_for_a_fresh_machine(self):
        setups = [line for line in commands(ROOT / "README.md") if line.startswith(SETUP)]
        assert [line.split("&&")[-1].split() for line in setups] == [
            [".venv/bin/pytest", "example_suite"],
            [".venv/bin/pytest", "-n", "2", "--dist", "loadfile"],
        ]

    def test_ci_runs_its_command_for_the_tests(self):
        _, command = [line for line in commands(ROOT / "README.md") if line.startswith(SETUP)]
        assert f"tests='{command}'" in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()

    @pytest.mark.slow
    def test_its_output_is_what_a_planted_difference_gives(self, upgraded):
        """Line by line, whatever the numbers; the texts, which can differ between machines, not."""
        _, output = upgraded
        given = [line.rstrip() for line in output.splitlines()]
        (block,) = blocks(ROOT / "README.md", "text")
        missing = [
            line
            for line in block.text.splitlines()
            if not line.startswith(TEXTS) and not any(like(line).fullmatch(x) for x in given)
        ]
        assert not missing


TEXTS = ("      Nothing", "  B1 ", "    pytest", "  would find", "      ")


def like(line: str) -> re.Pattern[str]:
    """What a line of the terminal may look like: other numbers, and anything for an ellipsis."""
    text = re.sub(r"[\d.]+ s$", "… s", line)  # or minutes, on a busy machine
    text = re.escape(text).replace("…", ".*")
    some = r"differences?(\ and\ \d+\ possible)?"
    text = re.sub(r"differences?\b", lambda _: some, text)
    return re.compile(re.sub(r"\d+(\\\.\d+)?", r"[0-9][0-9.e-]*", text))


class TestReference:
    """docs/reference/fixtures.md and docs/reference/errors.md against the code."""

    def test_every_fixture_and_assertion_is_described(self):
        text = (ROOT / "docs/reference/fixtures.md").read_text("utf-8")
        fixtures = reference.fixtures.names()
        assert len(fixtures) == 9
        public = [n for n in dir(CrossDiff) if not n.startswith("_")]
        internal = {"on_check", "matched", "display", "pointers"}
        for name in (*fixtures, *(n for n in public if n not in internal)):
            assert f"`{name}" in text, name

    def test_everything_that_a_difference_has_is_named(self):
        text = (ROOT / "docs/reference/fixtures.md").read_text("utf-8")
        for kind in (Difference, Context, TokenCount):
            for field in dataclasses.fields(kind):
                assert f"`{field.name}`" in text, field.name

    def test_every_error_that_is_explained_can_be_raised(self):
        text = (ROOT / "docs/reference/errors.md").read_text("utf-8")
        rows = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
        said = [literal for file in SOURCES for literal in literals(file)]
        assert len(rows) > 10
        for row in rows:
            parts = [re.escape(part) for part in row.split("…")]
            assert any(re.search(".*".join(parts), s, re.DOTALL) for s in said), row

    def test_links_lead_somewhere(self):
        for document in DOCS:
            for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8")):
                assert (document.parent / target).exists(), f"{document.name}: {target}"

    def test_the_changelog_has_this_version(self):
        assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


SOURCES = sorted((ROOT / "pytest_crossdiff").rglob("*.py"))


def literals(file: Path) -> list[str]:
    """Every text written in a source file, an ellipsis for what is filled in."""
    tree = ast.parse(file.read_text("utf-8"))
    return [text for node in ast.walk(tree) if (text := _literal(node))]


def _literal(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_literal(part) or "…" for part in parts)
        case ast.BinOp(left=left, right=right):
            return _literal(left) + (_literal(right) or "…") if _literal(left) else ""
    return ""
