"""Two tokenizers with the same tokens that don't read a text in the same way."""

import json

import pytest
from tokenizers import Tokenizer, processors
from transformers import PreTrainedTokenizerFast

from pytest_crossdiff.engine.activations.tokenizer_comparison import compare_on
from pytest_crossdiff.engine.corpus.sampling import Piece
from pytest_crossdiff.report.tokenizers import token_notes
from support.tokenizers import KINDS, tokenizer
from support.vocabularies import with_bos

TEXTS = ["The server in the rack is down.", "the database of the shop", "中文 and 🙂 of it"] * 3
PIECES = [Piece(i, 0, text, (), heldout=False) for i, text in enumerate(TEXTS)]
BYTES = "byte-level BPE"


def compared(a, b):
    return compare_on(PIECES, (a, b), chat_template="own", limit=1000)


def without_merges(kind, tokens):
    """The tokenizer with the same tokens, of which it never makes `tokens`."""
    form = json.loads(tokenizer(kind).backend_tokenizer.to_str())
    merges = form["model"]["merges"]
    form["model"]["merges"] = [pair for pair in merges if "".join(pair) not in tokens]
    assert len(form["model"]["merges"]) < len(merges)
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(form)), eos_token="<|endoftext|>"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_and_its_copy_leave_nothing_to_say(kind):
    found = compared(tokenizer(kind), tokenizer(kind))
    assert found.same_vocabulary
    assert found.split_differently == 0
    assert found.baseline == found.candidate
    assert token_notes(found) == ()


@pytest.mark.parametrize(
    ("kind", "bos"),
    [(BYTES, ""), ("SentencePiece BPE", "<s>"), ("Unigram", ""), ("WordPiece", "[CLS]")],
)
def test_the_token_before_each_text_is_the_one_that_the_tokenizer_adds(kind, bos):
    assert compared(tokenizer(kind), tokenizer(kind)).baseline.bos == bos


def test_a_bos_token_of_one_tokenizer_alone_is_named_as_a_cause():
    found = compared(with_bos(tokenizer(BYTES)), tokenizer(BYTES))
    assert (found.baseline.bos, found.candidate.bos) == ("<|endoftext|>", "")
    assert found.split_differently == 0
    (note,) = token_notes(found)
    assert note.startswith("only the baseline's tokenizer adds a BOS token (<|endoftext|>)")
    assert "copy tokenizer.json" in note
    (note,) = token_notes(compared(tokenizer(BYTES), with_bos(tokenizer(BYTES))))
    assert note.startswith("only the candidate's tokenizer adds")


def test_tokenizers_of_different_models_may_differ_in_their_bos_tokens():
    found = compared(tokenizer("SentencePiece BPE"), tokenizer(BYTES))
    assert found.baseline.bos == "<s>"
    assert not found.same_vocabulary
    assert token_notes(found) == ()


def test_the_same_tokens_that_are_put_together_otherwise_are_reported_with_an_example():
    plain, other = tokenizer(BYTES), without_merges(BYTES, {"Ġthe"})
    found = compared(plain, other)
    assert found.same_vocabulary
    counts = [
        (len(a), sum(name != "Ġthe" for name in a))
        for a in (plain.tokenize(text) for text in TEXTS)
    ]
    split = [len(other.tokenize(text)) for text in TEXTS]
    assert found.split_differently == pytest.approx(1 - sum(n for _, n in counts) / sum(split))
    assert found.example[0] == ("Ġthe",)
    assert "".join(found.example[1]) == "Ġthe"
    assert len(found.example[1]) > 1
    (note,) = token_notes(found)
    assert "split the texts differently" in note
    assert "the baseline Ġthe, the candidate Ġt he" in note


def test_a_longest_input_of_one_model_is_no_difference_in_splitting():
    short = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer(BYTES).backend_tokenizer, eos_token="<|endoftext|>"
    )
    whole = compare_on(PIECES, (short, tokenizer(BYTES)), chat_template="own", limit=4)
    assert whole.split_differently == 0


def test_a_bos_token_in_front_of_some_texts_only_is_none_of_the_tokenizers():
    made = with_bos(tokenizer(BYTES))
    made.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    pieces = [*PIECES, Piece(99, 0, "<|endoftext|>", (), heldout=False)]
    found = compare_on(pieces, (made, made), chat_template="own", limit=100)
    assert found.baseline.bos == ""
