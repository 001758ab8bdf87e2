"""The main job on real models from disk: what is found, kept, resumed and refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder
from pytest_crossdiff.engine.plan import plan
from pytest_crossdiff.errors import (
    ActivationError,
    CorpusError,
    InsufficientData,
    ModelError,
    SettingsError,
)
from pytest_crossdiff.results.result import Result
from pytest_crossdiff.store.cache import Store
from support import planted
from support.tokenizers import TEXTS

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_crossdiff.engine.pipeline import Outcome


DEFAULTS: dict[str, Any] = {"architecture": "innovation", "probe": "mlp", "exclusive_share": 0.2}
DEFAULTS |= {"min_r2": 0.25, "controls": True}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    makers = (planted.plain, planted.merged, planted.noisy, planted.encoder, planted.broken)
    return {maker.__name__: maker(root / maker.__name__) for maker in makers}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def lost(models: dict[str, Path], cache: Path) -> Outcome:
    """A candidate that can't tell some tokens apart any more."""
    return pipeline.run(planted.quick(models["plain"], models["merged"], cache))


def entries(cache: Path, kind: str) -> dict[str, float]:
    """The complete entries of a kind with the time each was finished."""
    found = (info for info in Store(cache).list() if info.kind == kind and info.complete)
    return {info.key: (info.path / "manifest.json").stat().st_mtime for info in found}


def words(outcome: Outcome, side: Any) -> set[str]:
    """The token texts on which a side's differences fire most."""
    return {t.token for d in outcome.result.of(side) for t in d.tokens[:2]}


def test_what_the_candidate_lost_is_found_and_named(lost: Outcome) -> None:
    assert len(lost.result.of("baseline")) >= 2
    assert not lost.result.of("candidate")
    assert words(lost, "baseline") & set(planted.MERGED)
    top = lost.result.of("baseline")[0]
    assert top.contexts[0].token.strip() in planted.MERGED
    assert top.exclusivity_low > 0.5
    assert 0 < top.strength <= lost.result.total_strength("baseline") < 0.2


def test_the_same_pair_the_other_way_round_is_candidate_only(
    models: dict[str, Path], cache: Path
) -> None:
    settings = planted.quick(models["merged"], models["plain"], cache, **DEFAULTS)
    found = pipeline.run(settings)
    assert len(found.result.of("candidate")) >= 1
    assert not found.result.of("baseline")
    assert words(found, "candidate") & set(planted.MERGED)


@pytest.mark.parametrize("other", ["plain", "noisy"])
def test_nothing_is_found_in_the_same_model_twice_or_a_noisy_copy(
    other: str, models: dict[str, Path], cache: Path
) -> None:
    found = pipeline.run(planted.quick(models["plain"], models[other], cache))
    assert found.result.differences == ()
    assert found.result.baseline.token_coverage == 1.0
    assert found.result.baseline.fve > 0.5


@pytest.mark.long
def test_curved_maps_belong_to_a_dictionary_between_models_trained_apart(
    models: dict[str, Path], cache: Path
) -> None:
    settings = planted.quick(
        models["plain"], models["encoder"], cache, architecture="innovation", maps="curved"
    )
    made = pipeline.run(settings)
    model = pipeline.load_crosscoder(made).model
    assert model.config.map_units
    assert float(model.innovation_scale.max()) < 0.98 * float(model.linear_scale.max())
    assert made.result.candidate.required_exclusivity >= 0.9
    assert (
        plan(settings).crosscoder_keys != plan(settings.with_values(maps="linear")).crosscoder_keys
    )
    x_ta, x_tb = torch.randn(5, 48), torch.randn(5, 32)
    own_tb = model.inputs(x_ta, x_tb).innovation_b_tb
    linear_tb = (x_tb - x_ta @ model.to_b.weight_do - model.to_b.bias_o) / model.innovation_scale[1]
    assert own_tb is not None
    assert not torch.allclose(own_tb, linear_tb, atol=0.01)


def test_the_default_dictionary_finds_what_was_lost_and_says_how_weak_a_signal_it_would_see(
    models: dict[str, Path], cache: Path
) -> None:
    settings = planted.quick(models["plain"], models["merged"], cache, **DEFAULTS)
    found = pipeline.run(settings).result
    assert len(found.of("baseline")) >= 1
    assert not found.of("candidate")
    assert {t.token for t in found.of("baseline")[0].tokens} & set(planted.MERGED)
    assert found.controls.null is not None
    assert found.controls.null.found == 0
    assert [limit.density for limit in found.controls.limits("baseline")] == [0.003, 0.01]
    assert not found.controls.insensitive("baseline")


def test_the_default_dictionary_finds_nothing_in_the_same_model_twice_or_a_noisy_copy(
    models: dict[str, Path], cache: Path
) -> None:
    for other in ("plain", "noisy"):
        settings = planted.quick(models["plain"], models[other], cache, **DEFAULTS)
        found = pipeline.run(settings).result
        assert found.differences == ()
        assert not found.controls.insensitive("candidate")


def test_dictionaries_that_are_there_are_used_when_more_are_asked_for(
    models: dict[str, Path], cache: Path, lost: Outcome
) -> None:
    before = entries(cache, "crosscoder")
    settings = lost.plan.settings.with_values(seeds=2)
    more = pipeline.run(settings)
    after = entries(cache, "crosscoder")
    assert len(after) == len(before) + 1
    assert before.items() <= after.items()
    assert more.result.training.seeds == (0, 1)
    assert more.plan.crosscoder_keys[0] == lost.plan.crosscoder_keys[0]
    alone = pipeline.run(settings.with_values(seeds=1, seed=1))  # trained as the second of two
    assert entries(cache, "crosscoder") == after

    def dictionary(outcome: Outcome) -> list[tuple[object, ...]]:
        # All dictionaries share one probe, so what it reads of a feature depends on them all.
        second = [f for f in outcome.result.features if f.seed == 1]
        return [(f.index, f.side, f.strength, f.density, f.peak, f.documents) for f in second]

    assert dictionary(alone) == dictionary(more)


def test_the_first_of_several_dictionaries_reconstructs_the_models_for_the_others(
    models: dict[str, Path], cache: Path
) -> None:
    settings = planted.quick(
        models["plain"], models["merged"], cache, architecture="innovation", seeds=2
    )
    both = pipeline.run(settings)
    whole, other = (
        TrainedCrosscoder.load(both.plan.store.entry("crosscoder", key)).model
        for key in both.plan.crosscoder_keys
    )
    assert whole.config.shared > 0
    assert other.config == whole.config.exclusive_only()
    alone = pipeline.run(settings.with_values(seeds=1))
    assert alone.plan.crosscoder_keys == both.plan.crosscoder_keys[:1]
    for side in ("baseline", "candidate"):
        assert both.result.model(side).fve == pytest.approx(alone.result.model(side).fve)
    found = [f for f in both.result.features if f.verified and f.side == "baseline"]
    assert {f.seed for f in found} == {0, 1}
    (difference, *_) = both.result.differences
    assert difference.seeds == (0, 1)
    assert len(difference.latent_scaling) == 2


def test_what_is_trained_as_the_second_is_not_taken_for_the_first(
    models: dict[str, Path], cache: Path
) -> None:
    settings = planted.quick(models["plain"], models["merged"], cache, architecture="innovation")
    second = plan(settings.with_values(seeds=2)).crosscoder_keys[1]
    assert plan(settings.with_values(seed=1)).crosscoder_keys[0] != second


@pytest.mark.parametrize("architecture", ["standard", "innovation"])
def test_the_other_architectures_run(
    architecture: str, models: dict[str, Path], cache: Path
) -> None:
    settings = planted.quick(models["plain"], models["merged"], cache, architecture=architecture)
    found = pipeline.run(settings)
    assert found.result.training.architecture == architecture
    assert words(found, "baseline") & set(planted.MERGED)


def test_other_architecture_width_and_tokenizer(models: dict[str, Path], cache: Path) -> None:
    found = pipeline.run(planted.quick(models["plain"], models["encoder"], cache)).result
    assert (found.baseline.width, found.candidate.width) == (48, 32)
    assert found.baseline.tokens != found.candidate.tokens
    assert found.baseline.aligned_tokens == found.candidate.aligned_tokens
    assert 0.5 < found.baseline.token_coverage < 1.0
    assert found.candidate.special > 0  # [CLS] and [SEP]


def test_chat_records_are_read_through_a_template(models: dict[str, Path], cache: Path) -> None:
    turns = [
        {
            "messages": [
                {"role": "user", "content": text},
                {"role": "assistant", "content": text[::-1]},
            ]
        }
        for text in (
            f"Question {i}: how is a {w} made?" * 4 for i in range(60) for w in planted.MERGED
        )
    ]
    settings = planted.quick(models["plain"], models["plain"], cache, chat_template="plain")
    found = pipeline.run(settings, turns).result
    assert found.corpus.records == len(turns)
    with pytest.raises(ModelError, match="crossdiff_chat_template = plain"):
        pipeline.run(settings.with_values(chat_template="own"), turns)


def test_a_second_run_answers_from_the_cache(lost: Outcome) -> None:
    again = pipeline.run(lost.plan.settings)
    assert again.cached
    assert again.result == lost.result
    assert pipeline.cached(lost.plan.settings) is not None


def test_a_cached_answer_calls_models_and_texts_as_they_are_called_now(
    lost: Outcome, models: dict[str, Path], cache: Path, tmp_path: Path
) -> None:
    """As in a project that was copied to another folder."""
    moved = {name: shutil.copytree(models[name], tmp_path / name) for name in ("plain", "merged")}
    found = pipeline.cached(planted.quick(moved["plain"], moved["merged"], cache))
    assert found is not None
    assert found.result.baseline.reference == str(moved["plain"])
    assert found.result.candidate.reference == str(moved["merged"])
    facts = lost.result.baseline, found.result.baseline
    assert len({replace(of, reference="") for of in facts}) == 1


def test_a_cached_answer_imports_neither_torch_nor_numpy(lost: Outcome) -> None:
    code = (
        "import sys, json; from pytest_crossdiff.settings import Settings\n"
        "from pytest_crossdiff.engine import pipeline\n"
        "assert pipeline.cached(Settings(**json.loads(sys.argv[1]))) is not None\n"
        "print([m for m in ('torch', 'transformers', 'numpy', 'safetensors') if m in sys.modules])"
    )
    given = json.dumps(lost.plan.settings.as_dict())
    command = [sys.executable, "-c", code, given]
    assert subprocess.check_output(command, text=True).strip() == "[]"


def test_another_candidate_re_uses_the_baselines_activations(
    lost: Outcome, models: dict[str, Path], cache: Path
) -> None:
    before = entries(cache, "harvest")
    key = lost.plan.harvest_keys["baseline"]
    other = pipeline.run(planted.quick(models["plain"], models["encoder"], cache, steps=60))
    assert other.plan.harvest_keys["baseline"] == key
    assert entries(cache, "harvest")[key] == before[key]


def test_what_is_computed_from_a_seed_has_the_seed_in_its_key(
    models: dict[str, Path], cache: Path
) -> None:
    settings = planted.quick(models["plain"], models["merged"], cache)
    first, other = (plan(settings.with_values(seed=seed)) for seed in (0, 7))
    assert first.crosscoder_keys != other.crosscoder_keys
    assert all(first.control_keys[kind] != other.control_keys[kind] for kind in ("spiked", "null"))
    assert first.harvest_keys == other.harvest_keys


def test_other_test_settings_re_use_the_crosscoder(lost: Outcome, cache: Path) -> None:
    before = entries(cache, "crosscoder")
    strict = pipeline.run(lost.plan.settings.with_values(exclusivity=0.9))
    assert not strict.cached
    assert entries(cache, "crosscoder") == before


def test_the_crosscoder_can_be_used(lost: Outcome) -> None:
    trained = pipeline.load_crosscoder(lost)
    f = trained.encode(torch.randn(3, 48), torch.randn(3, 48))
    assert f.shape == (3, 512)
    assert len(trained.meta["loss"]) <= 200


def test_a_crosscoder_that_was_removed_or_damaged_is_trained_again(
    models: dict[str, Path], tmp_path: Path
) -> None:
    settings = planted.quick(models["plain"], models["merged"], tmp_path, tokens=4_000, steps=60)
    settings = settings.with_values(metrics=False, effect=False)
    measured = pipeline.run(settings)
    before = pipeline.load_crosscoder(measured).model.state_dict()
    entry = measured.plan.store.entry("crosscoder", measured.plan.crosscoder_keys[0])
    for spoil in (
        lambda: shutil.rmtree(entry.path),
        lambda: (entry.path / "weights.safetensors").write_bytes(b"damaged"),
    ):
        spoil()
        never = pipeline.cached(settings.with_values(train="never"))
        with pytest.raises(InsufficientData, match="not the dictionary"):
            pipeline.load_crosscoder(never)
        after = pipeline.load_crosscoder(pipeline.cached(settings)).model.state_dict()
        assert all(torch.equal(after[name], before[name]) for name in before)


def test_the_verdict_repeats_to_the_bit(lost: Outcome, tmp_path: Path) -> None:
    again = pipeline.run(lost.plan.settings.with_values(cache_dir=str(tmp_path)))
    before, after = digests(lost.plan.store.root), digests(tmp_path)
    assert after == {key: before[key] for key in after}
    # of each model a harvest, a sample of weights, a self-check and final states; a crosscoder,
    # metrics
    assert len(after) == 10
    assert replace(again.result, seconds={}) == replace(lost.result, seconds={})


def digests(cache: Path) -> dict[str, Any]:
    """Every stored tensor file by its digest."""
    found = {}
    for info in Store(cache).list():
        if info.complete and info.kind != "result":
            manifest = Store(cache).entry(info.kind, info.key).read_manifest()
            assert manifest is not None
            found[f"{info.kind}/{info.key}"] = manifest.files
    return found


RUN = """
import sys, json, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
from pytest_crossdiff.engine.activations import batches
from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.dictionary import training
from pytest_crossdiff.settings import Settings
training.CHECKPOINT_SECONDS = 0.0
batches.SHARD_TOKENS = 2_000
from pytest_crossdiff.progress import SilentProgress
class Loud(SilentProgress):
    def phase(self, name, total, unit):
        phase = super().phase(name, total, unit)
        advance, done = phase.advance, [0]
        def told(units=1, detail=""):
            done[0] += units
            print(name, done[0] / total, flush=True)
        phase.advance = told
        return phase
pipeline.run(Settings(**json.loads(sys.argv[1])), progress=Loud())
"""


def start(models: dict[str, Path], cache: Path, candidate: str = "merged") -> subprocess.Popen[str]:
    settings = planted.quick(models["plain"], models[candidate], cache, steps=60)
    command = [sys.executable, "-c", RUN, json.dumps(settings.as_dict())]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=subprocess.DEVNULL, text=True)


@pytest.fixture(scope="session")
def uninterrupted(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("uninterrupted")
    with start(models, cache) as run:
        run.communicate()
    assert run.returncode == 0
    return cache


@pytest.mark.parametrize(
    ("phase", "how"),
    [
        pytest.param("read candidate", signal.SIGKILL, marks=pytest.mark.long),
        ("train dictionaries", signal.SIGKILL),
        pytest.param("train dictionaries", signal.SIGINT, marks=pytest.mark.long),
        ("verify features", signal.SIGINT),
    ],
)
def test_a_stopped_run_goes_on_and_ends_in_the_same_bits(
    phase: str,
    how: signal.Signals,
    models: dict[str, Path],
    uninterrupted: Path,
    tmp_path: Path,
) -> None:
    with start(models, tmp_path) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if line.startswith(phase) and float(line.split()[-1]) > 0.4:
                os.kill(run.pid, how)
                break
        run.stdout.read()
    assert run.returncode != 0
    assert not entries(tmp_path, "result")
    with start(models, tmp_path) as run:
        said = run.communicate()[0]
    assert run.returncode == 0
    if phase != "read candidate":
        assert "read baseline" not in said  # nothing that was finished is done again
    assert digests(tmp_path) == digests(uninterrupted)
    (key,) = entries(uninterrupted, "result")
    one, two = (
        Result.from_json(Store(c).entry("result", key).read_bytes("result.json").decode())
        for c in (uninterrupted, tmp_path)
    )
    assert replace(one, seconds={}) == replace(two, seconds={})


def test_a_damaged_entry_is_set_aside_said_so_and_made_anew(
    models: dict[str, Path], tmp_path: Path
) -> None:
    settings = planted.quick(models["plain"], models["merged"], tmp_path, steps=60)
    first = pipeline.run(settings)
    shard = next((tmp_path / "harvest").rglob("shard-*.safetensors"))
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    (first.entry / "result.json").write_bytes(b"{}")
    shutil.rmtree(tmp_path / "crosscoder")

    said: list[str] = []

    class Listener(pipeline.SilentProgress):
        def note(self, message: str) -> None:
            said.append(message)

    again = pipeline.run(settings, progress=Listener())
    assert not again.cached
    assert replace(again.result, seconds={}) == replace(first.result, seconds={})
    assert sum("set aside" in message for message in said) == 2


def test_a_read_only_cache_still_answers(lost: Outcome) -> None:
    root = lost.plan.store.root
    if os.geteuid() == 0:  # root may write anywhere, so look at what is written instead
        before = {p: p.stat().st_mtime_ns for p in root.rglob("*")}
        assert pipeline.run(lost.plan.settings).cached
        assert {p: p.stat().st_mtime_ns for p in root.rglob("*")} == before
    else:
        for folder in root.rglob("*"):
            folder.chmod(0o555 if folder.is_dir() else 0o444)
        assert pipeline.run(lost.plan.settings).cached


def test_train_never_is_an_error_where_the_cache_has_no_answer(
    models: dict[str, Path], tmp_path: Path
) -> None:
    settings = planted.quick(models["plain"], models["merged"], tmp_path, train="never")
    with pytest.raises(InsufficientData, match="crossdiff_train = auto"):
        pipeline.run(settings)
    assert not list(tmp_path.iterdir()) or not entries(tmp_path, "harvest")


def test_what_can_not_be_measured_is_an_error_that_says_why(
    models: dict[str, Path], cache: Path
) -> None:
    good = planted.quick(models["plain"], models["merged"], cache)
    with pytest.raises(ActivationError, match=r"NaN or infinite[\s\S]*crossdiff_candidate"):
        pipeline.run(good.with_values(candidate=str(models["broken"])))
    with pytest.raises(ModelError, match="3 blocks"):
        pipeline.run(good.with_values(layer=7))
    with pytest.raises(InsufficientData, match=r"a dictionary of 4096 features needs 20,480"):
        pipeline.run(good.with_values(features=4096))
    with pytest.raises(CorpusError, match="too few"):
        pipeline.run(good, ["one text only", "and another"])
    with pytest.raises(SettingsError, match="crossdiff_candidate is not set"):
        pipeline.run(good.with_values(candidate=""))
    with pytest.raises(InsufficientData, match=r"training tokens; a dictionary of 128"):
        pipeline.run(good.with_values(features=0), [f"text number {i} is short" for i in range(60)])


def test_one_token_texts_are_read(models: dict[str, Path], cache: Path) -> None:
    texts = [f"{a} {b}" if i % 2 else f"{a}{i}" for i, (a, b) in enumerate(_couples())]
    found = pipeline.run(planted.quick(models["plain"], models["plain"], cache, features=64), texts)
    assert found.result.corpus.records == len(texts)


def _couples() -> list[tuple[str, str]]:
    seen = sorted({w for w in TEXTS.read_text("utf-8").split() if w.isalpha()})
    return [(a, b) for a in seen[:900] for b in (seen[900],)]


def test_two_processes_at_once_compute_once(models: dict[str, Path], tmp_path: Path) -> None:
    runs = [start(models, tmp_path, "noisy") for _ in range(2)]
    said = [run.communicate(timeout=240)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert sum("train dictionaries" in text for text in said) == 1
