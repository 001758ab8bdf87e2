"""`PYTHONPATH=tests python -m torture.mutants`: do the tests of `gate/` notice a wrong gate?

Each mutant is one change of one module: another comparison, a condition turned round, a number one
larger, a statement or a result left out.  It is killed when a test of `tests/gate` fails; first
those of the module's own file run, then the others.  Words in messages are not changed.  Survivors
are listed; with less than `REQUIRED` killed the exit code is 1.

--every N: one mutant in N.  --offset K: from number K on, so that --every 2 --offset 1 is the half
that --every 2 leaves out.  --only: modules, with commas between.  Takes about 15 CPU minutes.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import importlib.abc
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

PROJECT = Path(__file__).parents[2]
GATE = PROJECT / "pytest_crossdiff" / "gate"
SLOW = ("test_accepting_retrained_models",)
"""Files of tests that train models."""
TESTS = [f for f in sorted((PROJECT / "tests" / "gate").glob("test_*.py")) if f.stem not in SLOW]
PYTEST = ("-q", "-x", "--assert=plain", "--noconftest", "-k", "not two_processes", "-p", "pytester")
WITHOUT = ("cacheprovider", "crossdiff", "xdist", "anyio", "hypothesispytest")
"""Plugins that no test of the gate needs."""
REQUIRED = 0.85
SECONDS, WAITING = 60, 600
"""A mutant whose tests take more CPU time is killed: it loops.  So is one that waits for longer, of
which a busy machine is no cause."""
WARM = ("hypothesis", "numpy", "_pytest.pytester", "pytest_crossdiff.results.result")
"""What is imported once for all mutants; nothing of it imports the gate."""

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
}
_NOTHING = "return", "return None"


class Mutant(NamedTuple):
    """line: of the change.  what: it does, in words.  code: of the whole module."""

    module: str
    line: int
    what: str
    code: ast.Module


def mutants(path: Path) -> Iterator[Mutant]:
    """All of a module."""
    tree = ast.parse(path.read_text("utf-8"))
    for at, node in enumerate(_changed(tree)):
        for what, new in _changes(node):
            made = copy.deepcopy(tree)
            _replace(made, _changed(made)[at], new)
            yield Mutant(path.stem, node.lineno, what, ast.fix_missing_locations(made))


def _changed(tree: ast.Module) -> list[ast.expr | ast.stmt]:
    """The nodes that may be changed, in order: none of annotations, decorators and imports."""
    found: list[ast.expr | ast.stmt] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)) or _is_for_types_only(node):
            return
        if isinstance(node, (ast.expr, ast.stmt)):
            found.append(node)
        for name, value in ast.iter_fields(node):
            if name not in ("annotation", "returns", "type_params", "decorator_list"):
                for one in value if isinstance(value, list) else [value]:
                    if isinstance(one, ast.AST):
                        visit(one)

    visit(tree)
    return found


def _is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _changes(node: ast.expr | ast.stmt) -> Iterator[tuple[str, ast.AST]]:  # noqa: C901  a table
    """Each change of a node: in words, and what stands in its place."""

    def other(**fields: object) -> ast.AST:
        made = copy.deepcopy(node)
        for name, value in fields.items():
            setattr(made, name, value)
        return made

    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            for kind in _COMPARISONS.get(type(operator), ()):
                ops = [*node.ops[:at], kind(), *node.ops[at + 1 :]]
                yield f"{type(operator).__name__} -> {kind.__name__}", other(ops=ops)
    elif isinstance(node, ast.BoolOp):
        joined = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield f"-> {joined.__name__}", other(op=joined())
    elif isinstance(node, ast.UnaryOp):
        yield f"{type(node.op).__name__} removed", node.operand
    elif isinstance(node, ast.BinOp):
        computed = _ARITHMETIC.get(type(node.op), ast.Add)
        yield f"{type(node.op).__name__} -> {computed.__name__}", other(op=computed())
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        yield "condition turned round", other(test=ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Constant):
        yield from _constants(node.value)
    elif isinstance(node, ast.stmt):
        yield from _left_out(node)


def _constants(value: object) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(value, bool):
        yield f"-> {not value}", ast.Constant(not value)
    elif isinstance(value, (int, float)):
        yield f"{value} -> {value + 1}", ast.Constant(value + 1)


def _left_out(statement: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(statement, ast.Return) and ast.unparse(statement) not in _NOTHING:
        yield "returns None", ast.Return(ast.Constant(None))
    elif isinstance(statement, ast.Raise):
        yield "raises nothing", ast.Pass()
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        yield "call left out", ast.Pass()
    elif isinstance(statement, ast.Continue):
        yield "-> break", ast.Break()


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            if value is old:
                setattr(node, name, new)
                return
            if isinstance(value, list) and any(one is old for one in value):
                setattr(node, name, [new if one is old else one for one in value])
                return


class _Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the mutant in place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self._name, self._mutant = f"pytest_crossdiff.gate.{mutant.module}", mutant

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        origin = str(GATE / f"{self._mutant.module}.py")
        return (
            importlib.util.spec_from_loader(name, self, origin=origin)
            if name == self._name
            else None
        )

    def exec_module(self, module: ModuleType) -> None:
        exec(
            compile(self._mutant.code, str(GATE / f"{self._mutant.module}.py"), "exec"),
            vars(module),
        )


def is_killed(mutant: Mutant | None, tests: Sequence[Path]) -> bool:
    """Whether a test fails, in a process of its own; None: no mutant, the code as it is."""
    child = os.fork()
    if child == 0:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(WAITING)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        code = 1
        try:
            import hypothesis
            import pytest

            hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
            hypothesis.settings.load_profile("same")
            if mutant is not None:
                sys.meta_path.insert(0, _Loader(mutant))
            without = [part for name in WITHOUT for part in ("-p", f"no:{name}")]
            code = int(pytest.main([*PYTEST, *without, *map(str, tests)]))
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def own_tests(module: str) -> list[Path]:
    """The files of tests that are named after a module, or name it."""
    return [file for file in TESTS if module in file.read_text("utf-8")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--offset", type=int, default=0)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    sys.path.insert(0, str(PROJECT / "tests"))
    os.chdir(PROJECT)
    for name in WARM:
        importlib.import_module(name)
    if is_killed(None, TESTS):
        print("the tests fail without any mutant", file=sys.stderr)
        return 2
    wanted = (
        options.only.split(",") if options.only else [p.stem for p in sorted(GATE.glob("*.py"))]
    )
    killed = tried = 0
    began = time.perf_counter()
    for module in wanted:
        here = lived = 0
        own = own_tests(module)
        others = [file for file in TESTS if file not in own]
        for mutant in [*mutants(GATE / f"{module}.py")][options.offset :: options.every]:
            here += 1
            if not ((own and is_killed(mutant, own)) or is_killed(mutant, others)):
                lived += 1
                print(f"  {module}.py:{mutant.line}: {mutant.what}", flush=True)
        tried, killed = tried + here, killed + here - lived
        if here:
            print(f"{module}: {here - lived} of {here} killed", flush=True)
    seconds = time.perf_counter() - began
    print(f"{killed} of {tried} mutants killed ({killed / max(tried, 1):.1%}) in {seconds:.0f} s")
    return 0 if killed >= REQUIRED * tried else 1


if __name__ == "__main__":
    raise SystemExit(main())
