"""What dictionaries are trained on: the same whether it is kept or made for each batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.toy import toy
from pytest_crossdiff.engine.controls.planted_signals import plant_signals
from pytest_crossdiff.engine.dictionary import training_inputs
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.dictionary.crosscoders import new_trainers
from pytest_crossdiff.engine.dictionary.innovation import fit_maps
from pytest_crossdiff.engine.dictionary.training import Trainer, TrainingConfig, batches
from pytest_crossdiff.engine.dictionary.training_inputs import TrainingInputs

CPU = torch.device("cpu")


@pytest.mark.parametrize("architecture", ["innovation", "dfc"])
def test_kept_inputs_are_those_of_each_batch(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = plant_signals(toy(tokens=15_000).pairs)  # more than one block of training pairs
    a, b = pairs.a.harvest.width, pairs.b.harvest.width
    training_config, config = (
        TrainingConfig(9, 300, 1e-3),
        CrosscoderConfig(architecture, a, b, 40, 4, 4, 4),
    )
    (trainer,) = new_trainers({0: config}, training_config, pairs, CPU)
    kept = TrainingInputs(trainer.model, pairs, CPU)
    monkeypatch.setattr(training_inputs, "MAX_CACHED_BYTES", 0)
    made = TrainingInputs(trainer.model, pairs, CPU)
    assert kept.kept
    assert not made.kept
    for chosen in batches(pairs.training(), training_config, 0):
        for x, y in zip(kept(chosen), made(chosen), strict=True):
            assert (x is None) == (y is None)
            assert x is None or y is None or torch.allclose(x, y, atol=1e-5)


def test_a_dictionary_may_take_the_maps_of_another_of_its_pairs_and_nothing_else() -> None:
    pairs = toy(tokens=2_000).pairs
    a, b = pairs.a.harvest.width, pairs.b.harvest.width
    training_config = TrainingConfig(1, 100, 1e-3)

    def made(features: int, seed: int, maps_from: Crosscoder | None) -> Trainer:
        config = CrosscoderConfig("innovation", a, b, features, 4, 4, 4)
        configs, planted = {seed: config}, plant_signals(pairs)
        (trainer,) = new_trainers(configs, training_config, planted, CPU, maps_from, curved=True)
        return trainer

    first = made(40, 0, None).model
    first.threshold.fill_(7.0)
    second, alone = made(20, 1, first).model, made(20, 1, None).model
    assert first.config.map_units == second.config.map_units > 0
    assert all(torch.equal(x, alone.state_dict()[k]) for k, x in second.state_dict().items())
    to_a, to_b, _ = fit_maps(pairs, curved=True)
    rows = np.arange(50)
    x = second.inputs(*pairs.batch(rows))
    for own, x_in, x_out, side in zip(
        x[2:], pairs.batch(rows)[::-1], pairs.batch(rows), (to_a, to_b), strict=True
    ):
        assert own is not None
        left = (x_out - side.map(x_in)) / side.mean_square**0.5
        assert torch.allclose(own, left, atol=1e-4)
