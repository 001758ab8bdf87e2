"""What a whole run says of the two models' tokens."""

from __future__ import annotations

import shutil

import pytest

from pytest_crossdiff.engine import pipeline
from support import planted
from support.tokenizers import tokenizer
from support.vocabularies import with_bos


@pytest.mark.slow
def test_the_same_weights_behind_a_bos_token_come_with_their_cause(tmp_path):
    old = planted.plain(tmp_path / "old")
    new = shutil.copytree(old, tmp_path / "new")
    with_bos(tokenizer("byte-level BPE")).save_pretrained(new)
    found = pipeline.run(planted.quick(old, new, tmp_path / "cache")).result.tokenizers
    assert (found.baseline.bos, found.candidate.bos) == ("", "<|endoftext|>")
    assert found.same_vocabulary
    assert found.split_differently == 0
    assert found.word_by_word is None  # a block was read
