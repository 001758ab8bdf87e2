"""The statistics of a verdict over references, on arrays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pytest_crossdiff.engine.population.judging.ability import residuals
from pytest_crossdiff.engine.population.judging.deviations import PRIOR_DEGREES, deviations
from pytest_crossdiff.engine.population.judging.judge import judge
from pytest_crossdiff.engine.population.judging.student_t import two_sided
from pytest_crossdiff.engine.population.judging.weightings import InDocuments, Weightings

SPANS, DOCUMENTS, FEATURES = 600, 30, 12


def weightings(rng, features=FEATURES, spans=SPANS):
    """Features that weigh a random eighth of the spans each, by random amounts."""
    on = [rng.choice(spans, spans // 8, replace=False) for _ in range(features)]
    return Weightings(
        np.repeat(np.arange(features), spans // 8),
        np.concatenate(on),
        rng.uniform(0.5, 2.0, features * (spans // 8)),
        tuple(f"feature {f}" for f in range(features)),
    )


def group_s(spans=SPANS):
    return np.arange(spans) * DOCUMENTS // spans


def population(rng, models, spans=SPANS, of=None, effect=0.5):
    """Models that share the texts' difficulty and deviate from it each in a way of its own: an
    ability, heavy-tailed noise of documents, and for each feature an effect drawn alike for all.
    """
    difficulty_s = -rng.gamma(2.0, 2.0, spans)
    ability_m = rng.uniform(0.8, 1.2, (models, 1))
    noise = rng.standard_t(3, (models, DOCUMENTS))[:, group_s(spans)]
    logp_ms = ability_m * difficulty_s + 0.3 * noise + 0.5 * rng.normal(size=(models, spans))
    if of is not None:
        effect_mf = effect * rng.standard_t(3, (models, of.size))
        for m in range(models):
            np.add.at(logp_ms[m], of.span_i, effect_mf[m][of.feature_i] * of.weight_i)
    return logp_ms, rng.integers(1, 4, (models, spans)).astype(float)


class TestResiduals:
    def test_ability_and_token_counts_leave_nothing(self):
        rng = np.random.default_rng(0)
        logp_ms, tokens_ms = population(rng, 4)
        others_s = logp_ms[1:].mean(0)
        logp_ms[0] = -3.0 + 0.7 * others_s - 0.4 * tokens_ms[0]
        assert residuals(logp_ms, tokens_ms)[0] == pytest.approx(np.zeros(SPANS), abs=1e-9)

    def test_are_those_of_the_normal_equations(self):
        logp_ms, tokens_ms = population(np.random.default_rng(1), 5)
        made = residuals(logp_ms, tokens_ms)
        for m in range(5):
            others_s = np.delete(logp_ms, m, axis=0).mean(0)
            design = np.column_stack((np.ones(SPANS), others_s, tokens_ms[m]))
            solved = np.linalg.solve(design.T @ design, design.T @ logp_ms[m])
            assert made[m] == pytest.approx(logp_ms[m] - design @ solved, abs=1e-8)

    def test_exchange_of_two_models_exchanges_their_residuals(self):
        logp_ms, tokens_ms = population(np.random.default_rng(2), 6)
        order = np.array([3, 1, 5, 0, 4, 2])
        assert residuals(logp_ms[order], tokens_ms[order]) == pytest.approx(
            residuals(logp_ms, tokens_ms)[order]
        )

    def test_one_token_for_each_span_is_no_trouble(self):
        logp_ms, _ = population(np.random.default_rng(3), 3)
        made = residuals(logp_ms, np.ones_like(logp_ms))
        assert np.isfinite(made).all()
        assert made.mean(1) == pytest.approx(np.zeros(3), abs=1e-9)


class TestWeightedMeans:
    def test_sums_and_totals_are_those_of_the_dense_matrix(self):
        rng = np.random.default_rng(4)
        of, value_s = weightings(rng), rng.normal(size=SPANS)
        dense_fs = np.zeros((FEATURES, SPANS))
        dense_fs[of.feature_i, of.span_i] = of.weight_i
        assert of.sums(value_s) == pytest.approx(dense_fs @ value_s)
        assert of.totals() == pytest.approx(dense_fs.sum(1))

    def test_standard_error_is_that_of_a_ratio_of_sums_over_documents(self):
        rng = np.random.default_rng(5)
        of, value_s = weightings(rng), rng.normal(size=SPANS)
        mean_f = of.sums(value_s) / of.totals()
        made_f = InDocuments.of(of, group_s()).standard_errors(of, value_s, mean_f)
        for f in range(FEATURES):
            mine = of.feature_i == f
            spans, weights = of.span_i[mine], of.weight_i[mine]
            parts = [
                (weights * (value_s[spans] - mean_f[f]))[group_s()[spans] == g].sum()
                for g in np.unique(group_s()[spans])
            ]
            expected = np.sqrt(np.sum(np.square(parts)) * len(parts) / (len(parts) - 1))
            assert made_f[f] == pytest.approx(expected / weights.sum())

    def test_a_feature_of_one_document_has_no_standard_error(self):
        of = Weightings(np.zeros(3, int), np.arange(3), np.ones(3), ("one",))
        error_f = InDocuments.of(of, np.zeros(3, int)).standard_errors(
            of, np.arange(3.0), np.ones(1)
        )
        assert error_f[0] == np.inf


class TestDeviations:
    def test_are_those_of_the_formula(self):
        rng = np.random.default_rng(6)
        of = weightings(rng)
        residual_ms = residuals(*population(rng, 6, of=of))
        found = deviations(residual_ms, of, group_s())
        mean_mf = np.stack([of.sums(e) / of.totals() for e in residual_ms])
        inside = InDocuments.of(of, group_s())
        for m in range(6):
            rest = np.delete(mean_mf, m, axis=0)
            tau2 = rest.var(0, ddof=1)
            shrunk = (PRIOR_DEGREES * np.median(tau2) + 4 * tau2) / (PRIOR_DEGREES + 4)
            error = inside.standard_errors(of, residual_ms[m], mean_mf[m])
            z = (mean_mf[m] - rest.mean(0)) / np.sqrt(shrunk * (1 + 1 / 5) + error**2)
            assert found.z_mf[m] == pytest.approx(z)
            assert found.largest_m[m] == pytest.approx(np.abs(z).max())

    def test_two_models_are_too_few(self):
        of = weightings(np.random.default_rng(7))
        with pytest.raises(ValueError, match="two references"):
            deviations(np.zeros((2, SPANS)), of, group_s())


class TestStudent:
    @pytest.mark.parametrize("degrees", [1.0, 3.0, 6.0, 11.0, 40.0])
    @pytest.mark.parametrize("t", [-30.0, -2.5, -0.3, 0.0, 1e-6, 0.7, 4.0, 12.0])
    def test_tails_are_those_of_scipy(self, t, degrees):
        assert two_sided(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), rel=1e-9)


class TestBound:
    """If the judged model is one more draw from the references' population, it is flagged with
    probability 1 / (K + 1) at most."""

    @pytest.mark.parametrize("references", [3, 5, 9])
    def test_alarm_rate_covers_one_in_references_plus_one(self, references):
        rng, runs = np.random.default_rng(references), 600
        of = weightings(rng, spans=240)
        flagged = 0
        for _ in range(runs):
            logp_ms, tokens_ms = population(rng, references + 1, spans=240, of=of)
            flagged += judge(logp_ms, tokens_ms, of, group_s(240), 0.05).flagged
        interval = stats.binomtest(flagged, runs).proportion_ci(0.99)
        assert interval.low <= 1 / (references + 1) <= interval.high

    def test_exactly_one_of_the_models_would_be_flagged(self):
        rng = np.random.default_rng(8)
        of = weightings(rng)
        logp_ms, tokens_ms = population(rng, 7, of=of)
        orders = [np.roll(np.arange(7), shift) for shift in range(7)]
        found = [judge(logp_ms[o], tokens_ms[o], of, group_s(), 0.05).flagged for o in orders]
        assert sum(found) == 1

    def test_order_of_the_references_decides_nothing(self):
        rng = np.random.default_rng(9)
        of = weightings(rng)
        logp_ms, tokens_ms = population(rng, 6, of=of)
        order = np.array([0, 4, 2, 5, 1, 3])
        one = judge(logp_ms, tokens_ms, of, group_s(), 0.05)
        other = judge(logp_ms[order], tokens_ms[order], of, group_s(), 0.05)
        assert other.p_f == pytest.approx(one.p_f)
        assert (other.largest, other.threshold) == pytest.approx((one.largest, one.threshold))

    def test_is_one_in_references_plus_one(self):
        rng = np.random.default_rng(10)
        of = weightings(rng)
        assert judge(*population(rng, 9), of, group_s(), 0.05).bound == 1 / 9


class TestNames:
    def test_a_planted_shift_is_flagged_and_named_first(self):
        rng = np.random.default_rng(11)
        found = []
        for run in range(40):
            of = weightings(rng)
            logp_ms, tokens_ms = population(rng, 9, of=of, effect=0.1)
            planted = run % FEATURES
            np.add.at(logp_ms[0], of.span_i[of.feature_i == planted], -2.5)
            judged = judge(logp_ms, tokens_ms, of, group_s(), 0.05)
            strongest = int(np.abs(judged.deviations.z_mf[0]).argmax())
            found.append((judged.flagged, strongest == planted, judged.significant_f[planted]))
            assert judged.deviations.shift_mf[0, planted] < 0
        assert np.mean(found, axis=0) == pytest.approx(np.ones(3), abs=0.1)

    def test_the_smallest_flagged_shift_is_flagged_and_half_of_it_is_not(self):
        rng = np.random.default_rng(12)
        of = weightings(rng, features=400)
        logp_ms, tokens_ms = population(rng, 9)
        judged = judge(logp_ms, tokens_ms, of, group_s(), 0.05)
        shift_f = judged.deviations.shift_mf[0]
        needed_f = judged.smallest_flagged_f()
        beyond = np.abs(shift_f) > needed_f
        assert judged.flagged == beyond.any()

    def test_where_nothing_differs_few_features_are_named(self):
        rng, named, runs = np.random.default_rng(13), 0, 100
        for _ in range(runs):
            of = weightings(rng)
            logp_ms, tokens_ms = population(rng, 9)
            named += judge(logp_ms, tokens_ms, of, group_s(), 0.05).significant_f.any()
        assert stats.binomtest(named, runs).proportion_ci(0.99).low <= 0.05
