"""How hard the prose of README and the documents is to read.

    python -m benchmarks.readability [FOLDER]

Flesch reading ease (Flesch 1948), 206.835 - 1.015 words a sentence - 84.6 syllables a word, of the
prose alone: no code, tables, headings, formulas or generated blocks.  Above 60 is plain English,
30 to 50 is difficult.  Syllables are counted by a rule (groups of vowels, without a silent e). It
is wrong for single words; over a page the errors cancel.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

LEFT_OUT = (
    r"<!-- (?P<name>\S+): begin, generated -->.*?<!-- (?P=name): end -->",
    r"<!--.*?-->",
    r"^```.*?^```$",
    r"\$\$.*?\$\$",
)
SILENT = re.compile(r"(?:[^laeiouy]es|[^aeiouytd]ed|[^laeiouy]e)$")


class Readability(NamedTuple):
    """Of a text.  ease: Flesch's."""

    words: int
    sentences: int
    ease: float


def prose(markdown: str) -> str:
    """The sentences of a page; what has no full stop at its end gets one."""
    for pattern in LEFT_OUT:
        markdown = re.sub(pattern, "", markdown, flags=re.DOTALL | re.MULTILINE)
    markdown = re.sub(r"\$[^$\n]*\$", "x", markdown)
    markdown = re.sub(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\([^)]*\)", r"\1", markdown)
    markdown = re.sub(r"`[^`]*`", "code", markdown).replace("*", "")
    found = []
    for part in re.split(r"\n\s*\n|\n(?=\s*(?:[-•]|\d+\.) )", markdown.replace("\n* ", "\n\n")):
        text = " ".join(re.sub(r"^\s*\d+\.\s+", "", part).split())
        if len(text.split()) > 3 and not text.startswith(("|", "#")):
            found.append(text.rstrip(":.") + ".")
    return " ".join(found)


def syllables(word: str) -> int:
    """About how many a word has, at least one."""
    plain = re.sub(r"[^a-z]", "", word.lower())
    groups = len(re.findall(r"[aeiouy]+", plain))
    return max(1, groups - bool(SILENT.search(plain)))


def readability(text: str) -> Readability:
    """Of sentences, as `prose` gives them."""
    words = [word for word in text.split() if re.search(r"\w", word)]
    sentences = max(1, len(re.findall(r"[.!?](?:[\"')]*)(?=\s|$)", text)))
    each = sum(map(syllables, words)) / max(1, len(words))
    ease = 206.835 - 1.015 * len(words) / sentences - 84.6 * each
    return Readability(len(words), sentences, ease)


def main() -> None:
    """Print a line for each page, and for what a user reads: all but evidence and contributing."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]
    together = []
    for page in (root / "README.md", *sorted((root / "docs").rglob("*.md"))):
        text = prose(page.read_text("utf-8"))
        found = readability(text)
        if not re.search("evidence|performance|assistants", str(page.relative_to(root))):
            together.append(text)
        _print(str(page.relative_to(root)), found)
    _print("together, without evidence", readability(" ".join(together)))


def _print(name: str, found: Readability) -> None:
    each = found.words / found.sentences
    sys.stdout.write(
        f"{name:45} {found.words:6} words {each:5.1f} a sentence  ease {found.ease:4.0f}\n"
    )


if __name__ == "__main__":
    main()
