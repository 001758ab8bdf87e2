"""Output metrics of real models on disk, compared with a computation of their own.

The other computation reads each text alone with the whole model and sums in double precision.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import itertools
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.metrics import measure as measuring
from pytest_crossdiff.engine.metrics.measure import POSITIONS
from pytest_crossdiff.engine.metrics.stored import load_or_measure, stored_metrics
from pytest_crossdiff.engine.plan import plan
from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.store.cache import Store
from pytest_crossdiff.store.lock import KeyLock
from support import planted
from support.tokenizers import tokenizer

if TYPE_CHECKING:
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.results.output import OutputMetrics


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    makers = (
        planted.plain, planted.noisy, planted.encoder, planted.broken, planted.changed_by_padding,
        padded, other_words,
    )  # fmt: skip
    return {maker.__name__: maker(root / maker.__name__) for maker in makers}


def padded(folder: Path) -> Path:
    """The noisy model with a padding token and a table of embeddings that is longer by eight."""
    planted.noisy(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    words = AutoTokenizer.from_pretrained(folder)
    words.add_special_tokens({"pad_token": "<pad>"})
    model.resize_token_embeddings(len(words) + 7, mean_resizing=False)
    with torch.no_grad():  # never predicted, like rows that were never trained
        model.lm_head.weight[-8:] = 0.0
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def other_words(folder: Path) -> Path:
    """A causal model whose tokenizer divides texts in another way."""
    words = tokenizer("SentencePiece BPE")
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def planned(models: dict[str, Path], a: str, b: str, cache: Path, **others: Any) -> Plan:
    settings = planted.quick(models[a], models[b], cache, tokens=4_000)
    return plan(settings.with_values(**others))


def measured(of: Plan) -> OutputMetrics:
    found = load_or_measure(of, SilentProgress())
    assert found.output is not None, found.reason
    return found.output


class Alone(NamedTuple):
    """One model on one text by itself: fp64 log-probabilities, shape (p, v), and token ids."""

    logp_pv: torch.Tensor
    ids: list[int]
    ends: list[int]


def alone(folder: Path, text: str) -> Alone:
    words, model = loaded(folder)
    encoded = words(text, return_offsets_mapping=True)
    with torch.no_grad():
        logits = model(torch.tensor([encoded["input_ids"]])).logits[0]
    ends = [end if end > start else 0 for start, end in encoded["offset_mapping"]]
    return Alone(logits.double().log_softmax(-1), encoded["input_ids"], ends)


@functools.cache
def loaded(folder: Path) -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return AutoTokenizer.from_pretrained(folder), model


def heldout(of: Plan) -> list[tuple[int, str]]:
    return [(i, p.text) for i, p in enumerate(of.sample.pieces) if p.heldout and p.text]


@pytest.mark.parametrize("candidate", ["noisy", "changed_by_padding"])
def test_every_metric_is_that_of_an_independent_computation(models, tmp_path, candidate):
    of = planned(models, "plain", candidate, tmp_path)
    found = measured(of)
    kl, same, before, after = [], [], [], []
    for _, text in heldout(of):
        a, b = alone(models["plain"], text), alone(models[candidate], text)
        kl += (a.logp_pv.exp() * (a.logp_pv - b.logp_pv)).sum(1)[:-1].tolist()
        same += (a.logp_pv.argmax(1) == b.logp_pv.argmax(1))[:-1].tolist()
        actual = torch.tensor(a.ids[1:])[:, None]
        before += a.logp_pv[:-1].gather(1, actual)[:, 0].tolist()
        after += b.logp_pv[:-1].gather(1, actual)[:, 0].tolist()
    change = np.exp(after) - np.exp(before)
    assert found.unit == "token"
    assert found.positions == len(kl)
    assert found.documents == len(heldout(of))
    assert found.kl is not None
    assert found.kl.value == pytest.approx(np.mean(kl), rel=1e-4)
    for name in ("50", "90", "99", "99.9"):
        wanted = np.quantile(kl, float(name) / 100, method="inverted_cdf")
        assert found.kl_percentiles[name].value == pytest.approx(wanted, rel=1e-3)
    assert found.same_top is not None
    assert found.same_top.value == np.mean(same)
    assert found.probability_change.value == pytest.approx(np.mean(change), abs=1e-8)
    wanted = np.sqrt(np.mean(change**2))
    assert found.probability_change_rms.value == pytest.approx(wanted, rel=1e-4)
    assert found.baseline_loss.value == pytest.approx(-np.mean(before), rel=1e-6)
    assert found.candidate_loss.value == pytest.approx(-np.mean(after), rel=1e-6)
    ratio = np.exp(np.mean(before) - np.mean(after))
    assert found.perplexity_ratio.value == pytest.approx(ratio, rel=1e-6)
    assert found.kl.low < found.kl.value < found.kl.high


def test_positions_are_kept_for_a_closer_look(models, tmp_path):
    of = planned(models, "plain", "noisy", tmp_path)
    found = measured(of)
    path = of.store.entry("metrics", of.metrics_key).verified_path(POSITIONS)
    columns = load_file(path)
    assert columns["kl"].mean() == pytest.approx(found.kl.value)
    i, text = heldout(of)[3]
    a, b = alone(models["plain"], text), alone(models["noisy"], text)
    wanted = (a.logp_pv.exp() * (a.logp_pv - b.logp_pv)).sum(1)[:-1]
    here = columns["piece"] == i
    assert columns["end"][here].tolist() == a.ends[1:]
    assert columns["kl"][here] == pytest.approx(wanted.numpy(), rel=1e-3, abs=1e-7)


def test_the_largest_changes_are_shown_with_what_both_models_predict(models, tmp_path):
    found = measured(planned(models, "plain", "noisy", tmp_path))
    first = found.largest[0]
    assert first.kl >= found.kl_percentiles["99.9"].value
    assert [p.kl for p in found.largest] == sorted((p.kl for p in found.largest), reverse=True)
    assert len({p.document for p in found.largest}) == len(found.largest) == 10
    words = AutoTokenizer.from_pretrained(models["plain"])
    model = AutoModelForCausalLM.from_pretrained(models["plain"])
    whole = first.before + first.token
    if len(first.before) < 100:  # the whole text before is shown
        ids = words(first.before)["input_ids"]
        with torch.no_grad():
            p = model(torch.tensor([ids])).logits[0, -1].softmax(-1)
        assert words.decode(int(p.argmax())) == first.baseline_top, whole
        assert first.baseline_probability == pytest.approx(float(p.max()), rel=1e-4)


def test_a_model_against_itself_has_no_divergence_at_all(models, tmp_path):
    found = measured(planned(models, "plain", "plain", tmp_path))
    assert (found.kl.value, found.kl.high) == (0.0, 0.0)
    assert found.same_top.value == 1.0
    assert found.probability_change_rms.value == 0.0
    assert (found.perplexity_ratio.low, found.perplexity_ratio.high) == (1.0, 1.0)
    assert found.largest == ()


def test_tokens_and_rows_that_only_one_model_has_leave_the_rest_comparable(models, tmp_path):
    """New outputs take 8 of 808 shares of little probability from the rest, and nothing else."""
    of = planned(models, "plain", "padded", tmp_path)
    found = measured(of)
    assert found.unit == "token"
    kl = []
    for _, text in heldout(of):
        a, b = alone(models["plain"], text), alone(models["padded"], text)
        b_shared = b.logp_pv[:, : a.logp_pv.shape[1]]
        kl += (a.logp_pv.exp() * (a.logp_pv - b_shared)).sum(1)[:-1].tolist()
    assert found.kl.value == pytest.approx(np.mean(kl), rel=1e-4)


def test_between_tokenizers_spans_are_compared(models, tmp_path):
    of = planned(models, "plain", "other_words", tmp_path)
    found = measured(of)
    assert found.unit == "span"
    assert found.kl is None
    assert found.same_top is None
    sums, lengths = [], []
    for _, text in heldout(of):
        cuts: list[dict[int, float]] = []
        for name in ("plain", "other_words"):
            read = alone(models[name], text)
            total, at = 0.0, {}
            for p, (token, end) in enumerate(zip(read.ids, read.ends, strict=True)):
                total += float(read.logp_pv[p - 1, token]) if p else 0.0
                if p and end:
                    at[end] = total  # of several tokens that end here the last
            cuts.append(at)
        word_ends = [
            end
            for end in sorted(cuts[0].keys() & cuts[1].keys())
            if end == len(text) or not (text[end - 1].isalnum() and text[end].isalnum())
        ]
        for start, end in itertools.pairwise(word_ends):
            sums.append([cut[end] - cut[start] for cut in cuts])
            lengths.append(len(text[start:end].encode()))
    sum_a, sum_b = np.array(sums).T
    assert found.positions == len(sums)
    change = sum_b - sum_a
    assert found.log_probability_change.value == pytest.approx(change.mean(), rel=1e-5)
    wanted = np.sqrt(np.mean(change**2))
    assert found.log_probability_change_rms.value == pytest.approx(wanted, rel=1e-5)
    assert found.baseline_loss.value == pytest.approx(-sum_a.sum() / sum(lengths), rel=1e-5)
    assert found.candidate_loss.value == pytest.approx(-sum_b.sum() / sum(lengths), rel=1e-5)


def test_parts_of_the_corpus_are_told_apart(models, tmp_path):
    texts = [
        {"text": f"The {word} of document {i} is on fire, and {word} again. " * 3, "slice": name}
        for i in range(60)
        for name, word in (("short", "node"), ("long", "operator"))
    ]
    settings = planted.quick(models["plain"], models["noisy"], tmp_path, tokens=50_000)
    of = plan(settings, texts)
    found = measured(of)
    by_name = {s.name: s for s in found.slices}
    assert by_name.keys() == {"short", "long"}
    assert sum(s.positions for s in found.slices) == found.positions
    mean = sum(s.kl.value * s.positions for s in found.slices) / found.positions
    assert mean == pytest.approx(found.kl.value)


def test_a_changed_candidate_finds_the_baseline_in_the_cache(models, tmp_path):
    first, second = (planned(models, "plain", b, tmp_path) for b in ("noisy", "padded"))
    assert first.state_keys["baseline"] == second.state_keys["baseline"]
    assert first.metrics_key != second.metrics_key
    assert planned(models, "plain", "noisy", tmp_path, layer=1).metrics_key == first.metrics_key


@pytest.mark.parametrize("side", ["baseline", "candidate"])
def test_a_model_that_predicts_no_next_token_is_not_loaded_for_that(
    models, tmp_path, monkeypatch, side
):
    monkeypatch.setattr(measuring, "load_configured", lambda *_: pytest.fail("loaded"))
    names = ("encoder", "plain") if side == "baseline" else ("plain", "encoder")
    of = planned(models, *names, tmp_path)
    found = load_or_measure(of, SilentProgress())
    assert found.reason == f"the {side}, BertModel, predicts no next token"


def test_a_pair_without_predictions_is_said_so_and_remembered(models, tmp_path):
    of = planned(models, "encoder", "plain", tmp_path)
    found = load_or_measure(of, SilentProgress())
    assert found.output is None
    assert found.reason == "the baseline, BertModel, predicts no next token"
    assert stored_metrics(of) == found


def test_what_may_go_better_another_time_is_not_remembered(models, tmp_path):
    of = planned(models, "plain", "broken", tmp_path)
    found = load_or_measure(of, SilentProgress())
    assert found.output is None
    assert "NaN or infinite" in found.reason
    assert stored_metrics(of) is None


@pytest.fixture(scope="module")
def compared(models, tmp_path_factory):
    """The settings of a comparison and its outcome."""
    settings = planted.quick(
        models["plain"], models["noisy"], tmp_path_factory.mktemp("cache"), tokens=4_000
    )
    return settings, pipeline.run(settings)


def test_a_result_without_stored_metrics_is_extended_without_computing_it_anew(compared):
    settings, before = compared
    store = Store(Path(settings.cache_dir))
    (info,) = (info for info in store.list() if info.kind == "metrics")
    assert store.remove(info)
    assert pipeline.cached(settings).result.output is None
    after = pipeline.run(settings)
    assert after.cached
    assert after.result == before.result
    assert pipeline.cached(settings).result == after.result


def test_damaged_metrics_in_a_cache_that_cannot_be_written_keep_nothing_else_from_its_answer(
    compared, tmp_path, monkeypatch
):
    settings = compared[0].with_values(cache_dir=str(tmp_path))
    shutil.copytree(compared[0].cache_dir, tmp_path, dirs_exist_ok=True)
    whole = pipeline.cached(settings).result
    (entry,) = (tmp_path / "metrics").glob("*/*")
    (entry / "metrics.json").write_bytes(b"{}")

    def refuse(path, _word):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    def unreadable(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr("pytest_crossdiff.store.entry.move_aside", refuse)
    never = settings.with_values(train="never")
    for found in (pipeline.cached(settings), pipeline.run(settings), pipeline.run(never)):
        assert found.cached
        reason = found.result.no_output
        assert found.result == dataclasses.replace(whole, output=None, no_output=reason)
        assert f"{entry / 'metrics.json'} is not what was written" in reason
        assert f"can't set aside {entry}: Read-only file system" in reason
        assert f"to do: remove {entry} as somebody who may write there" in reason
    monkeypatch.setattr("pytest_crossdiff.store.entry.must_be_file", unreadable)
    found = stored_metrics(plan(settings))
    assert found.reason == (
        f"can't read {entry / 'manifest.json'}: Permission denied; to do: have its owner let you "
        "read it, or set crossdiff_cache_dir to another folder"
    )
    monkeypatch.undo()
    shutil.rmtree(entry)

    def locked(_self, **_):
        raise StoreError("can't lock it: Read-only file system", remedy="set another folder")

    monkeypatch.setattr(KeyLock, "_acquire", locked)
    missing = load_or_measure(plan(settings), SilentProgress())
    assert missing.reason == "can't lock it: Read-only file system; to do: set another folder"
