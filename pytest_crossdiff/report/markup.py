"""Text from outside made safe to stand in Markdown."""

from __future__ import annotations

import re

from pytest_crossdiff.text import cut, visible

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~&@:$-])")
_ADDRESS = re.compile(r"@|://|www\.|#\d|gh-\d|\b[0-9a-f]{7,40}\b", re.IGNORECASE)
"""What a page makes a link or a mention of after Markdown was read, so that no backslash helps:
addresses, names, numbers of issues, and commits."""
_WORD = re.compile(r"([^\s|]+)")


def escaped(text: str, width: int = 200) -> str:
    """`text` on one line in which nothing is markup, a link or a mention.

    Words with an address or a name in them stand as code, where no page looks for links.
    """
    words = _WORD.split(cut(visible(text), width))
    return "".join(
        _code(word) if _ADDRESS.search(word) else _SPECIAL.sub(r"\\\1", word) for word in words
    )


def _code(word: str) -> str:
    """`word` as code: between more backticks than it has in a row."""
    longest = max(map(len, re.findall(r"`+", word)), default=0)
    fence, room = "`" * (longest + 1), " " if word[0] == "`" or word[-1] == "`" else ""
    return f"{fence}{room}{word}{room}{fence}"
