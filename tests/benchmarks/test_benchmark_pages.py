"""What the documents say was measured is what the committed results say."""

from __future__ import annotations

import pytest

from benchmarks import values
from benchmarks.pages import blocks


def test_every_generated_block_is_drawn_from_the_committed_results() -> None:
    found = blocks()
    assert len(found) == 31
    for (page, name), text in found.items():
        made = page.read_text("utf-8").partition(f"<!-- {name}: begin, generated -->\n")[2]
        assert made.partition(f"\n<!-- {name}: end -->")[0] == text.strip(), (
            f"{page.name}, {name}: run python -m benchmarks.pages"
        )


def test_every_marked_number_is_that_of_the_code_or_of_the_committed_results() -> None:
    found = values.pages()
    assert {"README.md", "how-it-works.md", "performance.md"} <= {page.name for page in found}
    wrong = [page.name for page, text in found.items() if page.read_text("utf-8") != text]
    assert not wrong, "run python -m benchmarks.pages"


def test_a_number_is_written_as_it_is_decided() -> None:
    text = "up to <!--= engine/plan.py:METRICS_TOKENS -->12<!--=--> tokens, "
    text += "<!--= engine/dictionary/training.py:WARM_UP % -->x<!--=--> of them"
    assert values.filled(text) == (
        "up to <!--= engine/plan.py:METRICS_TOKENS -->16,384<!--=--> tokens, "
        "<!--= engine/dictionary/training.py:WARM_UP % -->5 %<!--=--> of them"
    )
    with pytest.raises(KeyError, match="NOWHERE"):
        values.filled("<!--= engine/plan.py:NOWHERE -->1<!--=-->")
