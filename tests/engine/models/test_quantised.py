"""Quantised checkpoints: exactly the rounded weights, or a refusal that names the method."""

import json
import shutil

import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

from pytest_crossdiff.engine.models.loaded import load, vectors
from pytest_crossdiff.engine.models.loading.quantised import quantisation_errors
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.errors import ModelError
from support import tiny_models

FLOAT = {"dtype": "float32", "device": "cpu"}
SIZES = {**tiny_models.GROUPED, "hidden_size": 128, "intermediate_size": 256}
SIZES |= {"num_hidden_layers": 2}
BLOCK = 32


def make():
    return tiny_models.build(tf.LlamaForCausalLM, tf.LlamaConfig(**SIZES))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return tiny_models.save(make(), tmp_path_factory.mktemp("plain"))


def quantised(plain, folder, tensors, **settings):
    """A checkpoint with other weights and the settings of their quantisation."""
    shutil.copytree(plain, folder)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": settings}))
    return folder


def expected(weights):
    """What block 0 gives with these weights."""
    model = make()
    model.load_state_dict(weights)
    with torch.inference_mode():
        ids_bp, _ = tiny_models.batch()
        return model(input_ids=ids_bp, output_hidden_states=True).hidden_states[1]


def test_fp8_in_blocks_is_read_as_the_rounded_weights(plain, tmp_path):
    stored, meant = {}, {}
    for name, weight in load_file(plain / "model.safetensors").items():
        stored[name] = meant[name] = weight
        if "proj" in name:
            rows, columns = weight.shape
            blocks = weight.view(rows // BLOCK, BLOCK, columns // BLOCK, BLOCK)
            scale = blocks.abs().amax((1, 3)) / 448
            small = (blocks / scale[:, None, :, None]).to(torch.float8_e4m3fn)
            stored[name] = small.reshape(rows, columns)
            stored[name.replace("weight", "weight_scale_inv")] = scale
            meant[name] = (small.float() * scale[:, None, :, None]).reshape(rows, columns)
    settings = {"quant_method": "fp8", "activation_scheme": "dynamic"}
    folder = quantised(
        plain, tmp_path / "fp8", stored, **settings, weight_block_size=[BLOCK, BLOCK]
    )
    found = vectors(load(str(folder), layer=0, **FLOAT), *tiny_models.batch())
    torch.testing.assert_close(found, expected(meant))
    original = expected(load_file(plain / "model.safetensors"))
    assert 0.01 < float((found - original).norm() / original.norm()) < 0.1


@pytest.mark.parametrize(
    ("weights", "layout"),
    [
        ({"num_bits": 8, "type": "int", "strategy": "channel"}, "pack-quantized"),
        ({"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32}, "pack-quantized"),
        ({"num_bits": 8, "type": "float", "strategy": "channel"}, "naive-quantized"),
    ],
)
def test_compressed_tensors_are_read_as_the_rounded_weights(plain, tmp_path, weights, layout):
    pytest.importorskip("compressed_tensors")
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config

    weights = {**weights, "symmetric": True}
    group = {"targets": ["Linear"], "weights": weights}
    settings = {"quant_method": "compressed-tensors", "format": layout, "ignore": ["lm_head"]}
    settings |= {"quantization_status": "frozen", "config_groups": {"group_0": group}}
    model, meant = make(), dict(make().state_dict())
    apply_quantization_config(model, QuantizationConfig.model_validate(settings))
    for name, module in model.named_modules():
        if "_proj" in name:
            weight = module.weight.data
            top = 448 if weights["type"] == "float" else 2 ** (weights["num_bits"] - 1) - 1
            parts = weight.view(len(weight), -1, weights.get("group_size", weight.shape[1]))
            scale = parts.abs().amax(2) / top
            module.weight_scale.data = scale.clone()
            units = parts / scale[:, :, None]
            units = units.to(torch.float8_e4m3fn).float() if top == 448 else units.round()
            meant[f"{name}.weight"] = (units * scale[:, :, None]).reshape(weight.shape)
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    stored = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    folder = quantised(plain, tmp_path / "compressed", stored)
    config = json.loads((folder / "config.json").read_text())
    config.pop("quantization_config")
    (folder / "config.json").write_text(json.dumps(config))
    compressor.update_config(str(folder))
    found = vectors(load(str(folder), layer=0, **FLOAT), *tiny_models.batch())
    torch.testing.assert_close(found, expected(meant))


def rounded(plain, folder, config):
    """A checkpoint that transformers quantised, and what block 0 of the model in memory gives."""
    model = tf.AutoModelForCausalLM.from_pretrained(
        plain, quantization_config=config, dtype=torch.float32, device_map="cpu"
    )
    model.save_pretrained(folder)
    tiny_models.make_tokenizer().save_pretrained(folder)
    ids_bp, mask_bp = tiny_models.batch()
    with torch.inference_mode():
        out = model(input_ids=ids_bp, attention_mask=mask_bp, output_hidden_states=True)
    return str(folder), out.hidden_states[1]


@pytest.mark.parametrize("scheme", ["Int8WeightOnlyConfig", "Float8WeightOnlyConfig"])
def test_torchao_is_read_as_it_runs(plain, tmp_path, scheme):
    quantization = pytest.importorskip("torchao.quantization")
    folder, own = rounded(plain, tmp_path / "m", tf.TorchAoConfig(getattr(quantization, scheme)()))
    found = vectors(load(folder, layer=0, **FLOAT), *tiny_models.batch())
    torch.testing.assert_close(found, own, rtol=0, atol=0)
    original = expected(load_file(plain / "model.safetensors"))
    assert 0.001 < float((found - original).norm() / original.norm()) < 0.1


@pytest.mark.parametrize("bits", [4, 8])
def test_bitsandbytes_is_read_as_it_runs(plain, tmp_path, bits):
    pytest.importorskip("bitsandbytes")
    config = tf.BitsAndBytesConfig(load_in_4bit=bits == 4, load_in_8bit=bits == 8)
    folder, own = rounded(plain, tmp_path / "m", config)
    found = vectors(load(folder, layer=0, **FLOAT), *tiny_models.batch())
    torch.testing.assert_close(found, own, rtol=0, atol=0)
    original = expected(load_file(plain / "model.safetensors"))
    assert 0.001 < float((found - original).norm() / original.norm()) < 0.3


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        (ImportError("it requires x: `pip install -U x>=0.4`"), "pip install -U x>=0.4, or "),
        (ModuleNotFoundError("No module named 'x'"), "install the package that is named, or "),
        (ValueError("X is only supported on GPU."), "run where there is such a device, or "),
        (NotImplementedError("X is not supported yet."), ""),
        (KeyError("group_size"), ""),
    ],
    ids=["a package", "a module", "a device", "nothing", "a setting"],
)
def test_the_remedy_is_what_the_quantiser_needs(plain, said, remedy):
    with (
        pytest.raises(ModelError) as caught,
        quantisation_errors(
            {"quantization_config": {"quant_method": "x"}},
            resolve(str(plain)),
            "crossdiff_baseline",
        ),
    ):
        raise said
    assert caught.value.remedy == f"{remedy}give the model that it was quantised from"
    assert "is quantised (x) and can't be read here: " in caught.value.what


@pytest.mark.parametrize("method", ["exl2", "nvfp4", "higgs", "bitnet"])
def test_what_cannot_be_read_here_is_refused_by_name(plain, tmp_path, method):
    tensors = load_file(plain / "model.safetensors")
    folder = quantised(plain, tmp_path / "model", tensors, quant_method=method)
    with pytest.raises(ModelError, match=rf"is quantised \({method}\) and can't be read") as caught:
        load(resolve(str(folder), source="crossdiff_candidate"), **FLOAT)
    assert caught.value.source == "crossdiff_candidate"
    assert "the model that it was quantised from" in caught.value.remedy
