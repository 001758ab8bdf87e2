"""References of real models on disk: read once, kept, shared without weights."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from pytest_crossdiff.engine.metrics.measure import chosen_pieces
from pytest_crossdiff.engine.metrics.stored import load_or_measure
from pytest_crossdiff.engine.models.loaded import load as loaded_model
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.engine.plan import plan
from pytest_crossdiff.engine.population import observing
from pytest_crossdiff.engine.population.members import add_to_set
from pytest_crossdiff.engine.population.observing import observe_reference, observe_side
from pytest_crossdiff.engine.population.reference_sets import ReferenceSet, SetRow
from pytest_crossdiff.engine.population.sources import members, reading_entry
from pytest_crossdiff.engine.population.stored import load_or_judge, stored_population
from pytest_crossdiff.engine.population.writing import beginnings, write
from pytest_crossdiff.errors import ModelError, SettingsError, StoreError
from pytest_crossdiff.progress import SilentProgress
from support import planted

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.engine.population.stored import StoredPopulation

SEEDS = (1, 2, 3)
TEXTS = {"reference_writing": False}
"""Faster, where it does not matter what models write."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    made = {name: getattr(planted, name)(root / name) for name in ("plain", "noisy", "encoder")}
    return made | {f"r{seed}": planted.plain(root / f"r{seed}", seed=seed) for seed in SEEDS}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def planned(models: dict[str, Path], cache: Path, *references: str, **others: Any) -> Plan:
    settings = planted.quick(models["plain"], models["noisy"], cache, tokens=12_000)
    written = tuple(str(models.get(name, name)) for name in references)
    return plan(settings.with_values(references=written, **others))


def judged(of: Plan) -> StoredPopulation:
    return load_or_judge(of, SilentProgress())


def never_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model may be loaded any more."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(observing, "load", refuse)


def loads_told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that are loaded from now on, in order."""
    loaded: list[str] = []
    load = observing.load

    def told(reference: Any, **others: Any) -> Any:
        loaded.append(reference.reference)
        return load(reference, **others)

    monkeypatch.setattr(observing, "load", told)
    return loaded


@pytest.fixture
def never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    never_loaded(monkeypatch)


class TestReading:
    def test_is_the_log_probability_of_each_token_by_an_independent_computation(
        self, models, cache
    ):
        of = planned(models, cache, "r1")
        (member,) = members(of)
        found = observe_reference(of, member, SilentProgress()).reading
        words = AutoTokenizer.from_pretrained(models["r1"])
        model = AutoModelForCausalLM.from_pretrained(models["r1"], dtype=torch.float32).eval()
        for piece in np.unique(found.piece_n)[:3].tolist():
            ids = words(of.sample.pieces[piece].text, return_tensors="pt").input_ids
            with torch.no_grad():
                logp = model(ids).logits[0].double().log_softmax(-1)
            actual = logp[:-1].gather(1, ids[0, 1:, None])[:, 0].numpy()
            assert found.logp_n[found.of_piece(piece)] == pytest.approx(actual, abs=1e-4)

    def test_of_the_pair_comes_from_what_was_read_for_the_metrics(
        self, models, tmp_path, never_read, monkeypatch
    ):
        of = planned(models, tmp_path, **TEXTS)
        load_or_measure(of, SilentProgress())
        found = observe_side(of, "candidate", SilentProgress())
        assert len(found.reading.logp_n)


class TestVerdict:
    def test_names_every_reference_and_judges_both_models(self, models, cache):
        found = judged(planned(models, cache, "r1", "r2", "r3")).population
        assert found is not None
        assert [of.name for of in found.references] == [str(models[f"r{s}"]) for s in SEEDS]
        assert {of.side for of in found.judged} == {"candidate", "baseline"}
        assert all(of.references == 3 for of in found.judged)
        assert all(of.tokenizers == ("baseline", "candidate") for of in found.references)

    def test_is_kept_and_answers_without_a_model(self, models, cache, never_read):
        first = judged(planned(models, cache, "r1", "r2", "r3"))
        assert stored_population(planned(models, cache, "r1", "r2", "r3")) == first

    def test_of_other_references_reads_only_the_new_ones(self, models, tmp_path, monkeypatch):
        judged(planned(models, tmp_path, "r1", "r2", **TEXTS))
        loaded = loads_told(monkeypatch)
        judged(planned(models, tmp_path, "r1", "r2", "r3", **TEXTS))
        assert loaded == [str(models["r3"])]

    def test_without_references_nothing_is_judged(self, models, cache):
        found = judged(planned(models, cache))
        assert (found.population, found.reason) == (None, "")

    def test_leaves_out_the_pair_itself_and_second_copies_and_says_why(
        self, models, cache, tmp_path
    ):
        again = shutil.copytree(models["r1"], tmp_path / "again")
        found = judged(planned(models, cache, "r1", "plain", "noisy", str(again), "r2")).population
        assert found is not None
        assert {of.name: of.left_out for of in found.references if of.left_out} == {
            str(models["plain"]): "it is the baseline itself",
            str(models["noisy"]): "it is the candidate itself",
            str(again): f"it is the same model as {models['r1']}",
        }
        assert all(of.references == 2 for of in found.judged)

    def test_refuses_a_masked_model_with_that_reason(self, models, cache):
        found = judged(planned(models, cache, "r1", "r2", "encoder")).population
        assert found is not None
        (left,) = [of for of in found.references if of.left_out]
        assert left.left_out == (
            f"the reference {models['encoder']}, BertModel, predicts no next token"
        )

    def test_says_of_a_masked_candidate_that_it_cannot_be_judged(self, models, cache):
        found = judged(planned(models, cache, "r1", "r2", candidate=str(models["encoder"])))
        assert found.population is None
        assert found.reason == "the candidate, BertModel, predicts no next token"

    def test_a_reference_that_does_not_exist_is_an_error(self, models, cache):
        with pytest.raises(ModelError, match="there is no model at"):
            judged(planned(models, cache, "./nowhere"))

    def test_weights_that_are_gone_are_no_trouble_once_they_were_read(self, models, tmp_path):
        gone = shutil.copytree(models["r1"], tmp_path / "gone")
        cache = tmp_path / "cache"
        first = judged(planned(models, cache, str(gone), "r2", "r3", **TEXTS)).population
        shutil.rmtree(gone)
        again = judged(planned(models, cache, str(gone), "r2", "r3", **TEXTS)).population
        gone.mkdir()
        (gone / "model.safetensors").write_bytes(b"cut short")
        with pytest.raises(ModelError, match="is no transformers model"):
            members(planned(models, cache, str(gone), "r2", "r3"))
        assert again == first


class TestWriting:
    def test_is_judged_with_the_texts_and_each_model_is_loaded_once_for_both(
        self, models, tmp_path, monkeypatch
    ):
        loaded = loads_told(monkeypatch)
        of = planned(models, tmp_path, "r1", "r2", "r3")
        found = judged(of).population
        assert found is not None
        assert sorted(loaded) == sorted(
            str(models[n]) for n in ("plain", "noisy", "r1", "r2", "r3")
        )
        begun = beginnings(chosen_pieces(of).values())
        assert found.continuations == len(begun) > 20
        model = loaded_model(str(models["r2"]), layer=1.0, device="cpu")
        kept = observe_reference(of, members(of)[1], SilentProgress()).written
        again = SilentProgress()
        assert kept == write(model, begun, chat_template="own", label="again", progress=again)

    def test_that_is_not_asked_for_is_not_judged(self, models, cache):
        found = judged(planned(models, cache, "r1", "r2", "r3", **TEXTS)).population
        assert found is not None
        assert (found.words, found.continuations, found.warnings) == (0, 0, ())

    def test_that_a_set_does_not_hold_leaves_the_texts_and_says_so(self, models, cache, tmp_path):
        alone = planned(models, cache, "r1", "r2", "r3", **TEXTS)
        for name in ("r1", "r2", "r3"):
            add_to_set(alone, str(models[name]), tmp_path / "set", SilentProgress())
        found = judged(planned(models, cache, str(tmp_path / "set"))).population
        texts = judged(alone).population
        assert found is not None
        assert texts is not None
        assert found.judged == texts.judged
        named = " and ".join(f"the reference {models[f'r{seed}']}" for seed in SEEDS)
        assert (
            "the baseline and the candidate: judged by the texts alone, not by the words that "
            f"models write, because it is not known what {named} would write; read it again from "
            "its weights (`crossdiff references add`)"
        ) in found.warnings

    def test_of_a_model_whose_weights_are_gone_is_used_where_the_cache_has_it(
        self, models, tmp_path
    ):
        gone = shutil.copytree(models["r1"], tmp_path / "gone")
        names = (str(gone), "r2", "r3")
        judged(planned(models, tmp_path / "cache", *names, **TEXTS))
        shutil.rmtree(gone)
        without = judged(planned(models, tmp_path / "cache", *names)).population
        assert without is not None
        assert without.continuations == 0
        shutil.copytree(models["r1"], gone)
        known = judged(planned(models, tmp_path / "cache", *names)).population
        shutil.rmtree(gone)
        assert judged(planned(models, tmp_path / "cache", *names)).population == known
        assert known is not None
        assert known.continuations


class TestSet:
    def made(self, of: Plan, folder: Path) -> ReferenceSet:
        for member in members(of):
            add_to_set(of, member.name, folder, SilentProgress())
        return ReferenceSet.read(folder)

    def test_gives_the_same_verdict_as_the_models_and_holds_no_weights(
        self, models, cache, tmp_path
    ):
        of = planned(models, cache, "r1", "r2", "r3")
        wanted = judged(of).population
        self.made(of, tmp_path / "set")
        fresh = planned(models, tmp_path / "fresh", str(tmp_path / "set"))
        found = judged(fresh).population
        assert found is not None
        assert wanted is not None
        assert found.judged == wanted.judged
        weights = sum(f.stat().st_size for f in models["r1"].glob("*.safetensors"))
        size = max(f.stat().st_size for f in (tmp_path / "set").iterdir())
        assert size < weights
        assert found.continuations == wanted.continuations > 0

    def test_of_other_texts_is_refused(self, models, cache, tmp_path):
        self.made(planned(models, cache, "r1", "r2"), tmp_path / "set")
        other = planned(models, cache, str(tmp_path / "set"), tokens=11_000)
        with pytest.raises(SettingsError, match="was read on other texts"):
            members(other)

    def test_that_was_changed_is_refused(self, models, cache, tmp_path):
        made = self.made(planned(models, cache, "r1", "r2", "r3"), tmp_path / "set")
        file = tmp_path / "set" / made.rows[0].file
        file.write_bytes(file.read_bytes()[:-8] + b"\0" * 8)
        found = judged(planned(models, tmp_path / "fresh", str(tmp_path / "set"), **TEXTS))
        assert found.population is None
        assert found.reason == (
            f"{file} is not what was written; to do: copy the set again, or add the model again"
        )

    def test_loses_a_reference_by_its_name(self, models, cache, tmp_path):
        made = self.made(planned(models, cache, "r1", "r2"), tmp_path / "set")
        left = made.without(str(models["r1"]))
        assert [row.name for row in ReferenceSet.read(left.folder).rows] == [str(models["r2"])]
        with pytest.raises(StoreError, match="has no reference"):
            left.without("r9")

    def test_names_no_file_outside_of_its_folder(self, tmp_path):
        folder = tmp_path / "set"
        row = SetRow("r", "d" * 64, "k" * 64, "reading.safetensors", "")
        source = tmp_path / "source"
        source.write_bytes(b"")
        ReferenceSet(folder).with_reading(row, source)
        path = folder / "references.json"
        path.write_text(
            path.read_text("utf-8").replace("reading.safe", "../../secret.safe"), "utf-8"
        )
        with pytest.raises(StoreError):
            ReferenceSet.read(folder)


def test_a_model_read_as_candidate_is_a_reference_without_being_read_again(
    models, tmp_path, monkeypatch
):
    first = planned(models, tmp_path)
    load_or_measure(first, SilentProgress())
    as_candidate = observe_side(first, "candidate", SilentProgress())
    never_loaded(monkeypatch)
    other = {**models, "plain": models["r1"], "noisy": models["r2"]}
    later = planned(other, tmp_path, str(models["noisy"]))
    (member,) = members(later)
    assert member.digest == resolve(str(models["noisy"])).digest
    as_reference = observe_reference(later, member, SilentProgress())
    assert np.array_equal(as_reference.reading.logp_n, as_candidate.reading.logp_n)
    assert as_reference.written == as_candidate.written


def test_a_reference_that_is_replaced_while_it_is_read_is_refused_and_not_kept(
    models, tmp_path, monkeypatch
):
    folder = shutil.copytree(models["r1"], tmp_path / "r1")
    of = planned(models, tmp_path / "cache", str(folder))
    (member,) = members(of)
    read = observing.read_model

    def replaced_meanwhile(*arguments, **others):
        found = read(*arguments, **others)
        shutil.copy(models["r2"] / "model.safetensors", folder)
        return found

    monkeypatch.setattr(observing, "read_model", replaced_meanwhile)
    with pytest.raises(ModelError, match=r"model\.safetensors was changed while"):
        observe_reference(of, member, SilentProgress())
    assert reading_entry(of, member.key).read_manifest() is None
