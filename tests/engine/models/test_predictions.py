"""What models predict, as vectors: right against the model's own probabilities, and a swap of words
that no map between two models can explain away.
"""

import numpy as np
import pytest
import torch
import transformers as tf

from benchmarks.toy import pairs_of, toy
from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.activations import out_of_distribution
from pytest_crossdiff.engine.activations.vocabularies import ComparedVocabularies, Vocabulary
from pytest_crossdiff.engine.controls.null import null_pairs
from pytest_crossdiff.engine.dictionary.innovation import fit_linear
from pytest_crossdiff.engine.explanation import explain
from pytest_crossdiff.engine.models.loaded import load, vectors
from pytest_crossdiff.engine.models.reading.predictions import WIDTH, Predictions, token_signs
from pytest_crossdiff.engine.models.skeletons import inspect_model
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.settings import Settings
from support import planted, tiny_models

FLOAT = {"dtype": "float32", "device": "cpu"}


# The vectors


def test_lengths_and_angles_are_those_of_the_roots_of_the_probabilities():
    torch.manual_seed(0)
    p_tv = torch.randn(40, 3000).mul(3).softmax(-1)
    made = Predictions([str(i) for i in range(3000)], token_signs([str(i) for i in range(3000)]))
    x_td = made.vectors(p_tv)
    assert x_td.shape == (40, WIDTH)
    off = (x_td @ x_td.T - p_tv.sqrt() @ p_tv.sqrt().T).abs()
    assert off.max() < 5 / WIDTH**0.5
    assert off.square().mean() < 2 / WIDTH


def test_the_vectors_are_those_of_the_models_own_probabilities(tmp_path):
    folder = tiny_models.save(tiny_models.make("llama"), tmp_path)
    loaded = load(str(folder), layer="output", **FLOAT)
    ids_bp, mask_bp = tiny_models.batch()
    with torch.no_grad():
        p_bpv = tiny_models.make("llama")(ids_bp).logits.softmax(-1)
    expected = p_bpv.sqrt() @ loaded.predictions.signs_wd
    torch.testing.assert_close(vectors(loaded, ids_bp, mask_bp), expected)
    assert (loaded.layer, loaded.layers, loaded.width) == (4, 4, WIDTH)
    assert loaded.predictions.words[:3] == ("a", "b", "c")
    assert loaded.predictions.words[-1] == "<63>"  # the tokenizer has no such token


def test_a_word_has_the_same_signs_in_every_vocabulary():
    assert torch.equal(token_signs(["a", " the", "é"])[1], token_signs([" the"])[0])
    assert not torch.equal(*token_signs([" the", "the"]))


def test_a_direction_names_its_words_and_chance_none():
    words = [f"w{i}" for i in range(5000)]
    made = Predictions(words, token_signs(words))
    direction_d = made.signs_wd[7] - made.signs_wd[70] + 0.5 * made.signs_wd[700]
    assert made.promoted_tokens(direction_d) == ("w7", "w700")
    assert made.promoted_tokens(-direction_d) == ("w70",)
    chance_d = torch.randn(WIDTH, generator=torch.Generator().manual_seed(0))
    assert made.promoted_tokens(chance_d) == ()


# Models


def tagger(folder):
    settings = tiny_models.FAMILIES["bert"][2]
    config = tf.BertConfig(
        **settings, id2label={0: "keep", 1: "cut"}, label2id={"keep": 0, "cut": 1}
    )
    return tiny_models.save(tiny_models.build(tf.BertForTokenClassification, config), folder)


def masked(folder):
    config = tf.BertConfig(**tiny_models.FAMILIES["bert"][2])
    return tiny_models.save(tiny_models.build(tf.BertForMaskedLM, config), folder)


@pytest.mark.parametrize(("make", "head", "words"), [(tagger, "tags", 2), (masked, "masked", 64)])
def test_taggers_and_masked_models_predict_too(tmp_path, make, head, words):
    loaded = load(str(make(tmp_path)), layer="output", **FLOAT)
    assert loaded.head == head
    assert len(loaded.predictions.words) == words
    found = vectors(loaded, *tiny_models.batch())
    assert found.norm(dim=-1).mean() == pytest.approx(1.0, abs=0.2)


def test_a_tagger_names_its_tags(tmp_path):
    assert load(str(tagger(tmp_path)), layer="output", **FLOAT).predictions.words == ("keep", "cut")


def test_blocks_are_named_as_without_the_head(tmp_path):
    folder = str(tagger(tmp_path))
    loaded = load(folder, layer="output", blocks="encoder.layer", **FLOAT)
    assert loaded.blocks_name == "bert.encoder.layer"
    assert (
        inspect_model(resolve(folder, source=""), layer="output", blocks="encoder.layer").layer == 4
    )


def test_a_model_that_predicts_nothing_is_refused_before_it_is_loaded(tmp_path):
    folder = str(tiny_models.save(tiny_models.make("bert"), tmp_path))
    reference = resolve(folder, source="crossdiff_baseline")
    for asked in (
        lambda: load(reference, layer="output", **FLOAT),
        lambda: inspect_model(reference, layer="output", source="crossdiff_baseline"),
    ):
        with pytest.raises(ModelError, match="BertModel predicts nothing at each place") as caught:
            asked()
        assert caught.value.source == "crossdiff_baseline"
        assert "crossdiff_layer = 0.5" in caught.value.remedy


# Maps


def in_words(*, same: bool, turned: bool):
    """Pairs of which the second has the first's numbers, or those in another order."""
    made = toy(own=0, bend=0.0, rotated=False, width_a=32, width_b=32, tokens=4_000)
    x_nd = made.pairs.a.harvest.vectors(np.arange(4_000))
    order = torch.randperm(32, generator=torch.Generator().manual_seed(0))
    pairs = pairs_of(x_nd, x_nd[:, order] if turned else x_nd, made.pairs.group_n)
    words = ("w",) if same else ("v",)
    said_w = np.ones(1)
    both = ComparedVocabularies.of(Vocabulary(("w",), said_w), Vocabulary(words, said_w))
    return pairs._replace(vocabularies=both)


def test_maps_between_predictions_in_the_same_words_move_nothing():
    """Closed form: what a factor leaves.  A map that is fitted explains any other order."""
    fitted = fit_linear(in_words(same=False, turned=True))
    assert max(fitted.linear) < 0.01
    pairs = in_words(same=True, turned=True)
    kept = fit_linear(pairs)
    a_nd, b_nd = pairs.batch(pairs.training())
    factor = float((a_nd * b_nd).sum() / a_nd.square().sum())
    torch.testing.assert_close(kept.to_b.map.weight_dp, factor * torch.eye(32))
    left = float((b_nd - factor * a_nd).square().mean())
    assert kept.to_b.mean_square == pytest.approx(left, rel=1e-4)
    assert left > 0.1


def test_the_null_control_makes_no_other_words():
    pairs = in_words(same=True, turned=False)
    null = null_pairs(pairs)
    assert null.same_vocabulary
    torch.testing.assert_close(*null.batch(pairs.training()), rtol=2**-8, atol=0.0)
    assert not null_pairs(in_words(same=False, turned=False)).same_vocabulary


# Whole runs


@pytest.mark.slow
def test_a_word_said_for_another_is_found_in_the_output_alone_and_named(tmp_path, monkeypatch):
    """Named it is whatever the settings say of effects, and however many are stronger."""
    monkeypatch.setattr(explain, "STRONGEST", 0)
    monkeypatch.setattr(out_of_distribution, "MIN_JUDGED_TOKENS", 10**9)  # random weights know none
    old = planted.speaker(tmp_path / "old", "in")
    new = planted.speaker(tmp_path / "new", "of")
    settings = Settings(
        baseline=str(old), candidate=str(new), cache_dir=str(tmp_path / "cache"),
        **planted.SMALL | {"seeds": 1, "controls": False, "layer": "output", "effect": False},
    )  # fmt: skip
    result = pipeline.run(settings).result
    assert (result.baseline.layer_name, result.candidate.layer_name) == ("output", "output")
    said = max(result.differences, key=lambda d: d.strength)
    assert (said.certainty, said.kind, said.effect) == ("confirmed", "rewritten", None)
    words = said.description.promoted, said.description.suppressed
    assert words == {"candidate": ((" of",), (" in",)), "baseline": ((" in",), (" of",))}[said.side]
    assert {token.token.strip() for token in said.tokens} >= set(planted.BEFORE)
    assert not pipeline.run(settings.with_values(layer=-1)).result.differences
