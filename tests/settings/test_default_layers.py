"""Which layers are compared where no setting names any."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import huggingface_hub
import pytest

from pytest_crossdiff.settings.default_layers import default_layers

if TYPE_CHECKING:
    from pathlib import Path

BOTH, BLOCK = (0.5, "output"), 0.5


def model(folder: Path, *architectures: str) -> str:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": architectures}), "utf-8")
    return str(folder)


@pytest.mark.parametrize(
    ("baseline", "candidate", "expected"),
    [
        ("LlamaForCausalLM", "Gemma3ForCausalLM", BOTH),
        ("GPT2LMHeadModel", "LlamaForCausalLM", BOTH),
        ("BertForMaskedLM", "RobertaForMaskedLM", BOTH),
        ("BertForTokenClassification", "BertForTokenClassification", BOTH),
        ("LlamaForCausalLM", "BertForMaskedLM", BLOCK),
        ("LlamaForCausalLM", "LlamaModel", BLOCK),
        ("BertModel", "BertModel", BLOCK),
        ("T5ForConditionalGeneration", "T5ForConditionalGeneration", BLOCK),
    ],
)
def test_the_output_is_compared_where_both_models_predict_the_same_kind(
    tmp_path, baseline, candidate, expected
):
    a, b = model(tmp_path / "a", baseline), model(tmp_path / "b", candidate)
    assert default_layers(a, b) == expected


def test_an_adapter_predicts_what_its_base_does(tmp_path):
    base = model(tmp_path / "base", "LlamaForCausalLM")
    for name, written in (("absolute", base), ("relative", "../base")):
        adapter = tmp_path / name
        adapter.mkdir()
        (adapter / "adapter_config.json").write_text(
            json.dumps({"base_model_name_or_path": written}), "utf-8"
        )
        assert default_layers(base, str(adapter)) == BOTH
    assert default_layers(model(tmp_path / "encoder", "BertModel"), str(adapter)) == BLOCK


def test_a_gguf_file_predicts_tokens(tmp_path):
    assert default_layers("v1.gguf", "v2.Q8_0.GGUF") == BOTH
    assert default_layers("v1.gguf", model(tmp_path / "encoder", "BertModel")) == BLOCK


def test_a_folder_is_no_gguf_file_whatever_its_name(tmp_path):
    assert default_layers("v1.gguf", model(tmp_path / "v2.gguf", "BertModel")) == BLOCK


def test_a_model_that_is_gone_has_what_the_other_has(tmp_path):
    """Its archive is read instead, which has the output where that was compared."""
    there = model(tmp_path / "there", "LlamaForCausalLM")
    assert default_layers(str(tmp_path / "gone"), there) == BOTH
    assert default_layers(str(tmp_path / "gone"), str(tmp_path / "gone too")) == BLOCK
    assert default_layers("", there) == BOTH


def test_a_configuration_that_cannot_be_read_is_left_to_the_measurement(tmp_path):
    broken_files = {"list": "[]", "cut": '{"architectures": ["Lla', "kind": '{"architectures": 3}'}
    for name, text in broken_files.items():
        broken = model(tmp_path / name, "LlamaForCausalLM")
        (tmp_path / name / "config.json").write_text(text, "utf-8")
        assert default_layers(broken, broken) == BLOCK


def test_a_model_of_the_hub_is_looked_up_in_the_local_cache_first(tmp_path, monkeypatch):
    folder = model(tmp_path / "cached", "LlamaForCausalLM")
    asked, fetched = [], []

    def cached(name: str, file: str, revision: str | None) -> str | None:
        asked.append((name, revision))
        there = name == "org/test-cached" and file == "config.json"
        return f"{folder}/{file}" if there else None

    def fetch(name: str, file: str, revision: str | None) -> str:
        fetched.append((name, file))
        raise huggingface_hub.errors.LocalEntryNotFoundError("no network here")

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda url, timeout: url)
    assert default_layers("org/test-cached@v1", "org/test-cached@v2") == BOTH
    assert {*asked} == {("org/test-cached", "v1"), ("org/test-cached", "v2")}
    assert not fetched, "nothing is asked of the hub at each start"
    assert default_layers("org/test-elsewhere", "org/test-cached@v3") == BOTH
    assert fetched == [("org/test-elsewhere", "config.json")]


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch):
    """A download would be tried again for half a minute, at each start."""
    asked = []

    def refuse(url: str, timeout: float) -> str:
        asked.append((url.removeprefix(huggingface_hub.constants.ENDPOINT), timeout))
        raise OSError("Name or service not known")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", refuse)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: pytest.fail("asked"))
    assert default_layers("org/test-unanswered", "org/test-unanswered") == BLOCK
    assert asked == [("/org/test-unanswered/resolve/main/config.json", 10.0)]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_in_place_of_a_configuration_is_not_waited_for(tmp_path):
    for name in ("config.json", "adapter_config.json"):
        folder = tmp_path / name
        folder.mkdir()
        os.mkfifo(folder / name)
        assert default_layers(str(folder), str(folder)) == BLOCK
