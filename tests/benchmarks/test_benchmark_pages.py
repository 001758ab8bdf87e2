"""What the documents say was measured is what the committed results say."""

from __future__ import annotations

from benchmarks.pages import blocks


def test_every_generated_block_is_drawn_from_the_committed_results() -> None:
    found = blocks()
    assert len(found) == 18
    for (page, name), text in found.items():
        made = page.read_text("utf-8").partition(f"<!-- {name}: begin, generated -->\n")[2]
        assert made.partition(f"\n<!-- {name}: end -->")[0] == text.strip(), (
            f"{page.name}, {name}: run python -m benchmarks.pages"
        )
