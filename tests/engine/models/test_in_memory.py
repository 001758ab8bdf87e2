"""A measurement reads the models that fixtures hold, as long as these are what was loaded."""

import copy

import pytest
import torch
from torch import nn

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.models import in_memory
from pytest_crossdiff.engine.models.loading import load as loading
from pytest_crossdiff.engine.replies.recorded_model import RecordedModel
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.sides import SIDES
from support import planted, tiny_models

SETTINGS = Settings(device="cpu", dtype="float32")


@pytest.fixture
def held(tmp_path):
    folder = tiny_models.save(tiny_models.make("llama", seed=5), tmp_path / "model")
    settings = SETTINGS.with_values(baseline=str(folder), cache_dir=str(tmp_path / "cache"))
    return RecordedModel.load(settings, "baseline", lambda *_: None)


@pytest.fixture(autouse=True)
def _nothing_else_is_held(monkeypatch):
    monkeypatch.setattr(in_memory, "_held", [])


def found(held, settings=SETTINGS, *, with_head=False):
    return in_memory.find_held(settings, held.reference, with_head=with_head) is held


def test_it_is_found_while_somebody_has_it(held):
    assert found(held)
    assert found(held, with_head=True)  # a causal model always has its head
    assert not found(held, SETTINGS.with_values(dtype="bfloat16"))
    assert not found(held, SETTINGS.with_values(device_map="auto"))


def test_it_is_forgotten_with_its_fixture(held):
    reference, shared = held.reference, copy.copy(held)
    in_memory.hold(shared, with_head=False)
    in_memory._held[:] = in_memory._held[-1:]
    assert found(shared)
    del shared
    assert in_memory.find_held(SETTINGS, reference, with_head=False) is None


def scale(model):
    model.model.layers[1].mlp.up_proj.weight.data[3, 2] *= 1.5


def swap(model):
    weight = model.model.embed_tokens.weight.data
    weight[[2, 5]] = weight[[5, 2]]


def frequencies(model):
    model.model.rotary_emb.inv_freq[0] += 1e-3


def hook(model):
    model.model.layers[0].register_forward_hook(lambda *_: None)


def forward(model):
    model.model.norm.forward = lambda hidden: hidden


def replace(model):
    model.model.norm = nn.Identity()


def train(model):
    model.model.train()


def configure(model):
    model.config.rms_norm_eps = 0.5


def stop_elsewhere(model):
    model.generation_config.eos_token_id = 7


@pytest.mark.parametrize(
    "change", [scale, swap, frequencies, hook, forward, replace, train, configure, stop_elsewhere]
)
def test_it_is_not_found_once_a_test_has_changed_it(held, change):
    change(held.model)
    assert not found(held)


def test_a_measurement_loads_nothing_that_fixtures_hold_and_says_the_same(tmp_path, monkeypatch):
    folders = planted.plain(tmp_path / "plain"), planted.merged(tmp_path / "merged")
    more = {"tokens": 4_000, "replies": 0}
    alone = pipeline.run(planted.quick(*folders, tmp_path / "a", **more)).result
    settings = planted.quick(*folders, tmp_path / "b", **more)
    held = [RecordedModel.load(settings, side, lambda *_: None) for side in SIDES]
    held[1].reply("The node", max_tokens=2)
    held[0].tokenizer.add_tokens(["node"])  # a tokenizer is loaded again
    monkeypatch.setattr(loading, "from_pretrained", None)  # a model can't be
    result = pipeline.run(settings).result
    assert result.differences == alone.differences
    assert result.features == alone.features
    assert result.output == alone.output
    assert all(found(model, settings) for model in held)
    with torch.inference_mode():
        logits = held[0].model(torch.tensor([[1, 2, 3]])).logits
    assert torch.isfinite(logits).all()
