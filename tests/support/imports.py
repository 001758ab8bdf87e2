"""Reads a package's imports from its source, without running it.

Every import counts, also those under `TYPE_CHECKING` and inside functions: a reader follows them
all.  Which of them run when a module is loaded is kept beside.
"""

from __future__ import annotations

import ast
import graphlib
import importlib.util
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path


class Module(NamedTuple):
    """A source file.  summary: first paragraph of its docstring.  imports: dotted names of modules,
    of this package and of others.  on_load: those of them that are imported with the module.
    """

    name: str
    path: Path
    lines: int
    summary: str
    imports: frozenset[str]
    on_load: frozenset[str]


def read(root: Path) -> dict[str, Module]:
    """The modules of the package in folder `root`, by dotted name."""
    paths = {_name(path, root): path for path in sorted(root.rglob("*.py"))}
    return {name: _module(name, path, paths) for name, path in paths.items()}


def inside(modules: Mapping[str, Module]) -> dict[str, set[str]]:
    """For each module the modules of the same package that it imports."""
    return {name: {i for i in of.imports if i in modules} for name, of in modules.items()}


def cycle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """One cycle of `graph`, its first node again at the end; empty where there is none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def loaded_with(name: str, modules: Mapping[str, Module]) -> set[str]:
    """Every name that is imported when module `name` is, by itself or by what it imports."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        now = waiting.pop()
        if now not in found:
            found.add(now)
            waiting += [now.rpartition(".")[0]] if "." in now else []  # Python imports parents, too
            waiting += modules[now].on_load if now in modules else []
    return found


def _name(path: Path, root: Path) -> str:
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _module(name: str, path: Path, known: Mapping[str, Path]) -> Module:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    every = {target for node in ast.walk(tree) for target in _targets(node, package, known)}
    on_load = {
        target for node in _run_on_load(tree.body) for target in _targets(node, package, known)
    }
    summary = " ".join((ast.get_docstring(tree) or "").split("\n\n")[0].split())
    return Module(
        name,
        path,
        len(text.splitlines()),
        summary,
        frozenset(every - {name}),
        frozenset(on_load - {name}),
    )


def _targets(node: ast.AST, package: str, known: Mapping[str, Path]) -> Iterator[str]:
    """What an import statement names: `from a import b` is a.b where that is a module, else a."""
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            source = importlib.util.resolve_name("." * level + (module or ""), package)
            for alias in names:
                full = f"{source}.{alias.name}"
                yield full if full in known else source


def _run_on_load(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                continue
            case ast.If(test=test) if "TYPE_CHECKING" in ast.dump(test):
                yield from _run_on_load(node.orelse)
            case _:
                yield node
                for part in ("body", "orelse", "finalbody"):
                    yield from _run_on_load(getattr(node, part, []))
                for handler in getattr(node, "handlers", []):
                    yield from _run_on_load(handler.body)
