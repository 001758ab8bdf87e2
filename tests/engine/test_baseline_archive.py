"""A baseline whose weights are gone: its archive judges the next candidate as the weights would."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.activations import out_of_distribution
from pytest_crossdiff.engine.baseline_archive import (
    export_baseline,
    import_baseline,
    refuse_unfit,
)
from pytest_crossdiff.engine.models.loaded import load_configured
from pytest_crossdiff.engine.plan import plan
from pytest_crossdiff.engine.population.sources import writing_entry
from pytest_crossdiff.engine.population.writing import Written, save_written
from pytest_crossdiff.errors import CorpusError, InsufficientData, ModelError
from pytest_crossdiff.store.cache import Store
from support import planted
from support.tokenizers import TEXTS

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Archived(NamedTuple):
    """The settings of the pair, the archive of its baseline, and what the weights gave."""

    settings: object
    file: object
    exported: object
    result: object


@pytest.fixture(scope="module")
def archived(tmp_path_factory):
    """A pair that was measured, after which the baseline was exported and its folder removed."""
    folder = tmp_path_factory.mktemp("archived")
    models = planted.plain(folder / "v1"), planted.merged(folder / "v2")
    for model in models:
        (model / "chat_template.jinja").write_text(TEMPLATE)
    settings = planted.quick(
        *models, folder / "cache", corpus=str(_conversations(folder)), replies=4, effect=False,
        corpus_column="user:question, assistant:text", layer=0,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(out_of_distribution, "MIN_JUDGED_TOKENS", 10**9)
        result = pipeline.run(settings).result
        file = folder / "v1.crossdiff"
        exported = export_baseline(settings, file)
        shutil.rmtree(models[0])
        yield Archived(settings, file, exported, result)


def _conversations(folder):
    import json

    rows = [json.loads(line) for line in TEXTS.read_text("utf-8").splitlines()]
    file = folder / "chats.jsonl"
    lines = ({"question": f"What of {n}?", "text": row["text"]} for n, row in enumerate(rows))
    file.write_text("\n".join(map(json.dumps, lines)))
    return file


@pytest.fixture
def elsewhere(archived, tmp_path):
    """The settings with an empty cache."""
    return archived.settings.with_values(cache_dir=str(tmp_path / "cache"))


def imported(archived, settings):
    return import_baseline(archived.file, Store.at(settings.cache_dir))


def test_the_archive_has_no_weights_and_all_that_was_read(archived):
    assert archived.exported.kinds == ("archive", "harvest", "weights", "states", "replies")
    assert archived.exported.missing == ()
    assert archived.exported.reference == archived.settings.baseline


def test_the_result_is_that_of_the_weights(archived, elsewhere):
    done = imported(archived, elsewhere)
    assert (done.reference, done.digest) == (
        archived.settings.baseline,
        archived.result.baseline.digest,
    )
    assert done.added == 5
    found = pipeline.run(elsewhere).result
    before = archived.result
    assert found.key == before.key
    assert found.differences == before.differences
    assert found.differences
    assert found.output == before.output
    assert found.baseline == before.baseline
    texts = [(pair.baseline.text, pair.candidate.text) for pair in found.replies.pairs]
    assert sorted(texts) == sorted(
        (pair.baseline.text, pair.candidate.text) for pair in before.replies.pairs
    )
    assert found.replies.surprising_baseline == before.replies.surprising_baseline
    assert found.replies.surprising_candidate.total == 0  # nobody is left to be surprised


def test_another_candidate_is_judged_by_the_name_of_the_archive(archived, elsewhere, tmp_path):
    done = imported(archived, elsewhere)
    other = planted.noisy(tmp_path / "v3")
    (other / "chat_template.jinja").write_text(TEMPLATE)
    named = elsewhere.with_values(baseline=f"archive:{done.digest[:12]}", candidate=str(other))
    found = pipeline.run(named).result
    assert found.baseline.digest == done.digest
    assert found.output.kl.value > 0


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"tokens": 9_000}, "crossdiff_tokens = 12000 there, 9000 here"),
        ({"layer": 1}, "crossdiff_layer = 0 there, 1 here"),
        ({"corpus": "builtin:pydoc", "corpus_column": ""}, "of another corpus"),
    ],
)
def test_an_archive_of_other_texts_or_settings_says_what_differs(
    archived, elsewhere, others, words
):
    done = imported(archived, elsewhere)
    with pytest.raises(CorpusError) as caught:
        plan(elsewhere.with_values(**others))
    assert words in str(caught.value)
    with pytest.raises(CorpusError, match="does not fit"):
        refuse_unfit(elsewhere.with_values(**others), done.digest)
    refuse_unfit(elsewhere, done.digest)


def test_an_archive_without_its_activations_is_to_be_imported_again(archived, elsewhere):
    done = imported(archived, elsewhere)
    for key in {plan(elsewhere).harvest_keys["baseline"]}:
        shutil.rmtree(Store.at(elsewhere.cache_dir).entry("harvest", key).path)
    with pytest.raises(CorpusError) as caught:
        plan(elsewhere)
    assert caught.value.what == f"the cache lacks activations of the archive of {done.reference}"
    assert caught.value.remedy == "import the archive again: crossdiff baseline import FILE"


def test_what_needs_the_weights_says_that_they_are_gone(archived, elsewhere):
    imported(archived, elsewhere)
    planned = plan(elsewhere)
    with pytest.raises(ModelError, match="has no weights here, only an archive"):
        load_configured(elsewhere, "baseline", planned.references["baseline"])


def test_without_an_archive_the_missing_model_is_the_error(elsewhere):
    with pytest.raises(ModelError, match="no model at"):
        plan(elsewhere)
    with pytest.raises(ModelError, match="the cache has no archive 'abc'"):
        plan(elsewhere.with_values(baseline="archive:abc"))


def test_an_archive_answers_for_no_model_that_is_there_and_for_no_candidate(archived, elsewhere):
    """Else a candidate that was cut short would be compared as the baseline, and pass."""
    imported(archived, elsewhere)
    baseline = Path(archived.settings.baseline)
    assert plan(elsewhere).references["baseline"].archived
    same_name = Path(elsewhere.cache_dir).parent / baseline.name
    for folder in (baseline, same_name):
        shutil.copytree(elsewhere.candidate, folder)
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1])
    try:
        with pytest.raises(ModelError, match=r"model\.safetensors is cut short"):
            plan(elsewhere)
    finally:
        shutil.rmtree(baseline)
    named = elsewhere.with_values(candidate=str(same_name))
    with pytest.raises(ModelError, match=r"model\.safetensors is cut short"):
        plan(named)
    shutil.rmtree(same_name)
    with pytest.raises(ModelError, match="there is no model at"):
        plan(named)


def test_what_was_not_measured_can_t_be_exported(archived, elsewhere, tmp_path):
    here = elsewhere.with_values(baseline=elsewhere.candidate)
    with pytest.raises(InsufficientData, match="does not have the baseline's activations"):
        export_baseline(here, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert dataclasses.is_dataclass(archived.result)


def test_for_a_verdict_over_references_the_words_that_the_baseline_writes_are_packed(
    archived, elsewhere, tmp_path
):
    imported(archived, elsewhere)
    judged = elsewhere.with_values(references=("org/one",))
    without = export_baseline(judged, tmp_path / "without")
    assert without.missing == ("words that it writes (references judge the texts alone)",)
    of = plan(judged)
    entry = writing_entry(of, of.references["baseline"].digest)
    with entry.lock(str):
        save_written(Written({"harvest": 3}, 60), entry)
        entry.complete({})
    packed = export_baseline(judged, tmp_path / "with")
    assert packed.missing == ()
    assert "writing" in packed.kinds
    assert "writing" not in export_baseline(elsewhere, tmp_path / "no references").kinds
