"""What a change of the vocabulary does to a comparison of outputs: nothing.

The candidate says " of" where the baseline says " in".  Then its vocabulary is changed as
fine-tuning scripts, trainers and converters do, which changes nothing in what it says.
"""

from __future__ import annotations

import pytest

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.activations import out_of_distribution
from pytest_crossdiff.settings import Settings
from support import planted, vocabularies

SPECIAL = "<|im_start|>"
CHANGES = {
    "a padding token": vocabularies.with_pad_token,
    "tables padded to a multiple of 64": vocabularies.with_padded_tables,
    "an unused special token renamed": lambda source, folder: vocabularies.with_renamed_token(
        source, folder, SPECIAL
    ),
    "another order": vocabularies.reordered,
}


@pytest.fixture(autouse=True)
def judge_every_text(monkeypatch):
    """Random weights know no text."""
    monkeypatch.setattr(out_of_distribution, "MIN_JUDGED_TOKENS", 10**9)


@pytest.fixture(scope="module")
def speakers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speakers")
    both = planted.speaker(folder / "old", "in"), planted.speaker(folder / "new", "of")
    for model in both:
        vocabularies.never_says(model, SPECIAL)
    return both


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def compare(old, new, cache):
    settings = planted.SMALL | {"seeds": 1, "controls": False, "layer": "output", "effect": False}
    return pipeline.run(
        Settings(baseline=str(old), candidate=str(new), cache_dir=str(cache), **settings)
    ).result


def said(result):
    """The words of each confirmed difference of some strength, by side."""
    return {
        (d.side, d.kind, d.description.promoted, d.description.suppressed)
        for d in result.differences
        if d.certainty == "confirmed" and d.strength > 0.01
    }


SWAP = {
    ("candidate", "rewritten", (" of",), (" in",)),
    ("baseline", "rewritten", (" in",), (" of",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_vocabulary_hides_no_word_that_is_said_for_another(
    speakers, cache, tmp_path, change
):
    old, new = speakers
    plain, changed = compare(old, new, cache), compare(old, CHANGES[change](new, tmp_path), cache)
    assert said(plain)
    assert said(plain) <= SWAP
    assert said(changed) == said(plain)
    for side in ("baseline", "candidate"):
        assert len(changed.of(side)) == len(plain.of(side))
        assert changed.total_strength(side) == pytest.approx(plain.total_strength(side), rel=0.1)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_vocabulary_alone_is_no_difference(speakers, cache, tmp_path, change):
    old, _ = speakers
    result = compare(old, CHANGES[change](old, tmp_path), cache)
    assert not result.differences
