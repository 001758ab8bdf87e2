"""Model effect, workflow effect and interaction on numbers whose effects are known."""

import numpy as np
import pytest

from pytest_crossdiff.engine.workflow.effects import (
    Corpus,
    difference,
    drifted_slices,
    kl_effects,
    loss_effects,
)
from pytest_crossdiff.results.output import Estimate

TOKENS = 20


def corpus(draw, documents, *, loss=2.0, model=0.0, kl=None, slices=("a",), shift=None):
    """Documents of 20 tokens with a loss of their own; in slice s it is larger by `shift[s]`."""
    slice_g = np.array(slices)[np.arange(documents) % len(slices)]
    own_g = loss + 0.5 * draw.standard_normal(documents)
    own_g += np.array([(shift or {}).get(name, 0.0) for name in slice_g])
    document_n = np.repeat(np.arange(documents), TOKENS)
    baseline = own_g[document_n] + 0.3 * draw.standard_normal(len(document_n))
    change = model + 0.1 * draw.standard_normal(len(document_n))
    kl_n = None if kl is None else kl * draw.exponential(size=len(document_n))
    return Corpus(document_n, slice_g[document_n], baseline, baseline + change, kl_n)


class TestEffects:
    def test_they_add_up_to_the_whole_change(self):
        draw = np.random.default_rng(0)
        before, after = corpus(draw, 40), corpus(draw, 60, loss=2.7, model=0.2)
        found = loss_effects(before, after)
        assert found.total == pytest.approx(after.candidate_n.mean() - before.baseline_n.mean())
        parts = (found.model, found.workflow, found.interaction)
        assert sum(part.value for part in parts) == pytest.approx(found.total)

    def test_each_stands_for_its_cause(self):
        draw = np.random.default_rng(1)
        before = corpus(draw, 100, model=0.1, kl=0.05)
        after = corpus(draw, 100, loss=2.6, model=0.3, kl=0.08)
        found, kl = loss_effects(before, after), kl_effects(before, after)
        for part, true in ((found.model, 0.1), (found.workflow, 0.6), (found.interaction, 0.2)):
            assert abs(part.value - true) < part.high - part.low  # four standard errors
        assert kl.model.value == pytest.approx(0.05, rel=0.1)
        assert kl.interaction.value == pytest.approx(0.03, rel=0.2)
        assert kl.workflow == Estimate(0.0, 0.0, 0.0)
        assert kl.total == pytest.approx(after.kl_n.mean())

    def test_the_same_texts_have_no_workflow_effect_and_the_same_model_no_model_effect(self):
        one = corpus(np.random.default_rng(2), 30, model=0.1)
        found = loss_effects(one, one)
        assert (found.workflow.value, found.interaction.value) == (0.0, 0.0)
        other = corpus(np.random.default_rng(3), 30, loss=2.5)
        same = [of._replace(candidate_n=of.baseline_n) for of in (one, other)]
        found = loss_effects(*same)
        assert (found.model.value, found.interaction.value) == (0.0, 0.0)
        assert found.workflow.value == pytest.approx(
            other.baseline_n.mean() - one.baseline_n.mean()
        )

    def test_few_documents_have_no_interval(self):
        draw = np.random.default_rng(4)
        found = loss_effects(corpus(draw, 5), corpus(draw, 50))
        assert (found.model.low, found.workflow.high) == (None, None)

    def test_without_one_vocabulary_there_is_no_kl(self):
        one = corpus(np.random.default_rng(5), 20)
        assert kl_effects(one, one) is None


class TestDifference:
    def test_with_symmetric_intervals_the_errors_add_in_squares(self):
        found = difference(Estimate(5.0, 4.7, 5.3), Estimate(2.0, 1.6, 2.4))
        assert (found.value, found.low, found.high) == pytest.approx((3.0, 2.5, 3.5))

    def test_a_lopsided_interval_counts_by_its_own_sides(self):
        found = difference(Estimate(1.0, 0.9, 2.0), Estimate(0.0, 0.0, 0.0))
        assert (found.low, found.high) == pytest.approx((0.9, 2.0))

    def test_the_interval_of_the_workflow_effect_covers_it_as_often_as_it_says(self):
        draw, covered = np.random.default_rng(6), 0
        for _ in range(200):
            before, after = corpus(draw, 25), corpus(draw, 40, loss=2.4)
            low, high = (
                getattr(loss_effects(before, after).workflow, end) for end in ("low", "high")
            )
            covered += low < 0.4 < high
        assert covered >= 181  # of 200 at 95 %: fewer has a probability below 0.5 %


class TestSlices:
    def names(self, before, after):
        return {(one.name, one.drift) for one in drifted_slices(before, after, 0.05)}

    def test_slices_that_hold_other_texts_are_named_with_the_change_of_their_loss(self):
        draw = np.random.default_rng(7)
        before = corpus(draw, 90, slices=("a", "b", "c"))
        after = corpus(draw, 90, slices=("a", "b", "c"), shift={"b": 1.0})
        assert self.names(before, after) == {("b", "texts")}
        (found,) = drifted_slices(before, after, 0.05)
        assert found.loss.low < 1.0 < found.loss.high
        assert (found.reference, found.today) == pytest.approx((1 / 3, 1 / 3))

    def test_new_and_gone_slices_and_other_shares_are_named(self):
        draw = np.random.default_rng(8)
        before = corpus(draw, 120, slices=("a", "a", "a", "b", "b", "c"))
        after = corpus(draw, 120, slices=("a", "b", "b", "b", "b", "d"))
        assert {("c", "gone"), ("d", "new"), ("b", "share")} <= self.names(before, after)
        assert all(one.loss is None for one in drifted_slices(before, after, 0.05) if one.drift
                   in ("new", "gone"))  # fmt: skip

    def test_without_drift_few_are_named(self):
        draw, named = np.random.default_rng(9), 0
        for _ in range(20):
            before, after = (corpus(draw, 40, slices=("a", "b", "c", "d")) for _ in range(2))
            named += bool(self.names(before, after))
        assert named <= 4  # of 20 at 5 %: more has a probability below 0.5 %

    def test_a_corpus_of_one_slice_has_none_that_could_drift(self):
        draw = np.random.default_rng(10)
        assert not self.names(corpus(draw, 40), corpus(draw, 40, loss=5.0))
