"""Loading: GGUF files, adapters, incomplete weights, foreign code, and silence."""

import importlib.util
import json
import shutil
from types import SimpleNamespace

import huggingface_hub
import peft
import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file
from transformers.utils import logging as transformers_logging

from pytest_crossdiff.engine.models.loaded import load, vectors
from pytest_crossdiff.engine.models.loading import extras
from pytest_crossdiff.engine.models.loading import load as loading
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.errors import ModelError
from support import gguf_files, tiny_models

FLOAT = {"dtype": "float32", "device": "cpu"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return tiny_models.save(tiny_models.make("llama"), tmp_path_factory.mktemp("llama"))


@pytest.fixture
def folder(saved, tmp_path):
    """A model's folder for the test to damage."""
    return shutil.copytree(saved, tmp_path / "model")


def change_weights(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def change_config(folder, name="config.json", **settings):
    config = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**config, **settings}))


def refused(folder, match, **options):
    with pytest.raises(ModelError, match=match) as caught:
        load(resolve(str(folder), source="crossdiff_candidate"), **FLOAT, **options)
    assert caught.value.source
    return caught.value


# Weights


def test_weights_that_are_missing_from_the_blocks_are_never_made_up(folder):
    change_weights(folder, lambda tensors: tensors.pop("model.layers.3.mlp.up_proj.weight"))
    error = refused(folder, "lacks 1 weights of LlamaForCausalLM, which would be random numbers")
    assert "model.layers.3.mlp.up_proj.weight" in error.what
    assert error.source == "crossdiff_candidate"


def test_a_model_deeper_than_its_weights(folder):
    change_config(folder, num_hidden_layers=6)
    refused(folder, r"lacks 18 weights .*, \.\.\.")


@pytest.mark.parametrize("with_head", [True, False])
def test_blocks_that_the_config_does_not_count_are_not_left_out(folder, with_head):
    change_config(folder, num_hidden_layers=2)
    error = refused(folder, "has weights of 4 blocks .*layers, .* counts 2: 2 would be left out",
                    with_head=with_head)  # fmt: skip
    assert "num_hidden_layers" in error.remedy


def test_a_block_that_predicts_further_tokens_may_stand_behind_the_others(folder):
    """As of DeepSeek and GLM: a block with modules of its own, which the config doesn't count."""

    def add_block(tensors):
        tensors |= {
            name.replace("layers.3", "layers.4"): values.clone()
            for name, values in [*tensors.items()]
            if "layers.3." in name
        }
        tensors["model.layers.4.eh_proj.weight"] = torch.ones(2, 2)

    before = load(resolve(str(folder)), **FLOAT)
    change_weights(folder, add_block)
    after = load(resolve(str(folder)), **FLOAT)
    assert len(after.model.base_model.layers) == 4
    assert all(torch.equal(a, b) for a, b in zip(
        before.model.base_model.parameters(), after.model.base_model.parameters(), strict=True
    ))  # fmt: skip


def test_a_config_that_counts_more_blocks_than_any_model_has(folder):
    change_config(folder, num_hidden_layers=1_000_000)
    refused(folder, "counts 1,000,000 blocks; no model that is known has more than 2,000")


def test_weights_of_another_family(folder):
    change_weights(folder, lambda tensors: [tensors.pop(name) for name in list(tensors)[1:]])
    refused(folder, "would be random numbers")


def test_weights_of_another_shape(folder):
    change_config(folder, intermediate_size=48)
    refused(folder, r"12 weights have another shape .* is \((32, 64|64, 32)\), not")


def test_a_missing_head_is_no_reason_to_refuse(folder):
    change_weights(folder, lambda tensors: tensors.pop("lm_head.weight"))
    assert load(str(folder), **FLOAT).layers == 4


def test_a_family_that_transformers_does_not_know(folder):
    change_config(folder, model_type="nonesuch")
    refused(folder, "can't be loaded: .*model type `nonesuch`")


def test_a_commit_that_cannot_be_had_offline(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=f"org/name@{COMMIT} can't be loaded") as caught:
        load(f"org/name@{COMMIT}", source="crossdiff_baseline", **FLOAT)
    assert caught.value.source == "crossdiff_baseline"


# Tokenizers


def test_a_gguf_file_wants_a_transformers_that_knows_how_to_read_it(folder, monkeypatch):
    monkeypatch.setattr(extras, "transformers", SimpleNamespace(__version__="5.0.0"))
    with pytest.raises(
        ModelError, match=r"with transformers 5\.0\.0, which does not turn"
    ) as caught:
        extras.require_extra("gguf", resolve(str(folder)), "crossdiff_baseline")
    assert caught.value.remedy == "pip install 'pytest-crossdiff[gguf]'"


def test_a_model_without_a_tokenizer(folder):
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (folder / file).unlink()
    error = refused(folder, "the tokenizer of .* can't be loaded: its folder has none")
    assert "tokenizer.save_pretrained" in error.remedy


def test_a_vocabulary_alone_is_a_tokenizer(tmp_path):
    folder = tiny_models.save(tiny_models.make("bert"), tmp_path / "bert")
    for file in folder.glob("*token*"):
        file.unlink()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
    (folder / "vocab.txt").write_text("\n".join(words))
    found = load(resolve(str(folder)), **FLOAT).tokenizer
    assert found.convert_ids_to_tokens(found("b a").input_ids) == ["[CLS]", "b", "a", "[SEP]"]


def test_a_tokenizer_that_is_not_fast(folder, monkeypatch):
    tokenizer = tiny_models.make_tokenizer()
    monkeypatch.setattr(type(tokenizer), "is_fast", False)
    monkeypatch.setattr(loading, "_load_tokenizer", lambda *_: tokenizer)
    assert "tokenizer.json" in refused(folder, "has no fast tokenizer").remedy


# Foreign code


def test_code_is_not_run_unless_asked_for(folder):
    change_config(folder, model_type="mine", auto_map={"AutoConfig": "mine.Config"})
    (folder / "mine.py").write_text("raise SystemExit('this code was run')")
    error = refused(folder, "contains custom code")
    assert "crossdiff_trust_remote_code" in error.remedy


def test_code_of_another_repository_is_never_run(folder):
    change_config(folder, auto_map={"AutoModelForCausalLM": "other/repo--mine.Model"})
    refused(
        folder,
        "would run code of another repository: other/repo--mine.Model",
        trust_remote_code=True,
    )
    change_config(folder, auto_map={})
    change_config(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "o/r--t.T"]})
    refused(folder, "would run code of another repository: o/r--t.T", trust_remote_code=True)


def test_nor_where_the_config_in_an_adapters_folder_names_it(folder, tmp_path):
    adapter = tmp_path / "lora"
    shutil.copytree(folder, adapter)
    (adapter / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": str(folder), "peft_type": "LORA"})
    )
    (adapter / "model.safetensors").rename(adapter / "adapter_model.safetensors")
    change_config(adapter, auto_map={"AutoConfig": "other/repo--mine.Config"})
    with pytest.raises(ModelError, match="would run code of another repository: other/repo--mine"):
        loading.load_tokenizer(resolve(str(adapter)), trust_remote_code=True, source="")


def test_code_of_a_branch_is_never_run(monkeypatch, tmp_path):
    ref = tmp_path / "models--org--name" / "refs" / "main"
    ref.parent.mkdir(parents=True)
    ref.write_text(COMMIT)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="may not be run: a branch or tag can change") as caught:
        load("org/name", trust_remote_code=True, **FLOAT)
    assert caught.value.remedy == f"pin the revision: org/name@{COMMIT}"


def test_code_of_a_folder_is_run_when_asked_for(folder):
    # The model type is known, so its own class would do; the folder brings another.
    change_config(folder, auto_map={"AutoModelForCausalLM": "mine.Mine"})
    (folder / "mine.py").write_text(
        "from transformers import LlamaForCausalLM\nclass Mine(LlamaForCausalLM):\n    pass\n"
    )
    assert load(str(folder), **FLOAT).architecture == "LlamaForCausalLM"
    assert load(str(folder), trust_remote_code=True, **FLOAT).architecture == "Mine"


# GGUF


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory):
    return gguf_files.write(
        tiny_models.make("llama"), tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    )


def test_a_gguf_file_is_the_model_it_was_made_from(gguf_file, capfd):
    loaded = load(str(gguf_file), **FLOAT)
    assert (loaded.reference.kind, loaded.architecture) == ("gguf", "LlamaForCausalLM")
    inputs = tiny_models.batch()
    original = tiny_models.make("llama")
    with torch.inference_mode():
        full = original(input_ids=inputs[0], output_hidden_states=True).hidden_states
    torch.testing.assert_close(vectors(loaded, *inputs), full[3])
    encoded = loaded.tokenizer("ABC", return_offsets_mapping=True)
    assert encoded["offset_mapping"] == [(0, 1), (1, 2), (2, 3)]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("absent", ["gguf", "accelerate"])
def test_a_gguf_file_without_its_packages(gguf_file, monkeypatch, absent):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == absent else find(name)
    )
    error = refused(gguf_file, f"can't be loaded without {absent}")
    assert error.remedy == "pip install 'pytest-crossdiff[gguf]'"


def test_a_truncated_gguf_file(gguf_file, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(gguf_file.read_bytes()[:-1000])
    refused(cut, "can't be loaded")


# Adapters


@pytest.fixture
def adapter(saved, tmp_path):
    """A LoRA adapter of the saved model, and the model with it merged by hand."""
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    torch.manual_seed(3)
    with loading.silence_transformers():
        adapted = peft.get_peft_model(tf.AutoModelForCausalLM.from_pretrained(saved), config)
    for name, weight in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.5)
    adapted.save_pretrained(tmp_path / "lora")
    return tmp_path / "lora", adapted.eval()


def test_an_adapter_is_merged_into_its_base(adapter, saved):
    folder, adapted = adapter
    loaded = load(str(folder), **FLOAT)
    assert (loaded.reference.kind, loaded.architecture) == ("adapter", "LlamaForCausalLM")
    assert (loaded.blocks_name, loaded.layers) == ("model.layers", 4)
    assert not any("lora" in name for name, _ in loaded.model.named_parameters())
    inputs = tiny_models.batch()
    with torch.inference_mode():
        full = adapted(input_ids=inputs[0], output_hidden_states=True).hidden_states
    torch.testing.assert_close(vectors(loaded, *inputs), full[3])
    assert not torch.allclose(vectors(loaded, *inputs), vectors(load(str(saved), **FLOAT), *inputs))


def test_an_adapter_brings_the_tokenizer_of_its_base_or_its_own(adapter):
    folder, _ = adapter
    assert load(str(folder), **FLOAT).tokenizer.model_max_length > 10**6
    tiny_models.make_tokenizer(length=33).save_pretrained(folder)
    assert load(str(folder), **FLOAT).tokenizer.model_max_length == 33


def test_an_adapter_that_does_not_fit_is_not_taken_for_its_base(adapter):
    folder, _ = adapter
    tensors = load_file(folder / "adapter_model.safetensors")
    renamed = {name.replace("model.model", "model"): tensor for name, tensor in tensors.items()}
    save_file(renamed, folder / "adapter_model.safetensors")
    assert "base_model_name_or_path" in refused(folder, "doesn't fit its base model").remedy


def test_an_adapter_that_changes_no_weights(saved, tmp_path):
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    with loading.silence_transformers():
        base = tf.AutoModelForCausalLM.from_pretrained(saved)
        peft.get_peft_model(base, config).save_pretrained(tmp_path / "prompt")
    refused(tmp_path / "prompt", "is of type PROMPT_TUNING, which is no change of weights")


def test_an_adapter_without_its_package(adapter, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert refused(adapter[0], "without peft").remedy == "pip install 'pytest-crossdiff[peft]'"


# Silence


def test_loading_is_silent_and_leaves_the_settings_of_transformers_alone(folder, capfd):
    change_weights(folder, lambda tensors: tensors.update({"unknown.weight": torch.zeros(1)}))
    before = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    capfd.readouterr()
    load(str(folder), **FLOAT)
    assert capfd.readouterr() == ("", "")
    with pytest.raises(ModelError):
        load(str(folder), layer=99, **FLOAT)
    after = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    assert after == before


def test_the_choice_of_no_progress_bars_is_kept():
    transformers_logging.disable_progress_bar()
    try:
        with loading.silence_transformers():
            pass
        assert not transformers_logging.is_progress_bar_enabled()
    finally:
        transformers_logging.enable_progress_bar()


# Heads


def masked(folder):
    settings = tiny_models.FAMILIES["bert"][2]
    return tiny_models.save(
        tiny_models.build(tf.BertForMaskedLM, tf.BertConfig(**settings)), folder
    )


def test_a_causal_model_has_its_head(saved, tmp_path):
    assert load(str(saved), **FLOAT).head == "causal"


def test_a_lost_head_predicts_nothing(folder):
    change_weights(folder, lambda tensors: tensors.pop("lm_head.weight"))
    assert load(str(folder), **FLOAT).head == ""


def test_an_adapter_and_a_gguf_file_have_the_head_of_their_model(adapter, gguf_file):
    assert load(str(adapter[0]), **FLOAT).head == "causal"
    assert load(str(gguf_file), **FLOAT).head == "causal"


def test_a_masked_model_has_its_head_on_request(tmp_path):
    folder = masked(tmp_path / "bert")
    assert (load(str(folder), **FLOAT).head, load(str(folder), **FLOAT).architecture) == (
        "",
        "BertModel",
    )
    loaded = load(str(folder), with_head=True, blocks="encoder.layer", **FLOAT)
    assert (loaded.head, loaded.architecture) == ("masked", "BertForMaskedLM")
    assert loaded.blocks_name == "bert.encoder.layer"
    inputs = tiny_models.batch()
    torch.testing.assert_close(
        vectors(loaded, *inputs), vectors(load(str(folder), **FLOAT), *inputs)
    )


def test_a_masked_model_without_its_heads_weights_predicts_nothing(tmp_path):
    folder = masked(tmp_path / "bert")
    change_weights(folder, lambda tensors: tensors.pop("cls.predictions.transform.dense.weight"))
    loaded = load(str(folder), with_head=True, blocks="encoder.layer", **FLOAT)
    assert (loaded.head, loaded.layers) == ("", 4)


def test_an_encoder_without_a_head_has_none_on_request_either(tmp_path):
    folder = tiny_models.save(tiny_models.make("bert"), tmp_path)
    assert load(str(folder), with_head=True, **FLOAT).head == ""
