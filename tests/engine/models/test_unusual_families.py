"""Models that are built otherwise than most are read as they run: shared blocks, other orders of
axes, encoders, language models inside wrappers, heads, and texts that padding would change.
"""

import pytest
import torch
import transformers as tf

from pytest_crossdiff.engine.explanation import intervention
from pytest_crossdiff.engine.models.loaded import load, read, vectors
from pytest_crossdiff.engine.models.loading.heads import choose_head
from pytest_crossdiff.engine.models.skeletons import inspect_model
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.errors import ModelError
from support import tiny_models

FLOAT = {"dtype": "float32", "device": "cpu", "source": "crossdiff_baseline"}
NO_IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
ALBERT = {**tiny_models.SHORT, "embedding_size": 32}
T5 = {"vocab_size": 64, "d_model": 32, "d_ff": 64, "d_kv": 8, "num_layers": 4, "num_heads": 4}
XLNET = {"vocab_size": 64, "d_model": 32, "n_layer": 4, "n_head": 4, "d_inner": 64}
XLM = {"vocab_size": 64, "emb_dim": 32, "n_layers": 4, "n_heads": 4, "max_position_embeddings": 64}
SQUEEZED = {**tiny_models.SHORT, "embedding_size": 32}
SQUEEZED |= {
    f"{name}_groups": 1 for name in ("q", "k", "v", "post_attention", "intermediate", "output")
}
MARIAN = {"vocab_size": 64, "d_model": 32, "encoder_layers": 3, "decoder_layers": 2}
MARIAN |= {"encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 64, **NO_IDS}
MARIAN |= {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "decoder_start_token_id": 0}


def made(kind, config, seed=0):
    """A model whose weights are large enough for every part to matter."""
    model = tiny_models.build(kind, config, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.05)
    return model


def saved(kind, config, folder, **names):
    model = made(kind, config)
    return model, str(tiny_models.save(model, folder / "model", **names))


def hidden_states(model):
    ids_bp, mask_bp = tiny_models.batch(texts=1, positions=9)
    with torch.inference_mode():
        found = model(input_ids=ids_bp, attention_mask=mask_bp, output_hidden_states=True)
    return found.hidden_states


def at(folder, layer, **options):
    return vectors(load(folder, layer=layer, **FLOAT, **options), *tiny_models.batch(1, 9))


# Blocks


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (tf.AlbertModel, tf.AlbertConfig(**ALBERT)),
        (tf.AlbertModel, tf.AlbertConfig(**ALBERT, num_hidden_groups=2)),
        (tf.XLMModel, tf.XLMConfig(**XLM)),
        (tf.SqueezeBertModel, tf.SqueezeBertConfig(**SQUEEZED)),
    ],
    ids=[
        "one shared block",
        "two shared blocks",
        "blocks without a module",
        "width before positions",
    ],
)
def test_each_of_four_layers_is_the_hidden_state_of_that_depth(tmp_path, kind, config):
    model, folder = saved(kind, config, tmp_path)
    expected = hidden_states(model)
    for layer in range(4):
        torch.testing.assert_close(at(folder, layer), expected[layer + 1])
    assert load(folder, layer=-1, **FLOAT).layers == 4
    with pytest.raises(ModelError, match="layer 4 is out of range: the model has 4 blocks"):
        load(folder, layer=4, **FLOAT)


def test_positions_before_texts_are_put_in_order(tmp_path):
    model, folder = saved(tf.XLNetModel, tf.XLNetConfig(**XLNET), tmp_path)
    torch.testing.assert_close(at(folder, 2), hidden_states(model)[3])


def test_a_shared_block_is_replaced_in_one_pass_only(tmp_path):
    _, folder = saved(tf.AlbertModel, tf.AlbertConfig(**ALBERT), tmp_path)
    loaded = load(folder, layer=1, **FLOAT)
    ids, _ = tiny_models.batch(1, 9)
    recorded = intervention.record(loaded, ids)
    assert torch.equal(intervention.replay(loaded, recorded, torch.zeros(1, 9, 32)), recorded.out)
    change = torch.randn(1, 9, 32, generator=torch.Generator().manual_seed(1))
    (block,) = loaded.model.encoder.albert_layer_groups
    x = vectors(loaded, ids, torch.ones_like(ids)) + change
    with torch.inference_mode():
        for _ in range(2):  # the passes 2 and 3
            x = block(x)[0] if isinstance(block(x), tuple) else block(x)
    torch.testing.assert_close(intervention.replay(loaded, recorded, change), x)


def test_the_doctor_expects_the_passes_and_the_width_that_are_read(tmp_path):
    _, folder = saved(tf.AlbertModel, tf.AlbertConfig(**ALBERT), tmp_path)
    shape, loaded = inspect_model(resolve(folder), layer=0.5), load(folder, layer=0.5, **FLOAT)
    assert (shape.layers, shape.layer, shape.width) == (4, 2, 32)
    assert (loaded.layers, loaded.layer, loaded.width) == (4, 2, 32)


# Encoders


def test_of_an_encoder_decoder_the_encoder_is_read(tmp_path):
    model, folder = saved(tf.T5ForConditionalGeneration, tf.T5Config(**T5), tmp_path)
    torch.testing.assert_close(at(folder, 1), hidden_states(model.encoder)[2])
    ids, _ = tiny_models.batch(1, 9)
    recorded = intervention.record(load(folder, layer=1, **FLOAT), ids)
    torch.testing.assert_close(recorded.out, hidden_states(model.encoder)[-1])


def test_an_encoder_that_was_saved_alone_needs_no_decoder(tmp_path):
    model, folder = saved(tf.T5EncoderModel, tf.T5Config(**T5), tmp_path)
    torch.testing.assert_close(at(folder, 1), hidden_states(model)[2])


def test_tables_of_sines_are_no_lost_weights_but_norms_are(tmp_path):
    model, folder = saved(tf.MarianMTModel, tf.MarianConfig(**MARIAN), tmp_path)
    fresh = tf.MarianMTModel.from_pretrained(folder)  # its tables are those of the formula again
    torch.testing.assert_close(at(folder, 1), hidden_states(fresh.model.encoder)[2])
    assert at(folder, 1).shape[-1] == model.config.d_model


# Wrappers


def gemma(folder):
    """Text and vision of the same depth."""
    text = {**tiny_models.GROUPED, "head_dim": 8}
    vision = {**tiny_models.PLAIN, "image_size": 28, "patch_size": 14}
    vision.pop("vocab_size")
    config = tf.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=1)
    return saved(tf.Gemma3ForConditionalGeneration, config, folder)


def test_the_blocks_are_the_language_models_though_the_vision_tower_is_as_deep(tmp_path):
    model, folder = gemma(tmp_path)
    torch.testing.assert_close(at(folder, 1), hidden_states(model)[2])
    assert load(folder, layer=1, **FLOAT).blocks_name == "language_model.layers"


def test_a_wrapper_predicts_with_its_language_head(tmp_path):
    model, folder = gemma(tmp_path)
    loaded = load(folder, layer="output", **FLOAT)
    ids, mask = tiny_models.batch(1, 9)
    with torch.inference_mode():
        p_bpv = model(input_ids=ids, attention_mask=mask).logits.softmax(-1)
    found = read(loaded, ids, mask)
    torch.testing.assert_close(found.vectors_bpd, p_bpv.sqrt() @ loaded.predictions.signs_wd)
    nll = -p_bpv[0, :-1].gather(1, ids[0, 1:, None])[:, 0].log()
    torch.testing.assert_close(found.nll_bp[0, 1:], nll)
    assert loaded.head == "causal"


# Heads


@pytest.mark.parametrize(
    ("kind", "config", "head"),
    [
        (tf.BertLMHeadModel, tf.BertConfig(**tiny_models.SHORT), "masked"),
        (tf.BertLMHeadModel, tf.BertConfig(**tiny_models.SHORT, is_decoder=True), "causal"),
        (tf.XLNetLMHeadModel, tf.XLNetConfig(**XLNET), "masked"),
        (tf.GPT2DoubleHeadsModel, tf.GPT2Config(**tiny_models.GPT), "causal"),
        (tf.BertForPreTraining, tf.BertConfig(**tiny_models.SHORT), "masked"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_whether_the_next_token_is_predicted_is_measured_and_not_read_off_a_name(
    tmp_path, kind, config, head
):
    model, folder = saved(kind, config, tmp_path)
    loaded = load(folder, layer="output", **FLOAT)
    assert (loaded.head, loaded.predictions.next_token) == (head, head == "causal")
    ids, mask = tiny_models.batch(1, 9)
    with torch.inference_mode():
        out = model(input_ids=ids, attention_mask=mask)
    logits = out.prediction_logits if kind is tf.BertForPreTraining else out.logits
    expected = logits.softmax(-1).sqrt() @ loaded.predictions.signs_wd
    torch.testing.assert_close(vectors(loaded, ids, mask), expected)


def test_a_model_that_needs_more_than_text_is_refused_with_its_reason(tmp_path):
    config = tf.BrosConfig(**tiny_models.SHORT)
    _, folder = saved(tf.BrosForTokenClassification, config, tmp_path)
    said = "text alone; it says ValueError: You have to specify bbox"
    with pytest.raises(ModelError, match=said):
        load(folder, layer="output", **FLOAT)
    with pytest.raises(ModelError, match=said):
        load(folder, layer=1, **FLOAT)


# Batches


@pytest.mark.parametrize(
    ("kind", "config", "batching"),
    [
        (tf.FNetModel, tf.FNetConfig(**tiny_models.SHORT), "same length"),
        (tf.BertModel, tf.BertConfig(**tiny_models.SHORT), "padded"),
    ],
)
def test_a_text_is_read_in_a_batch_as_it_is_alone(tmp_path, kind, config, batching):
    _, folder = saved(kind, config, tmp_path)
    loaded = load(folder, layer=1, **FLOAT)
    assert loaded.batching == batching
    ids, mask = tiny_models.batch(texts=4, positions=9)
    for row, length in enumerate((9, 4, 6, 4)):
        mask[row, length:] = 0
    together = vectors(loaded, ids, mask)
    for row, length in enumerate(mask.sum(1).tolist()):
        alone = vectors(loaded, ids[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(together[row : row + 1, :length], alone)


def test_a_family_that_auto_model_knows_but_refuses_is_loaded_by_its_own_class():
    """transformers names a class without head for Evolla, and then doesn't load it."""
    config = tf.EvollaConfig(num_hidden_layers=1, protein_encoder_config={"num_hidden_layers": 1})
    _, loads = choose_head(["EvollaForProteinText2Text"], with_head=False, config=config)
    assert loads is tf.EvollaForProteinText2Text
