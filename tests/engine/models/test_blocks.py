"""Blocks: found in every family by structure, read by stopping the forward pass after one."""

import pytest
import torch
import transformers as tf
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pytest_crossdiff.engine.models.reading.blocks import block_output, find_blocks, layer_index
from pytest_crossdiff.errors import ModelError
from support import tiny_models

FAMILIES = sorted(tiny_models.FAMILIES)


def inputs(**options):
    ids_bp, mask_bp = tiny_models.batch(**options)
    return {"input_ids": ids_bp, "attention_mask": mask_bp}


def hidden_states(model, inputs_bp):
    """One per block and the embeddings first; the last one may have a norm on top."""
    with torch.inference_mode():
        return model(**inputs_bp, output_hidden_states=True).hidden_states


def not_told(model, named="", match="can't be told"):
    with pytest.raises(ModelError, match=match) as caught:
        find_blocks(model, named, source="crossdiff_baseline")
    assert caught.value.source == "crossdiff_baseline"
    assert "crossdiff_baseline_blocks = " in caught.value.remedy
    return str(caught.value)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_blocks_of_every_family_are_found(family):
    model = tiny_models.make(family)
    name = find_blocks(model)
    assert name == tiny_models.FAMILIES[family][0]
    assert len(model.get_submodule(name)) == 4


@pytest.mark.parametrize("family", FAMILIES)
def test_the_residual_is_the_hidden_state_after_the_block(family):
    model = tiny_models.make(family)
    blocks = model.get_submodule(find_blocks(model))
    expected = hidden_states(model, inputs())
    if family == "mamba":  # leaves out the embeddings
        expected = (None, *expected)
    for layer in range(3):  # the family's own last hidden state may be normed
        assert torch.equal(block_output(model, blocks[layer], inputs()), expected[layer + 1])


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_the_residual_after_the_last_block_comes_before_the_final_norm(family):
    model = tiny_models.make(family)
    blocks = model.get_submodule(find_blocks(model))
    last = block_output(model, blocks[3], inputs())
    final = {"llama": "model.norm", "gpt2": "transformer.ln_f"}.get(family)
    with torch.inference_mode():
        normed = model.get_submodule(final)(last) if final else last
    assert torch.equal(normed, hidden_states(model, inputs())[-1])


@pytest.mark.parametrize("family", ["llama", "bert", "mamba"])
def test_later_blocks_do_not_run_and_no_hook_stays(family):
    model = tiny_models.make(family)
    blocks = model.get_submodule(find_blocks(model))
    hooks = [dict(block._forward_hooks) for block in blocks]  # transformers has some of its own
    runs = []
    counters = [
        block.register_forward_pre_hook(lambda *_, i=i: runs.append(i))
        for i, block in enumerate(blocks)
    ]
    try:
        block_output(model, blocks[1], inputs())
        assert runs == [0, 1]
        assert [dict(block._forward_hooks) for block in blocks] == hooks
        runs.clear()
        hidden_states(model, inputs())
        assert runs == [0, 1, 2, 3]
    finally:
        for counter in counters:
            counter.remove()


def test_the_hook_is_removed_when_the_model_fails():
    model = tiny_models.make("llama")
    block = model.model.layers[1]
    hooks = dict(block._forward_hooks)
    with pytest.raises(IndexError):
        block_output(model, block, {"input_ids": torch.tensor([[10**6]])})
    assert dict(block._forward_hooks) == hooks


def test_padding_does_not_change_the_residual_of_the_text():
    model = tiny_models.make("llama")
    block = model.model.layers[1]
    short = inputs(texts=1, positions=5)
    padded = {
        "input_ids": nn.functional.pad(short["input_ids"], (0, 3)),
        "attention_mask": nn.functional.pad(short["attention_mask"], (0, 3)),
    }
    torch.testing.assert_close(
        block_output(model, block, padded)[:, :5], block_output(model, block, short)
    )


def test_no_gradients_are_kept():
    model = tiny_models.build(tf.LlamaForCausalLM, tiny_models.make("llama").config)
    assert block_output(model, model.model.layers[0], inputs()).grad_fn is None


def test_mixtures_of_experts_hide_no_second_list():
    # Older checkpoints' code keeps experts in a list within each block.
    model = tiny_models.build(tf.LlamaForCausalLM, tiny_models.make("llama").config)
    for block in model.model.layers:
        block.experts = nn.ModuleList(nn.Sequential(nn.Linear(2, 2)) for _ in range(4))
    assert find_blocks(model) == "model.layers"


def test_a_list_of_norms_beside_the_blocks_is_not_taken_for_them():
    model = tiny_models.build(tf.LlamaForCausalLM, tiny_models.make("llama").config)
    model.model.extra_norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(4))
    assert find_blocks(model) == "model.layers"


def test_the_text_part_of_a_model_for_pictures_too():
    text = {**tiny_models.GROUPED, "head_dim": 8}
    vision = {**tiny_models.PLAIN, "num_hidden_layers": 3, "image_size": 28, "patch_size": 14}
    vision.pop("vocab_size")
    config = tf.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=1)
    model = tiny_models.build(tf.AutoModelForCausalLM, config)
    assert find_blocks(model) == "model.language_model.layers"
    assert block_output(model, model.model.language_model.layers[1], inputs()).shape == (2, 7, 32)


def test_of_an_encoder_and_a_decoder_the_blocks_are_the_encoders():
    config = tf.T5Config(vocab_size=64, d_model=32, d_ff=64, d_kv=8, num_layers=4, num_heads=4)
    model = tiny_models.build(tf.T5Model, config)
    assert find_blocks(model) == "encoder.block"
    assert find_blocks(model, "decoder.block") == "decoder.block"
    assert block_output(model, model.encoder.block[1], inputs()).shape == (2, 7, 32)


def test_two_lists_as_deep_as_the_config_are_an_error_that_names_both():
    model = tiny_models.build(tf.LlamaForCausalLM, tiny_models.make("llama").config)
    model.model.shadow = nn.ModuleList(nn.Sequential(nn.Linear(2, 2)) for _ in range(4))
    message = not_told(model, match="it has 2 lists of 4 blocks")
    assert "model.layers (4 x LlamaDecoderLayer); model.shadow (4 x Sequential)" in message
    assert find_blocks(model, "model.shadow") == "model.shadow"


def test_blocks_that_run_several_times_are_in_a_shorter_list():
    config = tf.AlbertConfig(**tiny_models.SHORT, embedding_size=32)
    model = tiny_models.build(tf.AlbertModel, config)
    assert find_blocks(model) == "encoder.albert_layer_groups"
    assert len(model.encoder.albert_layer_groups) == 1


def test_without_a_depth_in_the_config_the_only_list_is_taken():
    model = tiny_models.build(tf.LlamaForCausalLM, tiny_models.make("llama").config)

    class Silent:
        is_encoder_decoder = False

        def get_text_config(self):
            return self

    model.config = Silent()
    assert find_blocks(model) == "model.layers"
    model.model.shadow = nn.ModuleList(nn.Sequential(nn.Linear(2, 2)) for _ in range(2))
    not_told(model, match="doesn't say how many blocks it has")


def test_a_model_without_lists():
    model = tiny_models.build(tf.LlamaForCausalLM, tiny_models.make("llama").config)
    model.model.layers = nn.Sequential(*model.model.layers)
    assert "it has no list of modules" in not_told(model)
    assert find_blocks(model, "model.layers") == "model.layers"


@pytest.mark.parametrize("name", ["model.layer", "model.layers.9", "layers", "model..layers"])
def test_a_misspelt_name_shows_the_names_there_are(name):
    message = not_told(tiny_models.make("llama"), name, "has no module")
    assert "model.layers (4 x LlamaDecoderLayer)" in message


def test_a_name_of_something_else_is_refused():
    not_told(tiny_models.make("llama"), "model.layers.0", "has a LlamaDecoderLayer at")
    not_told(tiny_models.make("llama"), "model.embed_tokens", "has a Embedding at")


def test_a_block_that_does_not_run_is_an_error():
    model = tiny_models.make("llama")
    with pytest.raises(ModelError, match="LlamaForCausalLM doesn't run the block Linear"):
        block_output(model, nn.Linear(2, 2), inputs())


def test_an_output_of_another_shape_is_an_error():
    llama = tiny_models.make("llama")
    with pytest.raises(ModelError, match=r"LlamaRotaryEmbedding gives .*, not a vector at each"):
        block_output(llama, llama.model.rotary_emb, inputs())


# The hook point


@pytest.mark.parametrize(
    ("layer", "layers", "index"),
    [
        *((0, 6, 0), (5, 6, 5), (-1, 6, 5), (-6, 6, 0)),
        *((0.0, 6, 0), (0.5, 6, 3), (0.5, 7, 3), (1.0, 6, 5), (0.99, 6, 5), (0.5, 1, 0)),
        *((0.29, 100, 29), (0.1, 30, 3), (0.7, 10, 7), (1 / 3, 6, 2), (1, 6, 1)),
    ],
)
def test_a_hook_point_by_index_negative_index_or_fraction(layer, layers, index):
    assert layer_index(layer, layers) == index


@given(st.integers(1, 200), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_fraction_is_never_an_earlier_block(layers, one, other):
    low, high = sorted((one, other))
    assert 0 <= layer_index(low, layers) <= layer_index(high, layers) < layers


@pytest.mark.parametrize("layer", [6, -7, 100, 1.5, -0.1, float("nan"), float("inf"), 3.0])
def test_a_hook_point_out_of_range_names_the_range(layer):
    with pytest.raises(
        ModelError, match=rf"^layer {layer} is out of range: the model has 6"
    ) as caught:
        layer_index(layer, 6, source="crossdiff_layer in pytest.ini")
    assert caught.value.source == "crossdiff_layer in pytest.ini"
    assert "from 0 to 5 or from -6 to -1" in caught.value.remedy
