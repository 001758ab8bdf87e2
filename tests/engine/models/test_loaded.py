"""Loaded models: on the right device, in the right number type, read at the right place."""

import pytest
import torch
import transformers as tf

from pytest_crossdiff.engine.models import devices
from pytest_crossdiff.engine.models.loaded import load, vectors
from pytest_crossdiff.engine.models.reading.forward_pass import ForwardPassError
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.errors import ModelError
from support import tiny_models

FLOAT = {"dtype": "float32", "device": "cpu"}


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return tiny_models.save(tiny_models.make("llama"), tmp_path_factory.mktemp("llama"))


def expected(model, layer):
    ids_bp, mask_bp = tiny_models.batch()
    with torch.inference_mode():
        out = model(input_ids=ids_bp, attention_mask=mask_bp, output_hidden_states=True)
    return out.hidden_states[layer + 1]


def test_a_causal_model(llama):
    reference = resolve(str(llama), source="crossdiff_baseline")
    loaded = load(reference, layer=-3, **FLOAT)
    assert loaded.reference == reference
    assert (loaded.blocks_name, loaded.layers, loaded.layer) == ("model.layers", 4, 1)
    assert (loaded.architecture, loaded.width) == ("LlamaForCausalLM", 32)
    assert (loaded.dtype, loaded.device) == (torch.float32, torch.device("cpu"))
    assert list(loaded.blocks) == list(loaded.model.model.layers)
    assert not loaded.model.training
    assert not any(weight.requires_grad for weight in loaded.model.parameters())
    assert loaded.tokenizer.is_fast
    assert torch.equal(
        vectors(loaded, *tiny_models.batch()), expected(tiny_models.make("llama"), 1)
    )


def test_an_encoder(tmp_path):
    loaded = load(str(tiny_models.save(tiny_models.make("bert"), tmp_path)), layer=0.25, **FLOAT)
    assert (loaded.architecture, loaded.layer) == ("BertModel", 1)
    assert torch.equal(vectors(loaded, *tiny_models.batch()), expected(tiny_models.make("bert"), 1))


def test_an_encoder_with_a_head_is_read_without_it(tmp_path):
    model = tiny_models.build(tf.BertForMaskedLM, tiny_models.make("bert").config)
    loaded = load(str(tiny_models.save(model, tmp_path)), **FLOAT)
    assert loaded.architecture == "BertModel"  # its pooler is made up, which no block sees
    assert torch.equal(vectors(loaded, *tiny_models.batch()), expected(model.bert, 2))


def test_the_model_still_generates_for_ordinary_tests(llama):
    loaded = load(str(llama), **FLOAT)
    inputs = loaded.tokenizer("abc", return_tensors="pt", return_token_type_ids=False)
    out = loaded.model.generate(**inputs, max_new_tokens=3, do_sample=False, pad_token_id=27)
    assert out.shape == (1, 6)


def test_number_types(llama):
    loaded = load(str(llama), dtype="bfloat16", device="cpu")
    assert {weight.dtype for weight in loaded.model.parameters()} == {torch.bfloat16}
    assert vectors(loaded, *tiny_models.batch()).dtype == torch.bfloat16


def test_unloading_frees_the_weights_whoever_holds_the_model(llama):
    loaded = load(str(llama), **FLOAT)
    model = loaded.model
    loaded.unload()
    assert {weight.device.type for weight in model.parameters()} == {"meta"}


@pytest.mark.parametrize(
    ("family", "longest"),
    [("bert", 64), ("roberta", 62), ("mpnet", 62), ("gpt2", 64), ("opt", 64), ("electra", 64)],
)
def test_the_longest_input_is_the_one_that_just_runs(tmp_path, family, longest):
    loaded = load(str(tiny_models.save(tiny_models.make(family), tmp_path)), **FLOAT)
    assert loaded.max_length == longest
    assert vectors(loaded, *tiny_models.batch(positions=longest)).shape == (2, longest, 32)
    with pytest.raises(ForwardPassError):
        vectors(loaded, *tiny_models.batch(positions=longest + 1))


def test_the_longest_input_is_also_the_tokenizers(tmp_path):
    tokenizer = tiny_models.make_tokenizer(length=48)
    folder = tiny_models.save(tiny_models.make("bert"), tmp_path, tokenizer)
    assert load(str(folder), **FLOAT).max_length == 48


def test_a_model_without_positions_reads_any_length(tmp_path):
    folder = tiny_models.save(tiny_models.make("bloom"), tmp_path)
    assert load(str(folder), **FLOAT).max_length is None


def test_a_token_without_an_embedding_is_an_error(llama):
    loaded = load(resolve(str(llama), source="crossdiff_baseline"), **FLOAT)
    ids = torch.tensor([[1, 64]])
    with pytest.raises(ModelError, match=r"has 64 token embeddings, but .* token 64") as caught:
        vectors(loaded, ids, torch.ones_like(ids))
    assert caught.value.source == "crossdiff_baseline"


def test_a_layer_out_of_range_names_range_and_source(llama):
    with pytest.raises(ModelError, match="layer 4 is out of range: the model has 4") as caught:
        load(str(llama), layer=4, source="crossdiff_candidate", **FLOAT)
    assert caught.value.source == "crossdiff_candidate"


def test_blocks_by_name(tmp_path):
    config = tf.T5Config(vocab_size=64, d_model=32, d_ff=64, d_kv=8, num_layers=4, num_heads=4)
    folder = tiny_models.save(tiny_models.build(tf.T5Model, config), tmp_path)
    assert load(str(folder), **FLOAT).blocks_name == "encoder.block"
    assert load(str(folder), blocks="encoder.block", **FLOAT).width == 32
    config.decoder_start_token_id = 0
    tiny_models.save(tiny_models.build(tf.T5Model, config), folder)
    for name in ("decoder.block", "decoder"):
        assert load(str(folder), blocks=name, **FLOAT).blocks_name == "decoder.block"


# Models that fail when they run


@pytest.mark.parametrize("layer", [0, "output"])
def test_a_language_that_has_to_be_chosen_is_named_as_what_to_set(tmp_path, layer):
    config = tf.XmodConfig(**tiny_models.SHORT, languages=["en_XX", "de_DE"])
    folder = tiny_models.save(tiny_models.build(tf.XmodForMaskedLM, config), tmp_path)
    with pytest.raises(
        ForwardPassError, match=r"XmodFor|XmodModel .* Input language unk"
    ) as caught:
        load(resolve(str(folder), source="crossdiff_candidate"), layer=layer, **FLOAT)
    assert caught.value.remedy == "set default_language in its config.json"
    assert caught.value.source == "crossdiff_candidate"


def test_an_input_that_no_text_has_is_named(tmp_path):
    model = tiny_models.build(tf.BrosModel, tf.BrosConfig(**tiny_models.SHORT))
    with pytest.raises(ForwardPassError, match="BrosModel can't be run on text alone") as caught:
        load(str(tiny_models.save(model, tmp_path)), layer=0, **FLOAT)
    assert "this family needs bbox besides the tokens" in caught.value.remedy


def test_too_little_memory_for_a_batch(llama, monkeypatch):
    loaded = load(str(llama), **FLOAT)

    def full(**_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(loaded.model, "forward", full)
    with pytest.raises(ForwardPassError, match="too little memory") as caught:
        vectors(loaded, *tiny_models.batch())
    assert "crossdiff_device = cpu" in caught.value.remedy


# Device and number type


@pytest.mark.parametrize("device", ["cuda:99", "nonesuch", "", "cpu:x"])
def test_a_device_that_is_not_there(llama, device):
    with pytest.raises(ModelError, match=f"the device '{device}' can't be used") as caught:
        load(str(llama), device=device)
    assert caught.value.source == "crossdiff_device"


def test_a_number_type_that_is_none(llama):
    with pytest.raises(ModelError, match="'int8' is no number type"):
        load(str(llama), dtype="int8", device="cpu")


def test_on_a_cpu_auto_is_float32_so_that_results_do_not_depend_on_the_machine():
    assert devices.choose_dtype("auto", torch.device("cpu")) == torch.float32


@pytest.mark.parametrize(("supported", "chosen"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bfloat16_only_where_the_gpu_has_it(monkeypatch, supported, chosen):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert devices.choose_dtype("auto", torch.device("cuda")) == chosen
    assert devices.choose_dtype("auto", torch.device("mps")) == torch.float32


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_fastest_device_there_is(monkeypatch, cuda, mps, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    device = devices.choose_device()
    assert device.type == chosen
    assert devices.crosscoder_device(device).type == {"mps": "cpu"}.get(chosen, chosen)
