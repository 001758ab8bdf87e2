"""`crossdiff init`: a starting configuration, a test and texts; budgets from a first result."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_crossdiff.cli.arguments import add_run, command, given
from pytest_crossdiff.cli.exits import FINE
from pytest_crossdiff.settings.default_layers import choose_layers
from pytest_crossdiff.settings.kinds import OUTPUT
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import visible

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from transformers import PretrainedConfig

    from pytest_crossdiff.cli.arguments import Commands
    from pytest_crossdiff.cli.configuration import Configuration
    from pytest_crossdiff.cli.terminal import Terminal

MORE = """\
Writes pytest.ini, a test and a sample of texts to replace with your own; a file that is there
is never changed: where pytest is configured already, the lines to add are shown.

With --budgets it proposes budgets that a result (RUN, or that of the settings) is just within."""
EXAMPLES = """\
  crossdiff init --baseline=models/v1 --candidate=models/v2
  crossdiff init --corpus=evals/prompts.jsonl
  crossdiff init --budgets                      once there is a first result"""
CORPUS = "crossdiff-corpus.jsonl"
RECORDS = 80
TEST = '''\
"""Does the candidate have what the baseline hasn't, or lack what it has?"""


def test_upgrade(crossdiff):
    crossdiff.assert_within_budget()
'''
FIRST = 20
"""Records by which a corpus is known to be conversations."""
REPLY_BUDGETS = {"max_surprising_replies": "0.1", "min_changed_replies": "0.5"}
"""Proposed for conversations.  For comparison: SmolLM2 fine-tuned on its own answers begins 23 of
100 replies with another word, and no difference changes more than 19 of 99 answers
(docs/explanation/how-it-works.md).
"""
_NOTES = {
    "baseline": "The model in use: a folder, a .gguf file or a hub id with a commit.",
    "candidate": "The model that is to take its place.",
    "corpus": "Texts such as your product reads; the models are compared on these.",
    "layer": "Where they are compared, as a share of the depth; `0.5, output`: predictions, too.",
    "max_surprising_replies": "Largest share of replies that the model in use would hardly give.",
    "min_changed_replies": "Least share of answers in which a difference changes what is said.",
    "max_candidate_only": "How many differences are allowed: `crossdiff init --budgets` proposes.",
}


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(
        commands, "init", "write a starting configuration, or propose budgets", run,
        more=MORE, examples=EXAMPLES,
    )  # fmt: skip
    parser.add_argument("--budgets", action="store_true", help="propose budgets from a result")
    add_run(parser)


def run(options: argparse.Namespace, out: Terminal) -> int:
    """Write what isn't there yet, or propose."""
    flags = given(options)
    if options.budgets:
        from pytest_crossdiff.cli.configuration import read
        from pytest_crossdiff.cli.proposal import counted, proposal
        from pytest_crossdiff.cli.results import find_each

        least = read(flags).settings.min_changed_replies
        each = [counted(found.report, least) for found in find_each(options.result, flags)]
        for line in proposal(each):
            out.line(line)
        return FINE
    from pytest_crossdiff.cli.configuration import read
    from pytest_crossdiff.errors import SettingsError

    if options.result:
        raise SettingsError(f"{options.result!r} is of use only with --budgets")
    configuration = read({})
    _start(configuration, flags, out)
    return FINE


def _start(configuration: Configuration, flags: Mapping[str, str], out: Terminal) -> None:
    folder = configuration.file.parent if configuration.file else Path.cwd()
    values, why_layer = _values(flags, folder)
    if values["corpus"] == CORPUS:
        _write(folder / CORPUS, "".join(_sample()), out)
    tests = folder / "tests"
    _write((tests if tests.is_dir() else folder) / "test_upgrade.py", TEST, out)
    sources = configuration.settings.sources
    if configuration.file is None:
        text = "[pytest]\nrequired_plugins = pytest-crossdiff\n" + _section(values)
        _write(folder / "pytest.ini", text, out)
    elif any(sources[name].startswith(configuration.file.name) for name in values):
        out.line(f"kept     {_shown(configuration.file)}, which has settings of crossdiff")
    else:
        out.line(f"kept     {_shown(configuration.file)}; add to it, where pytest is configured:")
        out.line()
        quoted = configuration.file.suffix == ".toml"
        for line in _section(values, quoted=quoted).splitlines():
            out.line(line)
    if why_layer:
        layer = values.get("layer", "by default, 0.5, output for models that both predict tokens")
        out.line(f"layer    {layer}: {why_layer}")
    for name in ("baseline", "candidate", "corpus"):
        if name in flags and (what := _not_here(name, flags[name])):
            out.line(f"missing  crossdiff_{name} = {visible(flags[name])}: {what}")
    out.line()
    missing = [name for name in ("baseline", "candidate") if not values[name]]
    if configuration.file is None and missing:
        names = " and ".join(f"crossdiff_{name}" for name in missing)
        out.line(f"Next: set {names} in pytest.ini, then `crossdiff doctor` and `crossdiff train`.")
    else:
        out.line("Next: `crossdiff doctor`, then `pytest --crossdiff`.")


def _values(flags: Mapping[str, str], folder: Path) -> tuple[dict[str, str], str]:
    """The settings to begin with, and why the layers are what they are, "" where a flag names them.
    Paths are written as seen from the configuration file.

    Raises `SettingsError` for what can't stand on a line of a file.
    """
    from pytest_crossdiff.errors import SettingsError
    from pytest_crossdiff.settings.resolution import model_path

    values = {"baseline": "", "candidate": "", "corpus": CORPUS, "layer": ""}
    values |= {"max_candidate_only": "0", "max_baseline_only": "0", **flags}
    why = ""
    if "layer" not in flags:
        models = (str(model_path(values[side], Path.cwd()) or values[side]) for side in SIDES)
        chosen = choose_layers(*models, fetch=False)
        why = chosen.why
        if chosen.known:
            layers = chosen.layers if isinstance(chosen.layers, tuple) else (chosen.layers,)
            values["layer"] = ", ".join(map(str, layers))
        else:
            del values["layer"]
    if OUTPUT in values.get("layer", "") and _converses(values["corpus"]):
        values = {**REPLY_BUDGETS, **values}
    for name, value in values.items():
        if not value.isprintable():
            raise SettingsError(f"{value!r} can't be written to a file", source=f"--{name}")
    for name in ("baseline", "candidate", "corpus"):
        path = model_path(values[name], Path.cwd()) if values[name] and name in flags else None
        if path is not None and not path.is_relative_to(folder):
            values[name] = str(path)
        elif path is not None:
            values[name] = path.relative_to(folder).as_posix()
    return values, why


def _not_here(name: str, given: str) -> str:
    """What is missing where a setting names a model or a file; "" where nothing is."""
    from pytest_crossdiff.settings.resolution import model_path

    if name == "corpus":
        there = given.startswith("builtin:") or Path(given).expanduser().exists()
        return "" if there else "there is no such file or folder"
    path = model_path(given, Path.cwd())
    if path is not None:
        return "" if path.exists() else "there is no such path"
    there = _configuration(given) is not None
    return "" if there else "neither a path here nor a model in the hub's cache on this machine"


def _configuration(named: str) -> PretrainedConfig | None:
    """That of a model on this machine; None where there is none that can be read."""
    import transformers

    from pytest_crossdiff.engine.models.loading.load import silence_transformers
    from pytest_crossdiff.settings.resolution import model_path

    path, (name, _, revision) = model_path(named, Path.cwd()), named.partition("@")
    options = {"revision": revision or None, "local_files_only": True}
    try:
        with silence_transformers():
            found: PretrainedConfig = transformers.AutoConfig.from_pretrained(
                path or name, **options
            )
    except (OSError, ValueError):
        return None
    return found


def _converses(corpus: str) -> bool:
    """Whether the corpus begins with conversations; what is wrong with it, `doctor` says."""
    from pytest_crossdiff.engine.corpus.documents import from_records
    from pytest_crossdiff.engine.corpus.prompts import prompts
    from pytest_crossdiff.engine.corpus.records import from_source
    from pytest_crossdiff.errors import CorpusError

    try:
        first = [record for _, record in itertools.islice(from_source(corpus), FIRST)]
        return bool(prompts(from_records(first)))
    except CorpusError:
        return False


def _section(values: Mapping[str, str], *, quoted: bool = False) -> str:
    lines = []
    for name, value in values.items():
        if name in _NOTES:
            lines.append(f"# {_NOTES[name]}")
        written = json.dumps(value, ensure_ascii=False) if quoted else value
        lines.append(f"crossdiff_{name} = {written}".rstrip())
    return "\n".join(lines) + "\n"


def _sample() -> Iterator[str]:
    """Paragraphs of Python's documentation as lines of a .jsonl corpus, one of each topic first."""
    from pytest_crossdiff.engine.corpus.records import from_source

    topics = [
        [p.strip() for p in record.split("\n\n") if 200 < len(p) < 1500]
        for _, record in from_source("builtin:pydoc")
        if isinstance(record, str)
    ]
    chosen = [
        (number, rank, text)
        for number, paragraphs in enumerate(topics)
        for rank, text in enumerate(paragraphs)
    ]
    chosen.sort(key=lambda item: (item[1], item[0]))
    for number, _, text in chosen[:RECORDS]:
        record = {"text": text, "document": f"topic {number}"}
        yield json.dumps(record, ensure_ascii=False) + "\n"


def _write(path: Path, text: str, out: Terminal) -> None:
    from pytest_crossdiff.store.files import translate_os_errors

    with translate_os_errors(path, "write", setting=""):
        try:
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except FileExistsError:
            out.line(f"kept     {_shown(path)}")
        else:
            out.line(f"wrote    {_shown(path)}")


def _shown(path: Path) -> str:
    from pytest_crossdiff.text import visible

    here = Path.cwd()
    return visible(str(path.relative_to(here) if path.is_relative_to(here) else path))
