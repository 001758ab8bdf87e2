"""What a reader sees of a line of Markdown as `report.markup.escaped` writes it."""

from __future__ import annotations

import re

_CODE = re.compile(r"(?<![\\`])(`+)(?!`)(.*?)(?<!`)\1(?!`)", re.DOTALL)


def plain(markdown: str) -> str:
    """The text, without the marks of code and without backslashes."""
    return "".join(text for text, _ in pieces(markdown))


def outside_code(markdown: str) -> str:
    """The source without what stands as code, where nothing is markup."""
    return _CODE.sub("", markdown)


def pieces(markdown: str) -> list[tuple[str, bool]]:
    """Stretches of the text in order, each with whether it is code."""
    found, at = [], 0
    for code in _CODE.finditer(markdown):
        found.append((_unescaped(markdown[at : code.start()]), False))
        inside = code[2]
        if inside[:1] == inside[-1:] == " " and inside.strip():
            inside = inside[1:-1]
        found.append((inside, True))
        at = code.end()
    return [*found, (_unescaped(markdown[at:]), False)]


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
