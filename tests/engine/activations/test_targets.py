"""What of a document an encoder-decoder reads: the tokens of its encoder and of its decoder, and
where they stand in the text that both models share.
"""

import numpy as np
import pytest

from pytest_crossdiff.engine.activations.alignment import align_tokens
from pytest_crossdiff.engine.activations.conversations import Place
from pytest_crossdiff.engine.activations.rendering import tokenize
from pytest_crossdiff.engine.corpus.documents import from_records
from pytest_crossdiff.engine.corpus.messages import Message
from pytest_crossdiff.engine.corpus.sampling import Piece
from pytest_crossdiff.engine.models.reading.source_and_target import InputForm
from pytest_crossdiff.errors import CorpusError
from support.tokenizers import KINDS, tokenizer

START = 5
SOURCE, BOTH = InputForm("source"), InputForm("source and target", START)
every_kind = pytest.mark.parametrize("kind", KINDS)


def piece(*turns):
    return Piece(0, 0, None, tuple(Message(*turn) for turn in turns), heldout=False)


ASKED = piece(("user", "translate: the gateway is down"), ("assistant", "the load of it is high"))
TURNS = piece(
    ("system", "You keep the log."),
    ("user", "Is it up?"),
    ("assistant", "It is."),
    ("user", "And the other node?"),
    ("assistant", "That one is down."),
)


def read(of, kind, form, *, limit=1000):
    return tokenize(of, tokenizer(kind), chat_template="own", limit=limit, form=form)


def said(of, encoded):
    """The text that each compared token stands for."""
    at = np.flatnonzero(encoded.content & (encoded.place != Place.ANSWER_START))
    text = of.shared_text
    return [text[encoded.starts[i] : encoded.ends[i]] for i in at]


@every_kind
@pytest.mark.parametrize("of", [ASKED, TURNS], ids=["a pair", "turns"])
def test_an_encoder_reads_everything_in_front_of_the_last_answer(kind, of):
    encoded = read(of, kind, SOURCE)
    source = "\n".join(message.text for message in of.messages[:-1])
    assert encoded.input_ids.tolist() == tokenizer(kind)(source)["input_ids"]
    alone = tokenize(
        Piece(0, 0, source, (), heldout=False), tokenizer(kind), chat_template="plain", limit=1000
    )
    for column in ("starts", "ends", "content"):
        assert getattr(encoded, column).tolist() == getattr(alone, column).tolist()


@every_kind
@pytest.mark.parametrize("of", [ASKED, TURNS], ids=["a pair", "turns"])
def test_a_decoder_reads_the_start_and_the_last_answer_and_its_encoder_the_rest(kind, of):
    encoded = read(of, kind, BOTH)
    source, own = read(of, kind, SOURCE), tokenizer(kind)
    labels = own(text_target=of.messages[-1].text)["input_ids"]
    row = encoded.input_ids
    assert row[row >= 0].tolist() == [START, *labels[:-1]]
    assert (~row[row < 0]).tolist() == source.input_ids.tolist()
    assert not encoded.content[row < 0].any()
    answer = of.shared_text.rindex(of.messages[-1].text)
    at = encoded.content & (encoded.place == Place.TEXT)
    assert at.any()
    assert (encoded.starts[at] >= answer).all()


@every_kind
def test_the_first_token_of_a_target_is_predicted_in_front_of_it(kind):
    encoded = read(ASKED, kind, BOTH)
    (at,) = np.flatnonzero(encoded.place == Place.ANSWER_START)
    assert encoded.content[at]
    answer = len(ASKED.messages[0].text) + 1
    assert (encoded.starts[at], encoded.ends[at]) == (answer - 1, answer)
    assert encoded.place[at + 1] == Place.TEXT
    assert encoded.starts[at + 1] == answer


def test_a_target_stands_where_it_stands_in_the_same_conversation_read_as_one_text():
    whole = tokenize(ASKED, tokenizer("byte-level BPE"), chat_template="plain", limit=1000)
    both = read(ASKED, "byte-level BPE", BOTH)
    pairs = align_tokens(both.tokens, whole.tokens)
    texts = said(ASKED, both)
    assert len(texts) >= 5
    assert len(pairs) >= len(texts) - 1  # the first token has a space before it in the one only


def test_without_a_starting_token_the_last_label_comes_first():
    own = tokenizer("WordPiece")
    encoded = read(ASKED, "WordPiece", InputForm("source and target", None))
    labels = own(text_target=ASKED.messages[-1].text)["input_ids"]
    row = encoded.input_ids
    assert row[row >= 0].tolist() == [labels[-1], *labels[:-1]]


def test_each_of_source_and_target_is_cut_to_the_longest_input():
    encoded = read(ASKED, "byte-level BPE", BOTH, limit=4)
    assert (encoded.input_ids >= 0).sum() == (encoded.input_ids < 0).sum() == 4
    whole = ASKED.shared_text
    assert 0 < encoded.truncated_characters < len(whole)


def test_an_encoder_reads_running_text_whole_and_a_decoder_refuses_it():
    text = Piece(0, 0, "the gateway is down", (), heldout=False)
    encoded = read(text, "WordPiece", SOURCE)
    assert encoded.input_ids.tolist() == tokenizer("WordPiece")(text.text)["input_ids"]
    with pytest.raises(CorpusError, match="reads a target, and the corpus has running text") as e:
        read(text, "WordPiece", BOTH)
    assert '{"input": "...", "target": "..."}' in e.value.remedy


def test_a_prompt_without_an_answer_has_nothing_that_a_decoder_reads():
    prompt = piece(("user", "Is it up?"))
    assert not read(prompt, "WordPiece", BOTH).content.any()
    assert read(prompt, "WordPiece", SOURCE).content.any()


def test_an_input_with_its_target_is_a_conversation_of_two_messages():
    pair = {"input": "Is it up?", "target": "It is.", "slice": "short"}
    document, other = from_records([pair, {"text": "a", "input": "b", "target": "c"}]).documents
    assert document.messages == (Message("user", "Is it up?"), Message("assistant", "It is."))
    assert document.part == "short"
    assert (other.text, other.messages) == ("a", ())
    with pytest.raises(CorpusError, match="neither 'text' nor 'messages'"):
        from_records([{"input": "Is it up?"}])
