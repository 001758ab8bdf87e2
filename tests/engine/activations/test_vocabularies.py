"""Two models' words: matched by their text, weighed by how much is said in them."""

import numpy as np
import pytest
import torch

from pytest_crossdiff.engine.activations import out_of_distribution
from pytest_crossdiff.engine.activations.harvest import Harvest, harvest
from pytest_crossdiff.engine.activations.pairs import pair
from pytest_crossdiff.engine.activations.rendering import tokenize
from pytest_crossdiff.engine.activations.shard_reading import Reading
from pytest_crossdiff.engine.activations.vocabularies import (
    ComparedVocabularies,
    Vocabulary,
    named_by_position,
)
from pytest_crossdiff.engine.corpus.sampling import Piece
from pytest_crossdiff.engine.models.loaded import load
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.store.cache import Store
from support import planted, tiny_models, vocabularies


def spoken(words, **probabilities):
    """A vocabulary whose words share what `probabilities` leave."""
    left = (1 - sum(probabilities.values())) / (len(words) - len(probabilities))
    return Vocabulary(tuple(words), np.array([probabilities.get(word, left) for word in words]))


# Words


def test_the_order_of_a_vocabulary_plays_no_part():
    both = ComparedVocabularies.of(spoken("abcd", a=0.7), spoken("dcba", a=0.6))
    assert both.same
    assert both.shared == pytest.approx((1, 1))
    assert both.only == ((), ())


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_words_that_were_added_or_taken_away_leave_the_rest_comparable(share):
    more, fewer = spoken("abcxy", x=share, y=0.0), spoken("abc")
    added, removed = ComparedVocabularies.of(fewer, more), ComparedVocabularies.of(more, fewer)
    assert added.same
    assert removed.same
    assert added.shared == pytest.approx((1, 1 - share))
    assert [word for word, _ in added.only[1]] == ["x", "y"]
    assert added.only[1][0][1] == pytest.approx(share)
    assert removed.shared == pytest.approx((1 - share, 1))
    assert added.words == ("a", "b", "c", "x", "y")


def test_a_renamed_word_that_nobody_says_changes_nothing():
    assert ComparedVocabularies.of(spoken("abx", x=1e-6), spoken("aby", y=1e-6)).same


def test_a_vocabulary_with_the_same_words_and_many_longer_ones_is_another():
    """Of a tokenizer with twice the tokens: it says one word where the other says its beginning."""
    letters, longer = spoken("abc"), spoken(["a", "b", "c", "ab", "bc"], ab=0.2, bc=0.1)
    assert not ComparedVocabularies.of(letters, longer).same


def test_vocabularies_that_differ_in_part_are_not_the_same():
    assert not ComparedVocabularies.of(spoken("abcx", x=0.02), spoken("abcy", y=0.02)).same
    assert not ComparedVocabularies.of(spoken("ab"), spoken("xy")).same


def test_the_likeliest_words_of_one_model_alone_are_named_first():
    a = spoken("abcdefgh", a=0.5, h=0.1, g=0.2)
    both = ComparedVocabularies.of(a, spoken("a"))
    assert [word for word, _ in both.only[0]][:2] == ["g", "h"]
    assert both.only[0][0] == ("g", pytest.approx(0.2))


# Tags


def tags(*words):
    return Vocabulary(words, np.full(len(words), 1 / len(words)), tags=True)


def test_numbered_tags_have_the_names_of_the_other_models_tags():
    named, numbered = tags("keep", "cut"), tags("LABEL_0", "LABEL_1")
    assert named_by_position(named, numbered) == (("keep", "cut"),) * 2
    assert named_by_position(numbered, named) == (("keep", "cut"),) * 2


def test_tags_stay_as_they_are_where_both_have_names_or_their_numbers_differ():
    named, numbered = tags("keep", "cut"), tags("LABEL_0", "LABEL_1", "LABEL_2")
    assert named_by_position(named, numbered) == (named.words, numbered.words)
    other = tags("cut", "keep")
    assert named_by_position(named, other) == (named.words, other.words)


def test_a_tag_that_only_one_model_has_may_be_as_likely_as_it_is():
    old = tags("O", "PER")
    new = Vocabulary(("O", "PER", "MISC"), np.array([0.5, 0.2, 0.3]), tags=True)
    assert ComparedVocabularies.of(old, new).same


# Harvests


TEXTS = [("the quick brown fox", "abc abd")[i % 2] + f" {i} jumped" for i in range(12)]
PIECES = [Piece(i, 0, text, (), heldout=i % 3 == 0) for i, text in enumerate(TEXTS)]


def harvested(folder, cache):
    loaded = load(str(folder), layer="output", dtype="float32", device="cpu")
    entry = Store(cache).entry("harvest", folder.name.encode().hex().rjust(64, "0"))
    with entry.lock():
        harvest(
            Reading([loaded], PIECES, "own", "x"), [entry], label="x", progress=SilentProgress()
        )
    return Harvest(entry)


@pytest.fixture(autouse=True)
def judge_every_text(monkeypatch):
    """Random weights know no text."""
    monkeypatch.setattr(out_of_distribution, "MIN_JUDGED_TOKENS", 10**9)


@pytest.fixture
def speaker(tmp_path):
    return planted.speaker(tmp_path / "speaker")


def test_a_harvest_keeps_the_mean_probability_of_every_word_over_the_texts(speaker, tmp_path):
    found = harvested(speaker, tmp_path).vocabulary
    loaded = load(str(speaker), layer="output", dtype="float32", device="cpu")
    said = []
    for piece in PIECES:
        encoded = tokenize(piece, loaded.tokenizer, chat_template="own", limit=1000)
        with torch.no_grad():
            logits = loaded.model(torch.tensor(encoded.input_ids[None].astype(np.int64))).logits
        said.append(logits[0, encoded.content].softmax(-1))
    np.testing.assert_allclose(found.probability_w, torch.cat(said).mean(0).numpy(), rtol=1e-4)
    assert found.probability_w.sum() == pytest.approx(1)
    assert found.words[loaded.tokenizer.convert_tokens_to_ids("Ġin")] == " in"


@pytest.mark.parametrize(
    "change",
    [vocabularies.with_pad_token, vocabularies.with_padded_tables, vocabularies.reordered],
)
def test_a_changed_vocabulary_leaves_the_vectors_and_pairs_as_they_are(speaker, tmp_path, change):
    plain = harvested(speaker, tmp_path)
    changed = harvested(change(speaker, tmp_path / "changed"), tmp_path)
    pairs = pair(plain, changed, PIECES, range(len(PIECES)))
    assert pairs.same_vocabulary
    assert min(pairs.vocabularies.shared) > 0.99
    assert len(pairs.group_n) == len(plain)
    every = np.arange(len(plain))
    a, b = (side.harvest.vectors(side.rows_n) for side in (pairs.a, pairs.b))
    alone = 1 - min(pairs.vocabularies.shared)
    assert len(every) == len(a)
    # what is said in added tokens turns √p by no more than that
    assert (a - b).square().sum(1).mean() < 3 * alone + 1e-9


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (("cut", "keep", "swap"), (1, 0, 2)),  # the same tags under other numbers
        (("LABEL_0", "LABEL_1", "LABEL_2"), (0, 1, 2)),  # the same tags without names
    ],
)
def test_tags_in_another_order_or_without_names_are_the_same_predictions(tmp_path, names, order):
    old = harvested(tiny_models.tagger(tmp_path / "old", ("keep", "cut", "swap")), tmp_path)
    new = harvested(tiny_models.tagger(tmp_path / "new", names, order), tmp_path)
    pairs = pair(old, new, PIECES, range(len(PIECES)))
    assert pairs.same_vocabulary
    assert pairs.vocabularies.shared == pytest.approx((1, 1))
    a, b = (side.harvest.vectors(side.rows_n) for side in (pairs.a, pairs.b))
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
