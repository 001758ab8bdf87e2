"""Plans for devices that are not here: a fitted cost model and models known by their configs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

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
)
from pytest_crossdiff.engine.capacity.devices import DEVICES, parse
from pytest_crossdiff.engine.capacity.projection import PlannedModel, model_at, project
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
    terms, reading = step_terms(512, 2048, 512, 32), read_terms(1000, 10**9)
    core, h100 = DEVICES["cpu"], DEVICES["h100"]
    growth = next(ms for name, _, ms in fit_of_runs.steps() if name == "features 2048")
    assert step_seconds(core, terms) == pytest.approx(growth, rel=fitted().error["step"])
    tokens = 1000 * fitted().read["token"]
    product = 2 * 1000 * 10**9 / (EFFICIENCY * 989e12)
    assert read_seconds(h100, reading) == pytest.approx(product + tokens)
    assert step_seconds(h100, terms) < step_seconds(core, terms)


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
    assert train[1].hours == pytest.approx(train[0].hours / 3)
    assert eight.hours < one.hours
    assert one.harvest == 2 * 4096 * 1_000_000 * 2


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
    assert "largest error of a run left out of the fit: step 28.4 %" in said
    assert "Assumed: 40 % of a GPU's products" in said
    assert sorted(path.name for path in config.parent.iterdir()) == ["config.json"]
