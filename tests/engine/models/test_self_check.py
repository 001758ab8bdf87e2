"""The self-check: figures against models whose error is planted, and what is refused."""

import dataclasses

import pytest
import torch
import transformers as tf

from pytest_crossdiff.engine.models.loaded import load
from pytest_crossdiff.engine.models.reading.self_check import SelfCheck, check, stricter
from pytest_crossdiff.errors import ModelError
from support import tiny_models

FLOAT = {"dtype": "float32", "device": "cpu"}
TEXTS = [tiny_models.batch(1, length, seed=length)[0] for length in (9, 20, 13)]


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return str(tiny_models.save(tiny_models.make("llama"), tmp_path_factory.mktemp("llama")))


@pytest.mark.parametrize("layer", [0, 2, 3, "output"])
def test_a_sound_reading_has_small_figures(llama, layer):
    found = check(load(llama, layer=layer, **FLOAT), TEXTS)
    assert found.independent < 1e-5
    assert max(found.repeated, found.same_length, found.padded) < 1e-4
    assert found.batching == "padded"


def test_the_words_say_what_was_compared_and_how_far_apart_it_is():
    found = SelfCheck(1e-7, "the next module's input", 0.0, 0.0, 0.12, 2e-4)
    assert found.words() == (
        "equals the next module's input to 1e-07; a padded batch changes a text by 0.1; "
        "so it is read in batches of one length"
    )


def test_a_value_that_is_not_the_streams_is_refused_with_the_figures(llama):
    loaded = load(llama, layer=1, **FLOAT)
    norms = [block.input_layernorm for block in loaded.blocks]  # run, but are no blocks
    loaded = dataclasses.replace(loaded, passes=norms)
    with pytest.raises(
        ModelError, match=r"is not read as it runs: .* differ by [\d.]+ of a"
    ) as caught:
        check(loaded, TEXTS)
    assert "crossdiff_baseline_blocks" in caught.value.remedy


def test_a_model_that_draws_random_numbers_is_refused_with_the_figures(llama):
    loaded = load(llama, layer=2, **FLOAT)
    loaded.model.model.layers[0].mlp.register_forward_hook(
        lambda _m, _a, out: out + torch.randn_like(out)
    )
    with pytest.raises(ModelError, match=r"differ by [\d.]+ of a vector's length"):
        check(loaded, TEXTS)


def test_a_model_without_a_mask_is_read_in_batches_of_one_length(tmp_path):
    model = tiny_models.build(tf.FNetModel, tf.FNetConfig(**tiny_models.SHORT))
    loaded = load(str(tiny_models.save(model, tmp_path)), layer=1, **FLOAT)
    found = check(loaded, TEXTS)
    assert (found.batching, loaded.batching) == ("same length", "same length")
    assert found.padded > 100 * found.same_length


def test_texts_that_change_each_other_are_read_one_by_one(llama):
    loaded = load(llama, layer=2, **FLOAT)
    loaded.model.model.layers[0].register_forward_hook(
        lambda _m, _a, out: out - out.mean(0, keepdim=True) if len(out) > 1 else out
    )
    assert check(loaded, TEXTS).batching == "one text"


def test_of_two_findings_the_stricter_counts():
    assert stricter("padded", "same length") == "same length"
    assert stricter("one text", "same length") == "one text"
