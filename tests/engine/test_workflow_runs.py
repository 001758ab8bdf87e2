"""Whole runs with a reference corpus: what they add to a result, and what keeps them from it."""

import json
import math

import pytest

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.activations import out_of_distribution
from pytest_crossdiff.errors import CorpusError
from support import planted
from support.tokenizers import TEXTS

ROWS = [json.loads(line)["text"] for line in TEXTS.read_text("utf-8").splitlines()]


@pytest.fixture(autouse=True)
def _no_text_is_out_of_distribution(monkeypatch):
    monkeypatch.setattr(out_of_distribution, "MIN_JUDGED_TOKENS", 10**9)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A pair with texts of the last sign-off, and today's, in which one slice is other texts."""
    folder = tmp_path_factory.mktemp("workflow")
    half = len(ROWS) // 2
    before = [("log", text) for text in ROWS[:half]]
    today = [("log", text) for text in ROWS[half : half + half // 2]]
    today += [("codes", " ".join(text.split()[::-1])) for text in ROWS[half + half // 2 :]]
    for name, rows in (("then", before), ("today", today)):
        lines = (json.dumps({"slice": part, "text": text}) for part, text in rows)
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    return planted.quick(
        planted.plain(folder / "v1"), planted.merged(folder / "v2"), folder / "cache",
        corpus=str(folder / "today.jsonl"), reference_corpus=str(folder / "then.jsonl"),
        tokens=6_000,
    )  # fmt: skip


def test_the_change_is_split_by_the_numbers_of_both_corpora(settings):
    found = pipeline.run(settings).result
    then = pipeline.run(
        settings.with_values(corpus=settings.reference_corpus, reference_corpus="")
    ).result
    assert then.workflow is None
    split = found.workflow
    assert split.reference == settings.reference_corpus
    assert split.loss.model.value == pytest.approx(math.log(then.output.perplexity_ratio.value))
    assert split.loss.workflow.value == pytest.approx(
        found.output.baseline_loss.value - then.output.baseline_loss.value
    )
    assert split.loss.total == pytest.approx(
        found.output.candidate_loss.value - then.output.baseline_loss.value
    )
    assert split.kl.model.value == pytest.approx(then.output.kl.value)
    assert split.kl.total == pytest.approx(found.output.kl.value)
    assert ("codes", "new") in {(one.name, one.drift) for one in split.slices}
    # The planted difference fires on words, which both corpora have: the dictionary of today's
    # finds it in the texts of then, about as often.
    fired = {one.difference: one for one in split.firing}
    assert fired
    assert {*fired} == {d.id for d in found.of("baseline")} | {d.id for d in found.of("candidate")}
    assert all(one.reference.value > 0 for one in fired.values())
    again = pipeline.cached(settings)
    assert again.result.workflow == split


def test_the_reference_corpus_is_in_no_key_of_the_result(settings):
    with_split, without = (
        pipeline.plan(settings.with_values(reference_corpus=name)).result_key
        for name in (settings.reference_corpus, "")
    )
    assert with_split == without


def test_a_reference_corpus_that_can_t_be_read_is_an_error_before_anything_is_measured(
    settings, tmp_path
):
    wrong = settings.with_values(reference_corpus="nowhere.jsonl", cache_dir=str(tmp_path / "c"))
    with pytest.raises(CorpusError, match="there is no corpus"):
        pipeline.run(wrong)
    assert not (tmp_path / "c").exists()


def test_without_metrics_model_and_workflow_are_not_told_apart(settings):
    found = pipeline.run(settings.with_values(metrics=False)).result
    assert (found.workflow, found.no_workflow) == (None, "crossdiff_metrics = false")
