"""One name for each concept, in everything that a user reads."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pytest_crossdiff"
GLOSSARY = ROOT / "docs" / "reference" / "glossary.md"

RETIRED = {
    r"\b(far|further|trained) apart\b": "model distance; trained separately",
    r"\bbeyond both\b": "out of distribution",
    r"\bin vain\b": "false positive",
    r"\bfalse[- ]alarms?\b": "false positive",
    r"\bweakest strength found\b": "limit of detection",
    r"\bmend\b": "fix",
    r"\bsets? (it|them) off\b": "fire on",
    r"\b(is|are|was|what is|to be) told\b": "is reported, is shown",
    r"\blaid out\b": "in another form",
    r"\bof the like\b": "similar",
    r"\bknows? these places\b": "represents these tokens",
    r"\b(tokens?|pairs) to learn from\b": "training token pairs",
    r"\bnever a pass\b": "an ERROR",
    r"\bas many (have|has) to have\b": "most dictionaries must have it",
    r"\bsaid for another\b": "says another word",
    r"\bcould( not|n.t) measure\b": "could not be measured: an ERROR",
    r"\bfalls? short of (that|it)\b": "is below the threshold",
    r"\bstrength found none\b": "limit of detection: unknown",
    r"\bonly what is above\b": "at this model distance a difference needs an exclusivity above",
    r"\blets? one predict\b": "predicts",
    r"\bsuch, with commas\b": "layers separated by commas",
    r"\bnot passed\b": "detected; failed",
    r"\banew\b": "again",
    r"\bin place of\b": "instead of",
    r"\bheld against\b": "compared with",
    r"\blooked into\b": "inspected",
    r"\bcommas between\b": "separated by commas",
    r"\bnone: any\b": "none: no limit",
    r"\bfor want of\b": "for lack of",
    r"\bsurer\b": "more confident",
    r"\bpredictions are apart\b": "how much the predictions differ",
}
"""Expressions that readers had to read twice, and what is written instead."""


def documents():
    found = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in found if path.name != "CHANGELOG.md"]


def texts(source: Path) -> list[str]:
    """Every text of a source file: messages, help, docstrings."""
    return [
        node.value
        for node in ast.walk(ast.parse(source.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def retired(text: str) -> list[str]:
    plain = " ".join(text.split())
    return [
        f"{found[0]!r}: write {instead}"
        for pattern, instead in RETIRED.items()
        for found in re.finditer(pattern, plain, re.IGNORECASE)
    ]


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_documents_use_the_terms_of_the_glossary(path):
    assert not retired(path.read_text("utf-8"))


def test_messages_settings_commands_and_docstrings_use_the_terms_of_the_glossary():
    found = {
        str(path.relative_to(ROOT)): wrong
        for path in PACKAGE.rglob("*.py")
        if (wrong := [w for text in texts(path) for w in retired(text)])
    }
    assert not found


def test_the_page_uses_the_terms_of_the_glossary():
    scripts = sorted((PACKAGE / "report" / "page").glob("*.js"))
    assert scripts
    assert not {p.name: wrong for p in scripts if (wrong := retired(p.read_text("utf-8")))}


def test_the_glossary_has_at_most_twenty_terms_in_alphabetical_order():
    terms = re.findall(r"^\| ([^|]+?) \|", GLOSSARY.read_text("utf-8"), re.MULTILINE)[1:]
    assert 10 < len(terms) <= 20
    assert terms == sorted(terms, key=str.lower)


@pytest.mark.parametrize(
    "name", ["README.md", "docs/explanation/how-it-works.md", "docs/how-to/reading-a-result.md"]
)
def test_the_glossary_is_linked_where_a_reader_starts(name):
    assert "glossary.md)" in (ROOT / name).read_text("utf-8")


def test_a_retired_expression_is_seen_across_a_line_break():
    assert retired("models that are far\n  apart") == [
        "'far apart': write model distance; trained separately"
    ]
