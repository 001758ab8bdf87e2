"""The held-out texts that all models of a half are read on."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.organisms.making.text import Texts
    from benchmarks.population.bases import Half

SIZES = {
    "speeches": 420, "docstrings": 40, "help": 30, "german": 35, "french": 35, "dutch": 35,
}  # fmt: skip
"""Paragraphs of each source, at most."""
LONGEST = 600
"""Characters of a paragraph."""


def write_corpus(texts: Texts, half: Half, path: Path) -> Path:
    """Every second held-out paragraph for either half, a document each; its slice is its source."""
    first = {"development": 0, "reporting": 1}[half]
    lines = []
    for source, most in SIZES.items():
        fitting = [p for p in texts.held[source][first::2] if len(p) <= LONGEST]
        chosen = random.Random(half).sample(fitting, min(most, len(fitting)))
        lines += [
            json.dumps({"id": f"{source}-{i:03}", "text": text, "slice": source})
            for i, text in enumerate(chosen)
        ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
