"""Adapters: each is read exactly as PEFT serves it, or refused."""

import copy

import peft
import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

from pytest_crossdiff.engine.models.loaded import load, vectors
from pytest_crossdiff.engine.models.loading.adapters import merging
from pytest_crossdiff.engine.models.loading.load import silence_transformers
from pytest_crossdiff.engine.models.skeletons import inspect_model
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.errors import ModelError
from support import tiny_models

FLOAT = {"dtype": "float32", "device": "cpu"}
TIED = {**tiny_models.GROUPED, "tie_word_embeddings": True}
BERT = tiny_models.FAMILIES["bert"][2]
VISION = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
VISION |= {"num_attention_heads": 2, "image_size": 16, "patch_size": 8}
GEMMA = {**tiny_models.GROUPED, "head_dim": 8, "sliding_window": 8}


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """Folders of base models, by name."""
    models = {
        "tied": (tf.LlamaForCausalLM, tf.LlamaConfig(**TIED)),
        "untied": (tf.LlamaForCausalLM, tf.LlamaConfig(**tiny_models.GROUPED)),
        "masked": (tf.BertForMaskedLM, tf.BertConfig(**BERT)),
        "headless": (tf.BertModel, tf.BertConfig(**BERT)),
        "t5": (
            tf.T5ForConditionalGeneration,
            tf.T5Config(vocab_size=64, d_model=32, d_ff=64, d_kv=8, num_layers=4, num_heads=4),
        ),
        "wrapper": (
            tf.Gemma3ForConditionalGeneration,
            tf.Gemma3Config(text_config=GEMMA, vision_config=VISION, mm_tokens_per_image=4),
        ),
    }
    root = tmp_path_factory.mktemp("bases")
    return {
        name: tiny_models.save(tiny_models.build(kind, config), root / name)
        for name, (kind, config) in models.items()
    }


def fill(adapted, seed=3):
    """Large random changes everywhere."""
    torch.manual_seed(seed)
    for name, weight in adapted.named_parameters():
        if weight.requires_grad and "base_layer" not in name:
            with torch.no_grad():
                weight.add_(torch.randn_like(weight) * 0.3)
    return adapted.eval()


def train(base, folder, config, kind=tf.AutoModelForCausalLM, **options):
    """An adapter in `folder`, and its model as PEFT serves it."""
    with silence_transformers():
        adapted = fill(
            peft.get_peft_model(kind.from_pretrained(base, **options), copy.deepcopy(config))
        )
        adapted.save_pretrained(folder)
    return adapted


def served(adapted, layer):
    """What PEFT gives after a block, or as predictions, on the usual batch."""
    ids_bp, _ = tiny_models.batch()
    with torch.inference_mode():
        out = adapted.base_model.model(input_ids=ids_bp, output_hidden_states=True)
    return out.logits if layer == "logits" else out.hidden_states[layer + 1]


def logits(loaded):
    with torch.inference_mode():
        return loaded.model(input_ids=tiny_models.batch()[0]).logits


def assert_as_served(folder, adapted, layer=1):
    loaded = load(str(folder), layer=layer, **FLOAT)
    torch.testing.assert_close(vectors(loaded, *tiny_models.batch()), served(adapted, layer))
    return loaded


# Weights that two modules share

SHARED = {
    "head": peft.LoraConfig(r=2, target_modules=["lm_head"], task_type="CAUSAL_LM"),
    "embeddings": peft.LoraConfig(r=2, target_modules=["embed_tokens"], task_type="CAUSAL_LM"),
    "both": peft.LoraConfig(r=2, target_modules=["embed_tokens", "lm_head"], task_type="CAUSAL_LM"),
    "both kept equal": peft.LoraConfig(
        r=2, target_modules=["embed_tokens"], ensure_weight_tying=True, task_type="CAUSAL_LM"
    ),
    "tokens": peft.LoraConfig(
        r=2, target_modules=["q_proj"], trainable_token_indices=[5, 61], task_type="CAUSAL_LM"
    ),
    "tokens of the head": peft.LoraConfig(
        r=2,
        target_modules=["q_proj"],
        trainable_token_indices={"lm_head": [5, 61]},
        task_type="CAUSAL_LM",
    ),
    "embeddings saved": peft.LoraConfig(
        r=2, target_modules=["q_proj"], modules_to_save=["embed_tokens"], task_type="CAUSAL_LM"
    ),
    "only tokens": peft.TrainableTokensConfig(token_indices=[5, 61], task_type="CAUSAL_LM"),
}


@pytest.mark.parametrize("base", ["tied", "untied"])
@pytest.mark.parametrize("config", SHARED.values(), ids=SHARED)
def test_an_adapter_of_embeddings_or_head_is_read_as_it_is_served(bases, tmp_path, base, config):
    adapted = train(bases[base], tmp_path, config)
    loaded = assert_as_served(tmp_path, adapted)
    torch.testing.assert_close(logits(loaded), served(adapted, "logits"))


def test_a_head_of_its_own_leaves_the_blocks_of_a_tied_model_alone(bases, tmp_path):
    train(bases["tied"], tmp_path, SHARED["head"])
    inputs = tiny_models.batch()
    before = vectors(load(str(bases["tied"]), **FLOAT), *inputs)
    assert torch.equal(vectors(load(str(tmp_path), **FLOAT), *inputs), before)


def test_weights_that_no_adapter_changes_stay_shared(bases, tmp_path):
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    train(bases["tied"], tmp_path, config)
    model = load(str(tmp_path), **FLOAT).model
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_a_merge_that_changes_the_model_is_refused_with_figures(bases, tmp_path, monkeypatch):
    train(bases["tied"], tmp_path, SHARED["head"])
    monkeypatch.setattr(merging, "_separate_shared_weights", lambda model: None)
    with pytest.raises(
        ModelError, match=r"differs by \d.* as PEFT serves it, and rounding .* 0\.00035"
    ) as caught:
        load(resolve(str(tmp_path), source="crossdiff_candidate"), **FLOAT)
    assert caught.value.source == "crossdiff_candidate"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_rounding_is_no_reason_to_refuse(bases, tmp_path, dtype):
    adapted = train(bases["tied"], tmp_path, SHARED["both"])
    loaded = load(str(tmp_path), layer=1, dtype=dtype, device="cpu")
    expected = served(adapted, 1)
    error = (vectors(loaded, *tiny_models.batch()).float() - expected).norm() / expected.norm()
    assert error < 0.02


# The class that an adapter was trained on

QUERY = {"r": 2, "lora_alpha": 64, "target_modules": ["query"]}
Q_PROJ = {"r": 2, "lora_alpha": 64, "target_modules": ["q_proj"]}


@pytest.mark.parametrize(
    ("base", "trained_on", "config"),
    [
        ("masked", tf.BertForMaskedLM, peft.LoraConfig(**QUERY)),
        ("masked", tf.BertForSequenceClassification, peft.LoraConfig(**QUERY, task_type="SEQ_CLS")),
        ("masked", tf.BertForTokenClassification, peft.LoraConfig(**QUERY, task_type="TOKEN_CLS")),
        ("masked", tf.BertForQuestionAnswering, peft.LoraConfig(**QUERY, task_type="QUESTION_ANS")),
        ("masked", tf.BertModel, peft.LoraConfig(**QUERY)),
        ("headless", tf.BertModel, peft.LoraConfig(**QUERY, task_type="FEATURE_EXTRACTION")),
        ("headless", tf.BertForMaskedLM, peft.LoraConfig(**QUERY)),
        ("untied", tf.LlamaForSequenceClassification, peft.LoraConfig(
            **Q_PROJ, task_type="SEQ_CLS"
        )),
        ("untied", tf.LlamaModel, peft.LoraConfig(**Q_PROJ, task_type="FEATURE_EXTRACTION")),
        ("untied", tf.LlamaModel, peft.LoraConfig(**Q_PROJ)),
        ("wrapper", tf.AutoModelForCausalLM, peft.LoraConfig(
            r=2, target_modules=r".*language_model.*\.q_proj", task_type="CAUSAL_LM"
        )),
        ("wrapper", tf.AutoModelForImageTextToText, peft.LoraConfig(
            r=2, target_modules=r".*language_model.*\.q_proj"
        )),
    ],
)  # fmt: skip
def test_the_blocks_of_an_adapter_of_any_class(bases, tmp_path, base, trained_on, config):
    ids_bp, _ = tiny_models.batch()
    with silence_transformers():
        adapted = train(bases[base], tmp_path, config, trained_on)
    with torch.inference_mode():
        hidden = [
            adapted.base_model.model(input_ids=ids_p[None], output_hidden_states=True)
            for ids_p in ids_bp
        ]
    loaded = load(str(tmp_path), layer=1, **FLOAT)
    expected = torch.cat([out.hidden_states[2] for out in hidden])
    torch.testing.assert_close(vectors(loaded, *tiny_models.batch()), expected)
    plain = load(str(bases[base]), layer=1, **FLOAT)
    assert not torch.allclose(vectors(plain, *tiny_models.batch()), expected, atol=1e-4)
    shape = inspect_model(resolve(str(tmp_path)), layer=1)
    assert (shape.architecture, shape.layers) == (loaded.architecture, loaded.layers)


def test_the_tags_of_a_tagger_trained_as_an_adapter(bases, tmp_path):
    config = peft.LoraConfig(**QUERY, task_type="TOKEN_CLS")
    with silence_transformers():
        adapted = train(
            bases["masked"], tmp_path, config, tf.AutoModelForTokenClassification, num_labels=5
        )
    loaded = load(str(tmp_path), layer="output", **FLOAT)
    assert (loaded.head, loaded.architecture) == ("tags", "BertForTokenClassification")
    torch.testing.assert_close(logits(loaded), served(adapted, "logits"))
    assert len(loaded.predictions.words) == 5


@pytest.mark.parametrize("task", ["SEQ_CLS", "FEATURE_EXTRACTION"])
def test_an_adapter_that_predicts_no_tokens_has_no_output(bases, tmp_path, task):
    kinds = {"SEQ_CLS": tf.AutoModelForSequenceClassification, "FEATURE_EXTRACTION": tf.AutoModel}
    with silence_transformers():
        train(bases["untied"], tmp_path, peft.LoraConfig(**Q_PROJ, task_type=task), kinds[task])
    with pytest.raises(ModelError, match="predicts nothing at each place"):
        load(str(tmp_path), layer="output", **FLOAT)
    with pytest.raises(ModelError, match="predicts nothing at each place"):
        inspect_model(resolve(str(tmp_path)), layer="output")


def test_an_adapter_of_an_encoder_and_decoder(bases, tmp_path):
    config = peft.LoraConfig(r=2, target_modules=["q"], task_type="SEQ_2_SEQ_LM")
    adapted = train(bases["t5"], tmp_path, config, tf.AutoModelForSeq2SeqLM)
    ids_bp, _ = tiny_models.batch()
    loaded = load(str(tmp_path), layer=1, blocks="encoder.block", **FLOAT)
    with torch.inference_mode():
        encoder = adapted.base_model.model.get_encoder()
        hidden = encoder(input_ids=ids_bp, output_hidden_states=True).hidden_states
    torch.testing.assert_close(vectors(loaded, *tiny_models.batch()), hidden[2])


def test_an_adapter_on_an_adapter(bases, tmp_path):
    first = train(bases["tied"], tmp_path / "first", SHARED["embeddings"])
    assert_as_served(tmp_path / "first", first)
    config = peft.LoraConfig(**Q_PROJ, task_type="CAUSAL_LM")
    merged = load(str(tmp_path / "first"), **FLOAT).model
    with silence_transformers():
        adapted = fill(peft.get_peft_model(merged, config), seed=4)
        adapted.peft_config["default"].base_model_name_or_path = str(tmp_path / "first")
        adapted.save_pretrained(tmp_path / "second")
    assert_as_served(tmp_path / "second", adapted)


# More tokens than the base has


def resized(bases, folder, base, size, config):
    """An adapter of a base with as many token embeddings, whose new rows are random."""
    with silence_transformers():
        model = tf.AutoModelForCausalLM.from_pretrained(bases[base])
        model.resize_token_embeddings(size)
        adapted = fill(peft.get_peft_model(model, config))
        adapted.save_pretrained(folder)
    return adapted


@pytest.mark.parametrize("base", ["tied", "untied"])
@pytest.mark.parametrize("modules", [None, ["embed_tokens"], ["embed_tokens", "lm_head"]])
def test_an_adapter_brings_the_embeddings_of_its_added_tokens(bases, tmp_path, base, modules):
    config = peft.LoraConfig(**Q_PROJ, modules_to_save=modules, task_type="CAUSAL_LM")
    adapted = resized(bases, tmp_path, base, 66, config)
    loaded = assert_as_served(tmp_path, adapted)
    ids = torch.tensor([[64, 3, 65]])
    with torch.inference_mode():
        expected = adapted.base_model.model(input_ids=ids).logits
        torch.testing.assert_close(loaded.model(input_ids=ids).logits, expected)
    assert expected.shape[-1] == 66


def test_embeddings_that_nobody_saved_are_never_made_up(bases, tmp_path):
    config = peft.LoraConfig(**Q_PROJ, task_type="CAUSAL_LM", modules_to_save=["embed_tokens"])
    resized(bases, tmp_path, "untied", 66, config)
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    del tensors["base_model.model.lm_head.weight"]
    save_file(tensors, tmp_path / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="trained with 66 token embeddings, its base has 64"):
        load(str(tmp_path), **FLOAT)


# Folders


def test_an_adapter_with_a_name_of_its_own(bases, tmp_path):
    with silence_transformers():
        base = tf.AutoModelForCausalLM.from_pretrained(bases["untied"])
        config = peft.LoraConfig(**Q_PROJ, task_type="CAUSAL_LM")
        adapted = fill(peft.get_peft_model(base, config, adapter_name="german"))
        adapted.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"neither .* nor adapter_config") as caught:
        resolve(str(tmp_path))
    assert caught.value.remedy == f"did you mean {tmp_path / 'german'}?"
    assert_as_served(tmp_path / "german", adapted)
