"""What a token adds to a text, whatever its vocabulary calls it."""

import copy

import pytest
from tokenizers import decoders

from pytest_crossdiff.engine.models.reading.token_texts import token_texts
from support.tokenizers import KINDS, tokenizer


def texts(of):
    names = of.convert_ids_to_tokens(list(range(len(of))))
    return dict(zip(names, token_texts(of, len(of)), strict=True))


def with_decoder(kind, decoder):
    made = copy.deepcopy(tokenizer(kind))
    made.backend_tokenizer.decoder = decoder
    return made


SENTENCEPIECE = decoders.Sequence(
    [
        decoders.Replace("▁", " "),
        decoders.ByteFallback(),
        decoders.Fuse(),
        decoders.Strip(content=" ", left=1),
    ]
)
"""Llama 2's: it drops the space at the beginning of a text."""


@pytest.mark.parametrize(
    ("of", "word", "inside"),
    [
        (tokenizer("byte-level BPE"), "Ġthe", "he"),
        (with_decoder("SentencePiece BPE", SENTENCEPIECE), "▁the", "he"),
        (with_decoder("Unigram", decoders.Metaspace()), "▁the", "he"),
        (tokenizer("SentencePiece BPE"), "▁the", "he"),  # no decoder is saved with it
    ],
    ids=["byte-level", "Llama", "T5", "without decoder"],
)
def test_a_word_behind_a_space_is_not_the_word_without_it(of, word, inside):
    found = texts(of)
    assert found[word] == " the"
    if inside in found:
        assert found[inside] == inside


def test_a_continued_word_of_wordpiece_has_no_space():
    found = texts(with_decoder("WordPiece", decoders.WordPiece()))
    assert found["the"] == " the"
    assert found["##ing"] == "ing"


def test_bytes_that_are_no_character_are_not_mistaken_for_one():
    """Byte-level vocabularies have a letter for each byte: 0xA2 is called `¢`, which is `Â¢`."""
    byte_level = texts(tokenizer("byte-level BPE"))
    assert byte_level["¢"] == "<0xA2>"
    assert byte_level["â"] == "<0xE2>"
    assert byte_level["a"] == "a"
    assert len(set(byte_level.values())) == len(byte_level)
    assert texts(with_decoder("Unigram", SENTENCEPIECE))["<0xA2>"] == "<0xA2>"


def test_a_byte_that_is_a_character_is_that_character():
    llama = texts(with_decoder("SentencePiece BPE", SENTENCEPIECE))
    assert llama["<0x41>"] == "A"


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_have_their_names(kind):
    of = tokenizer(kind)
    found = texts(of)
    assert all(found[name] == name for name in of.all_special_tokens)
