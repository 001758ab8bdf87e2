"""The layout of the project, as a table and as rules.

A *part* is a folder directly in `pytest_crossdiff/` or in `pytest_crossdiff/engine/`, with all that
is in it, or a file that stands beside these folders.

`PYTHONPATH=tests python -m support.layout` writes the map of the parts into CONTRIBUTING.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from support.imports import cycle, inside, loaded_with, read

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from support.imports import Module

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pytest_crossdiff"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- map: begin, generated -->\n", "<!-- map: end -->"

ALLOWED = {
    # used everywhere
    "version": "",
    "text": "",
    "errors": "text",
    "sides": "",
    "progress": "",
    # what is configured, what is kept, what was found
    "settings": "errors sides",
    "store": "errors progress",
    "results": "errors settings sides text",
    # the computation: first the inputs of a run, then its stages in the order of the work
    "engine.corpus": "errors",
    "engine.models": "errors settings sides store text",
    "engine.reply_texts": "errors settings sides store engine.corpus engine.models",
    "engine.plan": "version errors settings sides store engine.corpus engine.models"
    " engine.reply_texts",
    "engine.activations": "errors progress results sides store engine.corpus engine.models",
    "engine.self_checks": "settings sides store engine.models engine.plan engine.activations",
    "engine.phases": "progress settings sides",
    "engine.isolation": "",
    "engine.beside": "errors progress results store engine.isolation",
    "engine.metrics": "progress results sides store errors engine.beside engine.corpus"
    " engine.models engine.plan engine.activations",
    "engine.replies": "progress results settings sides store errors engine.beside engine.corpus"
    " engine.models engine.plan engine.activations",
    "engine.sparse": "",
    "engine.regression": "engine.sparse",
    "engine.dictionary": "errors progress settings store engine.phases engine.models engine.plan"
    " engine.activations engine.sparse engine.regression",
    "engine.verification": "progress results settings sides engine.models engine.activations"
    " engine.sparse engine.regression engine.dictionary",
    "engine.population": "errors progress results sides store engine.beside engine.corpus"
    " engine.models engine.plan engine.activations engine.metrics engine.replies"
    " engine.verification",
    "engine.explanation": "errors progress results settings sides store engine.corpus engine.models"
    " engine.plan engine.activations engine.dictionary engine.verification engine.metrics",
    "engine.controls": "progress results sides store engine.phases engine.plan engine.activations"
    " engine.dictionary engine.verification",
    # the computation as a whole
    "engine.tokens": "sides results engine.models engine.plan engine.activations",
    "engine.preflight": "errors settings sides results engine.corpus engine.models engine.plan"
    " engine.activations"
    " engine.dictionary",
    "engine.estimate": "progress settings sides store text engine.corpus engine.models"
    " engine.plan engine.phases engine.activations engine.dictionary",
    "engine.references_cost": "sides store engine.models engine.plan engine.metrics engine.estimate"
    " engine.population",
    "engine.capacity": "errors settings sides engine.models engine.plan engine.phases"
    " engine.activations engine.regression engine.dictionary",
    "engine.model_reading": "errors progress settings sides store engine.models engine.plan"
    " engine.activations engine.metrics engine.self_checks",
    "engine.compute": "version progress results settings sides engine.models engine.plan"
    " engine.activations engine.dictionary engine.verification engine.explanation"
    " engine.controls engine.tokens engine.model_reading engine.phases",
    "engine.workflow": "progress results sides store engine.beside engine.plan"
    " engine.activations engine.metrics engine.dictionary engine.verification engine.explanation"
    " engine.model_reading",
    "engine.pipeline": "errors progress results settings sides store engine.plan engine.metrics"
    " engine.replies engine.workflow engine.model_reading"
    " engine.population engine.dictionary engine.isolation engine.estimate engine.compute",
    "engine.past_results": "errors results settings sides store engine.corpus engine.models"
    " engine.plan engine.metrics engine.replies",
    "engine.baseline_archive": "errors settings sides store version engine.models engine.plan"
    " engine.population",
    "engine.tests_at_risk": "errors progress results settings sides store engine.models"
    " engine.dictionary engine.explanation engine.isolation",
    "engine.ranks": "version errors progress settings sides store engine.models engine.plan"
    " engine.activations engine.dictionary engine.controls engine.isolation engine.metrics"
    " engine.replies engine.model_reading engine.pipeline",
    # what the user sees of it
    "demo": "progress store engine.models",
    "gate": "errors sides text settings results store",
    "report": "errors sides text progress settings store results gate",
    "plugin": "errors sides text progress settings results engine.plan"
    " engine.dictionary engine.pipeline gate report engine.isolation engine.replies store"
    " engine.tests_at_risk",
    "cli": "version errors sides text progress settings store results engine.corpus"
    " engine.population engine.ranks"
    " engine.models engine.plan engine.dictionary engine.explanation engine.preflight"
    " engine.self_checks engine.estimate engine.references_cost engine.capacity engine.pipeline"
    " engine.past_results engine.baseline_archive gate report plugin demo",
    "__main__": "cli",
}
"""The parts in the order of the work, and for each the parts that it may import: earlier ones."""

DIVIDED = ("", "engine")
"""Folders whose folders and files are parts; these folders' own `__init__.py` belong to no part."""

MAX_FILES, MAX_LINES = 16, 350
VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "misc"}
HEAVY = {"torch", "transformers", "numpy", "safetensors", "jinja2", "tabulate", "tqdm", "filelock"}
"""Packages that only the engine's stages may import on load: pytest's start must stay fast."""


def part(module: str) -> str:
    """The part to which a module belongs: `engine.models` of whatever is in that folder; "" for the
    `__init__.py` of a divided folder.
    """
    names = module.split(".")[1:]
    deep = 2 if names[:1] == ["engine"] else 1
    found = ".".join(names[:deep])
    return "" if found in DIVIDED else found


def parts_imported(modules: Mapping[str, Module]) -> dict[str, dict[str, str]]:
    """For each part the parts that it imports, each with one import as an example."""
    found: dict[str, dict[str, str]] = {part(name): {} for name in modules if part(name)}
    for name, imported in inside(modules).items():
        for target in sorted(imported):
            if part(name) and part(target) not in ("", part(name)):
                found[part(name)].setdefault(part(target), f"{name} imports {target}")
    return found


def import_cycles(modules: Mapping[str, Module]) -> list[str]:
    """A cycle between files, or else between parts."""
    graphs = {"files": inside(modules), "parts": parts_imported(modules)}
    found = {kind: cycle(graph) for kind, graph in graphs.items()}
    return [f"{kind} in a cycle: {' -> '.join(c)}" for kind, c in found.items() if c]


def forbidden_imports(modules: Mapping[str, Module], allowed: Mapping[str, str]) -> list[str]:
    """Imports that the table doesn't allow, and parts that it doesn't have."""
    return [
        f"{example}: the row of {of} does not allow {target}"
        if of in allowed
        else f"{of} has no row ({example})"
        for of, targets in parts_imported(modules).items()
        for target, example in targets.items()
        if target not in allowed.get(of, "").split()
    ] + [f"{of} has no row" for of in parts_imported(modules) if of not in allowed]


def unused_entries(modules: Mapping[str, Module], allowed: Mapping[str, str]) -> list[str]:
    """Parts in the table that are gone, and what it allows without need."""
    found = parts_imported(modules)
    return [f"{of} is gone" for of in allowed if of not in found] + [
        f"{of} does not import {target}"
        for of, targets in allowed.items()
        for target in targets.split()
        if target not in found.get(of, {})
    ]


def upward_entries(allowed: Mapping[str, str]) -> list[str]:
    """What the table allows against its own order."""
    order = list(allowed)
    return [
        f"{of} stands before {target}"
        for of, targets in allowed.items()
        for target in targets.split()
        if target in order and order.index(target) >= order.index(of)
    ]


def imports_of_the_front(modules: Mapping[str, Module]) -> list[str]:
    """Modules that import the package itself, whose names are for users."""
    root = next(iter(modules)).partition(".")[0]
    return [name for name, imported in inside(modules).items() if root in imported]


def heavy_imports(modules: Mapping[str, Module]) -> list[str]:
    """Modules outside of the engine's stages, with the heavy packages that are loaded with them."""
    return [
        f"{name} loads {', '.join(sorted(heavy))}"
        for name in modules
        if not part(name).startswith("engine.") or part(name) in ("engine.plan", "engine.pipeline")
        if (heavy := HEAVY & {i.partition(".")[0] for i in loaded_with(name, modules)})
    ]


def large_folders(modules: Mapping[str, Module]) -> list[str]:
    """Folders of more than `MAX_FILES` modules."""
    folders = [of.path.parent for of in modules.values() if of.path.name != "__init__.py"]
    counts = {folder: folders.count(folder) for folder in folders}
    return [f"{folder.name}: {n} files" for folder, n in counts.items() if n > MAX_FILES]


def long_files(modules: Mapping[str, Module]) -> list[str]:
    """Files of more than `MAX_LINES` lines."""
    return [f"{name}: {of.lines} lines" for name, of in modules.items() if of.lines > MAX_LINES]


def vague_names(modules: Mapping[str, Module]) -> list[str]:
    """Modules and packages whose name says nothing of what is in them."""
    return [name for name in modules if name.rpartition(".")[2].lstrip("_") in VAGUE]


def package_map(modules: Mapping[str, Module], order: Sequence[str]) -> str:
    """A table of the parts: what each is for (the first paragraph of its docstring), and what it
    imports.
    """
    found, root = parts_imported(modules), next(iter(modules)).partition(".")[0]
    lines = ["| part | what it does | imports |", "|---|---|---|"]
    for of in order:
        module = modules[f"{root}.{of}"]
        is_folder = module.path.name == "__init__.py"
        name = f"{of.replace('.', '/')}{'/' if is_folder else '.py'}"
        lines.append(f"| `{name}` | {module.summary} | {_listed(found[of], order)} |")
    return "\n".join(lines) + "\n"


def _listed(parts: Collection[str], order: Sequence[str]) -> str:
    """`errors, store; engine: corpus, models`, in the order of the table."""
    inner = [of.removeprefix("engine.") for of in order if of in parts and of.startswith("engine.")]
    outer = ", ".join(of for of in order if of in parts and not of.startswith("engine."))
    return "; ".join(filter(None, (outer, inner and f"engine: {', '.join(inner)}"))) or "–"


def project() -> dict[str, Module]:
    """The modules of `pytest_crossdiff`."""
    return read(PACKAGE)


def main() -> None:
    """Write the map into CONTRIBUTING.md."""
    before, _, rest = CONTRIBUTING.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    made = f"{before}{BEGIN}{package_map(project(), list(ALLOWED))}{END}{after}"
    CONTRIBUTING.write_text(made, "utf-8")


if __name__ == "__main__":
    main()
