"""Readers beside transformers: used only where they read the run's own texts as transformers does,
refused with the figures where they are wrong.
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pytest_crossdiff.engine.activations.harvest import Harvest
from pytest_crossdiff.engine.model_reading import read_models
from pytest_crossdiff.engine.models.loaded import load
from pytest_crossdiff.engine.models.readers import choice
from pytest_crossdiff.engine.models.readers.check import check_reader, texts_to_check
from pytest_crossdiff.engine.models.readers.reader import TransformersReader
from pytest_crossdiff.engine.models.readers.vllm import VllmReader
from pytest_crossdiff.engine.models.reading.probing import ROUNDING
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.engine.plan import plan
from pytest_crossdiff.errors import ModelError, SettingsError
from pytest_crossdiff.progress import SilentProgress
from support import planted, tiny_models

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

LAYER, CHUNK = 1, 16


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save(tiny_models.make("llama"), tmp_path_factory.mktemp("llama"))


def reader_at(folder: Path, layer: Any = LAYER) -> TransformersReader:
    return TransformersReader(load(str(folder), layer=layer, dtype="float32", device="cpu"))


class Fake:
    """Reads as transformers does, but for what is wrong with it on purpose."""

    name, chunk = "fake", CHUNK

    def __init__(self, folder: Path, fault: str) -> None:
        self._right = reader_at(folder, LAYER + 1 if fault == "next block" else LAYER)
        self._fault = fault

    def read(self, texts: Sequence[Tensor]) -> list[Tensor]:
        if self._fault == "chunks forget":  # each chunk is read as if nothing were before it
            return [torch.cat([self._one(part) for part in ids.split(CHUNK)]) for ids in texts]
        found = [self._one(ids) for ids in texts]
        if self._fault == "batch in another order" and len({*map(len, texts)}) < len(texts):
            return [found[1], found[0], *found[2:]]
        if self._fault == "last token missing":
            return [of[:-1] for of in found]
        return found

    def _one(self, ids: Tensor) -> Tensor:
        return self._right.read([ids])[0]

    def close(self) -> None:
        """Nothing is held."""


def texts() -> list[Tensor]:
    ids, _ = tiny_models.batch(3, 9)
    return texts_to_check([*ids], CHUNK, 64)


def checked(folder: Path, fault: str) -> Any:
    right = reader_at(folder)
    expected = [right.read([ids])[0] for ids in texts()]
    rounding = ROUNDING[torch.float32]
    return check_reader(Fake(folder, fault), texts(), expected, rounding, "the model")


def test_a_reader_that_is_right_passes(llama: Path) -> None:
    found = checked(llama, "")
    assert max(found[:3]) <= found.allowed


def test_a_long_text_has_more_than_two_chunks() -> None:
    *short, long = texts()
    assert [len(ids) for ids in short] == [9, 9, 9]
    assert len(long) > 2 * CHUNK
    assert len(texts_to_check([*tiny_models.batch()[0]], 0, 64)) == 2  # a reader without chunks


@pytest.mark.parametrize(
    ("fault", "wrong"),
    [
        ("next block", r"[\d.e+-]+ for texts alone"),
        ("batch in another order", r" 0 for texts alone, [\d.e+-]+ in a batch"),
        ("chunks forget", r" 0 for texts alone, .* in a batch, [\d.e+-]+ for a text in chunks"),
        ("last token missing", r"inf for texts alone"),
    ],
)
def test_a_reader_that_is_wrong_is_refused_with_the_figures(
    llama: Path, fault: str, wrong: str
) -> None:
    with pytest.raises(ModelError, match=rf"fake does not read the model as .*{wrong}") as raised:
        checked(llama, fault)
    assert "(allowed: 0.0002)" in str(raised.value)
    assert "crossdiff_reader = transformers" in str(raised.value)


def install_vllm(monkeypatch: pytest.MonkeyPatch, shift: int = 0) -> list[dict[str, Any]]:
    """A package with as much of vLLM's interface as its documentation of the export shows; it reads
    with transformers, `shift` blocks too far.  Returns how engines were made.
    """
    made: list[dict[str, Any]] = []

    class Engine:
        def __init__(self, **options: Any) -> None:
            made.append(options)
            draft = options["speculative_config"]["draft_model_config"]
            (self.block,) = draft["hf_config"]["eagle_aux_hidden_state_layer_ids"]
            where = options["kv_transfer_config"].kv_connector_extra_config
            self.folder = where["shared_storage_path"]
            self.model = reader_at(options["model"], self.block - 1 + shift)

        def generate(self, prompts: Any, sampling: Any, *, use_tqdm: bool) -> list[Any]:
            assert sampling.max_tokens == 1
            outputs = []
            for number, prompt in enumerate(prompts):
                ids = torch.tensor(prompt["prompt_token_ids"])
                path = f"{self.folder}/{len(made)}-{number}.safetensors"
                states = self.model.read([ids])[0][:, None].contiguous()
                save_file({"token_ids": ids, "hidden_states": states}, path)
                written = {"hidden_states_path": path}
                outputs.append(types.SimpleNamespace(kv_transfer_params=written))
            return outputs

    package: Any = types.ModuleType("vllm")
    package.LLM, package.SamplingParams = Engine, types.SimpleNamespace
    transfer: Any = types.ModuleType("vllm.config.kv_transfer")
    transfer.KVTransferConfig = types.SimpleNamespace
    monkeypatch.setitem(sys.modules, "vllm", package)
    monkeypatch.setitem(sys.modules, "vllm.config", types.ModuleType("vllm.config"))
    monkeypatch.setitem(sys.modules, "vllm.config.kv_transfer", transfer)
    return made


def test_vllm_is_asked_for_the_stream_after_the_block(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = install_vllm(monkeypatch)
    reader = VllmReader(resolve(str(llama)), LAYER, "float32", 64)
    ids, _ = tiny_models.batch(3, 9)
    for one, right in zip(reader.read([*ids]), reader_at(llama).read([*ids]), strict=True):
        torch.testing.assert_close(one, right)
    (options,) = made
    assert options["speculative_config"]["method"] == "extract_hidden_states"
    assert (options["enable_chunked_prefill"], options["enable_prefix_caching"]) == (False, False)
    reader.close()


@pytest.mark.parametrize("shift", [0, 1])
def test_a_run_reads_with_vllm_what_it_reads_with_transformers_or_not_at_all(
    shift: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = planted.plain(tmp_path / "model")
    install_vllm(monkeypatch, shift)

    def read(reader: str) -> Harvest:
        settings = planted.quick(folder, folder, tmp_path / "cache", layer=0, tokens=4_000)
        made = plan(settings.with_values(reader=reader))
        read_models(made, SilentProgress())
        return Harvest(made.store.entry("harvest", made.harvest_keys["baseline"]))

    if shift:
        with pytest.raises(ModelError, match=r"vllm does not read .* for texts alone"):
            read("vllm")
        return
    right, found = read("transformers"), read("vllm")
    every = np.arange(len(right))
    torch.testing.assert_close(found.vectors(every), right.vectors(every))


def test_the_output_is_left_to_transformers(llama: Path) -> None:
    model = load(str(llama), layer="output", dtype="float32", device="cpu")
    with pytest.raises(SettingsError, match="vllm reads the blocks"):
        choice.checked_reader("vllm", model, [torch.tensor([[1, 2]])], 64)


def test_without_vllm_it_says_what_to_install(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ModelError, match=r"vllm can't be imported(.|\n)*pip install"):
        VllmReader(resolve(str(llama)), LAYER, "float32", 64)
