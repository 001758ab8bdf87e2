"""Text from outside made safe to stand in Markdown."""

from __future__ import annotations

import re

from pytest_crossdiff.text import cut, visible

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~&@:$-])")


def escaped(text: str, width: int = 200) -> str:
    """`text` on one line in which nothing is markup, a link or a mention."""
    return _SPECIAL.sub(r"\\\1", cut(visible(text), width))
