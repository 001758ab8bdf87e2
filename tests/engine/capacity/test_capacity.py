"""Plans for devices that are not here: a fitted cost model and models known by their configs."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.dictionaries import partition
from benchmarks.speed import cost_model as fit_of_runs
from pytest_crossdiff.cli import main
from pytest_crossdiff.engine.capacity.cost_model import (
    EFFICIENCY,
    FITTED,
    LOAD_BANDWIDTH,
    fitted,
    read_seconds,
    read_terms,
    step_seconds,
    step_terms,
    verify_seconds,
    verify_terms,
)
from pytest_crossdiff.engine.capacity.devices import DEVICES, parse
from pytest_crossdiff.engine.capacity.projection import PlannedModel, model_at, project
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.regression.networks import EPOCHS
from pytest_crossdiff.errors import ModelError, SettingsError
from pytest_crossdiff.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

LLAMA_70B = {
    "architectures": ["LlamaForCausalLM"], "attention_bias": False, "bos_token_id": 128000,
    "eos_token_id": 128001, "hidden_act": "silu", "hidden_size": 8192, "intermediate_size": 28672,
    "max_position_embeddings": 131072, "mlp_bias": False, "model_type": "llama",
    "num_attention_heads": 64, "num_hidden_layers": 80, "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "tie_word_embeddings": False,
    "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                     "original_max_position_embeddings": 8192, "rope_type": "llama3"},
    "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": 128256,
}  # fmt: skip
"""The config of Llama-3.1-70B."""
D, FFN, KV, VOCABULARY = 8192, 28672, 1024, 128256
BLOCK = 2 * D * D + 2 * D * KV + 3 * D * FFN + 2 * D
BILLION = 10**9


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has the config and nothing else: no weights, no tokenizer."""
    path = tmp_path_factory.mktemp("70b") / "config.json"
    path.write_text(json.dumps(LLAMA_70B), "utf-8")
    return path


def test_the_committed_model_is_what_the_committed_runs_give() -> None:
    assert json.loads(FITTED.read_text("utf-8")) == fit_of_runs.rounded(fit_of_runs.fitted())


def test_a_fit_finds_the_costs_that_made_the_times() -> None:
    costs = {"constant": 3e-3, "product": 2e-11, "active": 5e-10, "parameters": 4e-10}
    costs["selection"] = 3e-9
    rows: fit_of_runs.Rows = []
    for name, terms, _ in fit_of_runs.steps():
        rows.append((name, terms, sum(costs[term] * of for term, of in terms.items())))
    assert fit_of_runs.fit(rows) == pytest.approx(costs, rel=1e-6)
    assert max(map(abs, fit_of_runs.errors(rows))) < 1e-6


def test_a_core_takes_what_was_fitted_and_a_gpu_what_its_data_sheet_says() -> None:
    whole = CrosscoderConfig("dfc", 256, 256, *partition("dfc", 2048), 32)
    terms, reading = step_terms(512, whole), read_terms(1000, 10**9)
    core, h100 = DEVICES["cpu"], DEVICES["h100"]
    growth = next(ms for name, _, ms in fit_of_runs.steps() if name == "features 2048")
    assert step_seconds(core, terms) == pytest.approx(growth, rel=fitted().error["step"])
    tokens = 1000 * fitted().read["token"]
    product = 2 * 1000 * 10**9 / (EFFICIENCY * 989e12)
    assert read_seconds(h100, reading) == pytest.approx(product + tokens)
    assert step_seconds(h100, terms) < step_seconds(core, terms)


def test_a_step_counts_the_weights_that_each_group_of_features_has() -> None:
    whole = CrosscoderConfig("innovation", 30, 50, 8, 3, 2, 4)
    terms = step_terms(10, whole)
    assert whole.weights == 8 * 80 + 3 * 30 + 2 * 50
    assert terms["product"] == 10 * whole.weights
    assert terms["active"] == 10 * (4 * 80 + 0.5 * 30 + 0.5 * 50)
    alone = step_terms(10, whole.exclusive_only())
    assert (alone["product"], alone["selection"]) == (10 * (3 * 30 + 2 * 50), 10 * 5)
    assert alone["active"] == 10 * (0.5 * 30 + 0.5 * 50)
    # in `dfc` all features compete, so an active one has their mean width
    assert step_terms(10, replace(whole, architecture="dfc"))["active"] == pytest.approx(
        10 * 4 * whole.weights / 13
    )
    made = Crosscoder(whole)
    assert whole.weights == made.enc_a_pa.numel() + made.enc_b_pb.numel()


def test_networks_of_probes_learn_from_no_more_pairs_than_are_kept_for_them() -> None:
    one = [CrosscoderConfig("innovation", 64, 64, 0, 10, 10, 4)]
    few, many, more = (verify_terms(n, 0, one) for n in (10_000, 40_000, 50_000))
    networks = 0.75 * EPOCHS * 3 * 512 * (64 + 64 + 2 * 256)  # multiply-adds for each pair
    other = 2 * 64**2 + one[0].weights
    assert many["product"] - few["product"] == 30_000 * other + 22_768 * networks
    assert more["product"] - many["product"] == 10_000 * other


def test_a_70b_is_known_by_its_config_alone(config: Path) -> None:
    found = model_at(str(config), 0.5, "", "the baseline")
    assert (found.architecture, found.layers, found.layer) == ("LlamaForCausalLM", 80, 40)
    assert found.weights == 80 * BLOCK + 2 * VOCABULARY * D + D
    assert found.run == 41 * BLOCK
    assert found.loaded == 41 * BLOCK + VOCABULARY * D + D  # embeddings, blocks, the final norm
    assert found.width == D


MODELS: Any = dict.fromkeys(
    ("baseline", "candidate"),
    PlannedModel("LlamaModel", 32, 16, 4096, 8 * BILLION, 4 * BILLION, 4 * BILLION),
)


def test_phases_are_shared_by_as_many_devices_as_they_can_use() -> None:
    settings = Settings(tokens=1_000_000, seeds=3, heldout=0.2)
    one, eight = (project(MODELS, settings, parse(f"h100:{n}"), 2) for n in (1, 8))
    by_name = [{phase.name: phase for phase in found.phases} for found in (one, eight)]
    read = [of["read baseline"].hours * 3600 - 8e9 / LOAD_BANDWIDTH for of in by_name]
    assert read[1] == pytest.approx(read[0] / 8)
    train = [of["train dictionaries"] for of in by_name]
    assert [phase.devices for phase in train] == [1, 3]
    # eight devices wait for the one that has the dictionary with the shared features
    assert train[0].hours > train[1].hours > train[0].hours / 2
    assert eight.hours < one.hours
    assert one.harvest == 2 * 4096 * 1_000_000 * 2


def test_only_the_first_dictionary_has_shared_features_and_controls_have_none() -> None:
    settings = Settings(tokens=1_000_000, heldout=0.2, features=1000, exclusive_share=0.2)
    core = parse("cpu")
    found = {seeds: project(MODELS, settings.with_values(seeds=seeds), core, 4) for seeds in (1, 3)}
    whole, alone = 600 * 8192 + 400 * 4096, 400 * 4096  # numbers of an encoder
    assert found[1].dictionaries == 4 * 3 * 2 * whole
    assert found[3].dictionaries == 4 * 3 * 2 * (whole + 2 * alone)
    batch = settings.batch_size
    assert found[1].training == 4 * 4 * 2 * whole + 4 * 3 * batch * 1000
    by_name = {n: {phase.name: phase.hours for phase in of.phases} for n, of in found.items()}
    two_alone = by_name[3]["train dictionaries"] - by_name[1]["train dictionaries"]
    both_verified = 2 * _verification(settings, [400])
    controls = by_name[3]["null control and planted signals"]
    assert controls == pytest.approx(two_alone + both_verified)
    assert by_name[3]["verify features"] == pytest.approx(_verification(settings, [1000, 400, 400]))


def _verification(settings: Settings, features: list[int]) -> float:
    """Hours of a core for dictionaries of so many features, 400 of which are exclusive."""
    dictionaries = [
        CrosscoderConfig("innovation", 4096, 4096, of - 400, 200, 200, settings.k)
        for of in features
    ]
    return verify_seconds(DEVICES["cpu"], verify_terms(800_000, 200_000, dictionaries)) / 3600


def test_a_model_that_is_too_large_takes_several_devices() -> None:
    found = project(MODELS, Settings(tokens=100_000), parse("l4:2"), 2)
    assert found.a_model == 1
    assert project(MODELS, Settings(tokens=100_000), parse("l4"), 8).a_model == 2


@pytest.mark.parametrize("text", ["tpu", "h100:0", "h100x8", "", "h100:-1"])
def test_an_unknown_device_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(SettingsError, match=r"no device(.|\n)*h100"):
        parse(text)


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config.json"):
        model_at(str(tmp_path), 0.5, "", "the baseline")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("name", ["", "config.json"])
def test_a_pipe_as_a_config_is_refused_and_not_waited_for(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(ModelError, match=r"config\.json is no file but a pipe or a device"):
        model_at(str(tmp_path / name), 0.5, "", "the baseline")


def test_the_command_says_what_it_does_and_builds_one_shape_once(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    built = []
    monkeypatch.setattr(
        "pytest_crossdiff.engine.capacity.projection.model_at",
        lambda *given: built.append(given) or MODELS["baseline"],
    )
    monkeypatch.chdir(config.parent)
    assert main(["plan", str(config)]) == 0
    assert main(["plan", str(config), "another"]) == 0
    assert [path for path, *_ in built] == [str(config), str(config), "another"]
    assert "build the models from their configs: 2 models" in capsys.readouterr().err


def test_the_command_states_hours_bytes_and_its_error(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(config.parent)
    assert main(["plan", str(config), "--on=h100:8", "--tokens=2000000"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "70.6 billion weights, block 40 of 80: reading it loads 36.1 billion" in said
    assert "disk 66 GB of activations" in said
    assert "h100:8:" in said
    assert "device-hours" in said
    assert "largest error of a run left out of the fit: step 40.1 %" in said
    assert "Assumed: 40 % of a GPU's products" in said
    assert sorted(path.name for path in config.parent.iterdir()) == ["config.json"]
