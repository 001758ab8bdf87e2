"""Training on planted concepts: found, resumed to the same bits, silent when nothing differs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from benchmarks.toy import Toy, pairs_of, toy
from pytest_crossdiff.engine.dictionary import training
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig, Inputs
from pytest_crossdiff.engine.dictionary.crosscoders import new_models
from pytest_crossdiff.engine.dictionary.training import Trainer, TrainingConfig, batches, train
from pytest_crossdiff.engine.verification.exclusivity import screen
from pytest_crossdiff.engine.verification.heldout import Heldout, measure_heldout
from pytest_crossdiff.engine.verification.model_distance import ModelDistance
from pytest_crossdiff.engine.verification.verify import classify_features
from pytest_crossdiff.errors import ActivationError
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.store.cache import Store

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_crossdiff.results.difference import Feature

CPU = torch.device("cpu")


def trained(
    t: Toy, store: Store, *, architecture: str = "dfc", seed: int = 0, features: int = 160
) -> Crosscoder:
    own = 0 if architecture == "standard" else 8
    a, b = t.pairs.a.harvest.width, t.pairs.b.harvest.width
    config = CrosscoderConfig(architecture, a, b, features - 2 * own, own, own, 4)
    (model,) = new_models({seed: config}, t.pairs)
    trainer = Trainer(model, TrainingConfig(400, 512, 2e-3))
    entry = store.entry("crosscoder", f"{architecture}{seed}")
    with entry.lock():
        train([trainer], t.pairs, [entry], CPU, SilentProgress())
    return model


def verdicts(t: Toy, model: Crosscoder) -> tuple[Heldout, list[Feature]]:
    with torch.no_grad():
        settings = Settings(exclusivity=0.4, probe="ridge")
        distance = ModelDistance((0.0, 0.0), (settings.exclusivity, settings.exclusivity))
        (held,) = measure_heldout(
            [model], t.pairs, [screen(t.pairs, model, CPU)], distance, settings, CPU
        )
    usual = Settings()  # however far apart the toy's models are
    return held, classify_features(
        held, ModelDistance((0.0, 0.0), (usual.exclusivity,) * 2), 0, usual
    )


def concept(t: Toy, f_n: np.ndarray[Any, Any]) -> int:
    """The planted concept whose activation a feature follows, -1 when it follows none: a shard of a
    concept that several features share correlates with it less than the whole.
    """
    truth = t.activation_nc[torch.from_numpy(t.pairs.heldout())].numpy()
    r = np.corrcoef(np.concatenate([f_n[:, None], truth], axis=1).T)[0, 1:]
    return int(r.argmax()) if r.max() > 0.4 else -1


@pytest.mark.parametrize("architecture", ["dfc", "standard"])
def test_planted_exclusive_concepts_are_found(architecture: str, tmp_path: Path) -> None:
    t = toy(own=4)
    model = trained(t, Store(tmp_path), architecture=architecture)
    held, features = verdicts(t, model)
    found = {side: set[int]() for side in ("baseline", "candidate")}
    for p, feature in enumerate(features):
        if feature.verified:
            found[feature.side].add(concept(t, held.f_np[:, p]))
    assert len(found["baseline"] & set(t.only_a)) >= 3
    assert len(found["candidate"] & set(t.only_b)) >= 3
    if architecture == "dfc":  # `standard` also reports a feature that mixes two concepts
        assert found["baseline"] <= set(t.only_a)
        assert found["candidate"] <= set(t.only_b)
    every, of_candidates = (
        screen(t.pairs, model, CPU, None, least).active for least in (-1.0, 0.4)
    )
    candidates = torch.from_numpy(held.index_p)
    assert torch.equal(of_candidates.columns(candidates), every.columns(candidates))
    assert len(of_candidates.value) < len(every.value) / 2  # the rest isn't kept in memory


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_found_where_nothing_was_planted(seed: int, tmp_path: Path) -> None:
    t = toy(own=0, seed=seed)
    _, features = verdicts(t, trained(t, Store(tmp_path), seed=seed))
    assert not [f for f in features if f.verified]


def test_a_rotated_copy_has_no_difference(tmp_path: Path) -> None:
    t = toy(own=0)
    x = t.pairs.a.harvest.vectors(np.arange(12_000))
    rotation = torch.linalg.qr(torch.randn(32, 32, generator=torch.Generator().manual_seed(1)))[0]
    copy = x @ rotation + 1e-5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    same = replace(t, pairs=pairs_of(x, copy, t.pairs.group_n))
    _, features = verdicts(same, trained(same, Store(tmp_path)))
    assert not [f for f in features if f.verified]


def test_an_interrupted_training_ends_in_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = toy(tokens=3_000)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)  # after every step
    config = TrainingConfig(60, 256, 2e-3)
    sizes = CrosscoderConfig("dfc", 32, 48, 40, 4, 4, 4)

    def fresh() -> Trainer:
        return Trainer(Crosscoder(sizes), config)

    whole, cut, resumed = fresh(), fresh(), fresh()
    entry = Store(tmp_path / "whole").entry("crosscoder", "abc")
    with entry.lock():
        train([whole], t.pairs, [entry], CPU, SilentProgress())

    step_on_inputs = cut.step_on_inputs

    def killed(x: Inputs) -> None:
        if cut.step == 37:
            raise KeyboardInterrupt
        step_on_inputs(x)

    monkeypatch.setattr(cut, "step_on_inputs", killed)
    entry = Store(tmp_path / "parts").entry("crosscoder", "abc")
    with pytest.raises(KeyboardInterrupt), entry.lock():
        train([cut], t.pairs, [entry], CPU, SilentProgress())
    entry = Store(tmp_path / "parts").entry("crosscoder", "abc")
    with entry.lock():
        train([resumed], t.pairs, [entry], CPU, SilentProgress())
    assert cut.step == 37
    assert resumed.loss == whole.loss
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    for p, q in zip(whole.parameters.values(), resumed.parameters.values(), strict=True):
        for key, value in whole.optimiser.state[p].items():
            assert torch.equal(value, resumed.optimiser.state[q][key]), key


def test_every_epoch_sees_every_row_once_in_an_order_of_its_own() -> None:
    rows = np.arange(100, 200)
    config = TrainingConfig(20, 10, 1e-3)
    seen = list(batches(rows, config, 0))
    first, second = np.concatenate(seen[:10]), np.concatenate(seen[10:])
    assert sorted(first) == sorted(second) == list(rows)
    assert not np.array_equal(first, second)
    assert all(
        np.array_equal(x, y) for x, y in zip(seen[13:], batches(rows, config, 13), strict=True)
    )


def test_a_diverging_training_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    t = toy(tokens=2_000)
    t.pairs.a.harvest.x_nd[5] = float("nan")
    trainer = Trainer(
        Crosscoder(CrosscoderConfig("dfc", 32, 48, 40, 4, 4, 4)), TrainingConfig(50, 512, 1e-3)
    )
    entry = Store(tmp_path).entry("crosscoder", "abc")
    with pytest.raises(ActivationError, match="crossdiff_learning_rate"), entry.lock():
        train([trainer], t.pairs, [entry], CPU, SilentProgress())


def test_fraction_of_variance_explained_is_that_of_held_out_text(tmp_path: Path) -> None:
    t = toy(own=4)
    model = trained(t, Store(tmp_path))
    held, _ = verdicts(t, model)
    x_a, x_b = t.pairs.batch(t.pairs.heldout())
    with torch.no_grad():
        left = model.errors(model.encode(x_a, x_b), model.inputs(x_a, x_b))
    expected = 1 - left.a_ta.square().sum() / (x_a - x_a.mean(0)).square().sum()
    assert held.ablation.fve()[0] == pytest.approx(float(expected), abs=1e-5)
    assert held.ablation.fve()[0] > 0.9
