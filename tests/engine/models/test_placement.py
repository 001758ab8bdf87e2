"""A model that is dealt out to memory and disk is read as it is in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from pytest_crossdiff.engine.metrics.heads import read_head
from pytest_crossdiff.engine.models.lineage import WeightSample
from pytest_crossdiff.engine.models.loaded import LoadedModel, load, read
from pytest_crossdiff.engine.models.placement import parse
from pytest_crossdiff.errors import ModelError
from support import tiny_models

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("accelerate")
PARTLY = "auto, cpu=110KB"


def both(folder: Path, layer: Any, device_map: str = PARTLY) -> tuple[LoadedModel, LoadedModel]:
    options: Any = {"layer": layer, "dtype": "float32", "device": "cpu"}
    return load(str(folder), **options), load(str(folder), device_map=device_map, **options)


@pytest.mark.parametrize("family", ["llama", "qwen3_moe", "gpt2", "bert"])
def test_weights_on_disk_give_the_same_bits(family: str, tmp_path: Path) -> None:
    folder = tiny_models.save(tiny_models.make(family), tmp_path)
    plain, dealt = both(folder, 2)
    assert any(weight.is_meta for weight in dealt.model.parameters())
    assert not all(weight.is_meta for weight in dealt.model.parameters())
    inputs = tiny_models.batch()
    assert torch.equal(read(plain, *inputs).vectors_bpd, read(dealt, *inputs).vectors_bpd)
    samples = [WeightSample.of(of) for of in (plain, dealt)]
    for number, weights in samples[0].weights.items():
        np.testing.assert_array_equal(weights, samples[1].weights[number])
    dealt.unload()
    assert all(weight.is_meta for weight in dealt.model.parameters())


def test_so_do_predictions_and_the_head(tmp_path: Path) -> None:
    folder = tiny_models.save(tiny_models.make("llama"), tmp_path)
    plain, dealt = both(folder, "output")
    assert dealt.model.lm_head.weight.is_meta
    ids_bp, mask_bp = tiny_models.batch()
    found = [read(of, ids_bp, mask_bp) for of in (plain, dealt)]
    assert torch.equal(found[0].vectors_bpd, found[1].vectors_bpd)
    torch.testing.assert_close(found[0].nll_bp, found[1].nll_bp, equal_nan=True, rtol=0, atol=0)
    heads = [read_head(of.model, {"input_ids": ids_bp}) for of in (plain, dealt)]
    assert torch.equal(heads[0].weight_vd, heads[1].weight_vd)


def test_a_model_that_fits_stays_in_memory(tmp_path: Path) -> None:
    folder = tiny_models.save(tiny_models.make("llama"), tmp_path)
    plain, dealt = both(folder, 2, "auto")
    assert not any(weight.is_meta for weight in dealt.model.parameters())
    inputs = tiny_models.batch()
    assert torch.equal(read(plain, *inputs).vectors_bpd, read(dealt, *inputs).vectors_bpd)


@pytest.mark.parametrize("text", ["gpu", "auto, cpu", "auto, disk=1GB", "auto; cpu=1GB"])
def test_what_is_no_device_map_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"dealt out(.|\n)*auto, 0=70GB"):
        parse(text)


def test_limits_are_those_of_transformers() -> None:
    found = parse("balanced, 0 = 70GB, cpu=1.5TiB")
    assert found is not None
    assert found.options("folder") == {
        "device_map": "balanced",
        "max_memory": {0: "70GB", "cpu": "1.5TiB"},
        "offload_folder": "folder",
    }
