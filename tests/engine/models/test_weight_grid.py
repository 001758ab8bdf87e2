"""Weights that were rounded to few values are noticed, by a file's header or by themselves."""

import json

import gguf
import numpy as np
import pytest
import torch
import transformers as tf
from gguf.quants import dequantize, quantize

from pytest_crossdiff.engine.models.loading.weight_grid import WeightGrid, grid_remark, weight_grid
from pytest_crossdiff.engine.models.sources.references import resolve
from support import gguf_files, tiny_models


def model():
    return tiny_models.build(tf.LlamaForCausalLM, tf.LlamaConfig(**tiny_models.GROUPED))


def rounded(kind):
    """A model whose matrices were quantised to a GGUF format and back."""
    made = model()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if "proj" in name:
                blocks = quantize(weight.numpy(), kind)
                weight.copy_(torch.from_numpy(dequantize(blocks, kind)))
    return made


def grid_of(made, folder):
    return weight_grid(resolve(str(tiny_models.save(made, folder))))


Q4_1, Q8_0 = gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0


def test_weights_that_were_rounded_to_four_bits_are_noticed_in_a_folder(tmp_path):
    assert grid_of(rounded(Q4_1), tmp_path / "q4") == WeightGrid(few=True)
    assert grid_of(rounded(Q8_0), tmp_path / "q8") == WeightGrid()
    assert grid_of(model(), tmp_path / "plain") == WeightGrid()


def test_the_format_of_a_gguf_file_is_that_of_most_of_its_numbers(tmp_path):
    plain = gguf_files.write(model(), tmp_path / "plain.gguf")
    assert weight_grid(resolve(str(plain))) == WeightGrid()
    extra = quantize(np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32), Q8_0)
    file = gguf_files.write(
        model(),
        tmp_path / "q8.gguf",
        lambda w: w.add_tensor("extra.weight", extra, raw_dtype=Q8_0),
    )
    assert weight_grid(resolve(str(file))) == WeightGrid("Q8_0 (GGUF)")


def test_the_method_of_a_quantised_checkpoint_is_its_grid(tmp_path):
    folder = tiny_models.save(model(), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8"}
    (folder / "config.json").write_text(json.dumps(config))
    assert weight_grid(resolve(str(folder))) == WeightGrid("fp8")


@pytest.mark.parametrize(
    ("baseline", "candidate", "says"),
    [
        (WeightGrid(few=True), WeightGrid(), "baseline's weights are rounded to 4 bits or fewer"),
        (WeightGrid(), WeightGrid("fp8"), "the candidate's rounded to fp8"),
        (WeightGrid("Q4_1 (GGUF)", few=True), WeightGrid("Q4_K (GGUF)", few=True), "to Q4_K"),
    ],
)
def test_models_on_other_grids_get_a_remark(baseline, candidate, says):
    remark = grid_remark({"baseline": baseline, "candidate": candidate})
    assert says in remark
    assert "rounding alone can change the most likely token" in remark


@pytest.mark.parametrize(
    ("baseline", "candidate"),
    [
        (WeightGrid(), WeightGrid()),
        (WeightGrid(few=True), WeightGrid(few=True)),
        (WeightGrid("Q4_1 (GGUF)", few=True), WeightGrid(few=True)),
        (WeightGrid("fp8"), WeightGrid("fp8")),
    ],
)
def test_models_that_may_lie_on_one_grid_get_none(baseline, candidate):
    assert grid_remark({"baseline": baseline, "candidate": candidate}) == ""
