"""A hook of mkdocs: formulas become MathML, so that the pages need no script for them."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_: object) -> str:
    """Called by mkdocs for the HTML of every page."""
    return FORMULA.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    tag, bracket, text = found.groups()
    display = "block" if bracket == "[" else "inline"
    return f"<{tag}>{convert(html.unescape(text), display=display)}</{tag}>"
