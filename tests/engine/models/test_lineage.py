"""Models that descend from one another are told from models that were trained separately."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from transformers import AutoModelForCausalLM

from pytest_crossdiff.engine.models.lineage import WeightSample, related
from pytest_crossdiff.engine.models.loaded import LoadedModel, load
from pytest_crossdiff.store.cache import Store
from support import planted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted.plain(tmp_path_factory.mktemp("base"))


def sample(folder: Path) -> WeightSample:
    return WeightSample.of(load(str(folder), layer=0))


def changed(base: Path, folder: Path, change: Callable[[LoadedModel], None]) -> Path:
    """A copy of the model with its weights changed in place."""
    loaded = load(str(base), layer=0, with_head=True)
    with torch.no_grad():
        change(loaded)
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


def test_a_copy_and_a_rounded_copy_are_related(base, tmp_path):
    assert sample(base).correlation(sample(base)) == pytest.approx(1.0, abs=1e-3)
    rounded = planted.noisy(tmp_path / "rounded", relative=0.1)
    assert related(sample(base), sample(rounded))


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_a_fine_tune_is_related_however_far_its_change_is_scaled(base, tmp_path, factor):
    def tuned(loaded):
        g = torch.Generator().manual_seed(3)
        for block in loaded.blocks:
            for weight in block.parameters():
                if weight.ndim == 2:  # a change of low rank, as adapters make it
                    u, v = (torch.randn(n, 4, generator=g) for n in weight.shape)
                    change = u @ v.T
                    weight.add_(factor * 0.4 * weight.std() * change / change.std())

    assert related(sample(base), sample(changed(base, tmp_path / "tuned", tuned)))


def test_a_model_of_another_seed_or_another_shape_is_not(base, tmp_path):
    other = sample(planted.plain(tmp_path / "other", seed=1))
    assert abs(sample(base).correlation(other)) < 0.1
    assert not related(sample(base), other)
    assert not related(sample(base), sample(planted.plain(tmp_path / "wide", width=64)))
    assert not related(sample(base), sample(planted.encoder(tmp_path / "encoder")))


def test_embeddings_have_no_say(base, tmp_path):
    """A padding token or another table makes no other model."""
    model = AutoModelForCausalLM.from_pretrained(base)
    model.resize_token_embeddings(model.config.vocab_size + 64)
    model.save_pretrained(tmp_path / "padded")
    load(str(base), layer=0).tokenizer.save_pretrained(tmp_path / "padded")
    found = sample(base).correlation(sample(tmp_path / "padded"))
    assert found == pytest.approx(1.0, abs=1e-3)


def test_what_is_kept_is_what_was_taken(base, tmp_path):
    entry = Store.at(str(tmp_path)).entry("weights", "ab" * 32)
    taken = sample(base)
    with entry.lock():
        taken.save(entry)
    assert taken.correlation(WeightSample.load(entry)) == pytest.approx(1.0, abs=1e-3)
