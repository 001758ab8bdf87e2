"""The verdict over reference models as a function of what was measured and what is asked for."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_crossdiff.gate.budgets import Budgets, Limits
from pytest_crossdiff.gate.check import evaluate_budgets
from pytest_crossdiff.gate.metric_budgets import MetricLimit
from pytest_crossdiff.gate.population import (
    MORE_REFERENCES,
    PopulationLimit,
    check_population,
    describe_feature,
    references_needed,
)
from pytest_crossdiff.gate.recognition import NONE_ACCEPTED
from pytest_crossdiff.gate.verdict import compute_verdict
from pytest_crossdiff.results.controls import Controls, PlantedSignal
from pytest_crossdiff.results.population import (
    JudgedModel,
    Population,
    PopulationFeature,
    ReferenceModel,
)
from pytest_crossdiff.settings import Settings
from support.results import make_difference, make_model, make_output, make_result

LIMITS = Limits(0, None)


def feature(name="on 'peace'", z=-6.1, *, significant=True):
    return PopulationFeature(name, -1.3, z, 0.0002, significant, 0.9, 40, 31)


def judged(side="candidate", references=8, largest=2.0, threshold=3.0, features=()):
    return JudgedModel(side, references, largest, threshold, tuple(features))


def population(*models, references=8):
    names = tuple(
        ReferenceModel(f"r{i}", largest=2.0, loss=1.0, tokenizers=("baseline", "candidate"))
        for i in range(references)
    )
    return Population(names, 9_000, 300, 280, models or (judged(), judged("baseline")))


def budgets(level=0.2, *, candidate=LIMITS, baseline=LIMITS):
    return Budgets(candidate, baseline, 0.3, population=PopulationLimit(level, "pytest.ini"))


def result(found=None, *differences, **changes):
    return dataclasses.replace(make_result(*differences), population=found, **changes)


FLAGGED = judged(largest=6.1, features=[feature()])


class TestStatus:
    def test_no_larger_deviation_than_a_reference_is_within(self):
        assert compute_verdict(result(population()), budgets()).status == "within"

    def test_a_larger_deviation_than_every_reference_exceeds(self):
        verdict = compute_verdict(result(population(FLAGGED, judged("baseline"))), budgets())
        assert verdict.status == "exceeded"
        assert [check.status for check in verdict.population] == ["exceeded", "within"]

    def test_the_baseline_is_judged_in_the_same_way(self):
        found = population(judged(), judged("baseline", largest=6.1, features=[feature()]))
        verdict = compute_verdict(result(found), budgets())
        assert verdict.status == "exceeded"
        assert [check.status for check in verdict.population] == ["within", "exceeded"]

    def test_the_candidate_alone_is_judged_where_that_is_asked_for(self):
        found = population(judged(), judged("baseline", largest=6.1, features=[feature()]))
        both = compute_verdict(result(found), budgets())
        assert both.population[1].sentence.endswith(
            "; references that were made from the baseline differ from it together: if these were, "
            "judge the candidate alone (crossdiff_references_judge = candidate)"
        )
        settings = Settings(references=("a",), references_judge="candidate")
        alone = compute_verdict(result(found), Budgets.configured(settings))
        assert (alone.status, len(alone.population)) == ("within", 1)

    def test_a_side_without_budgets_is_not_judged(self):
        found = population(judged(), judged("baseline", largest=6.1, features=[feature()]))
        verdict = compute_verdict(result(found), budgets(baseline=None))
        assert verdict.status == "within"
        assert [check.side for check in verdict.population] == ["candidate"]

    def test_single_features_below_the_threshold_are_inconclusive(self):
        found = population(judged(features=[feature(z=-2.9)]), judged("baseline"))
        assert compute_verdict(result(found), budgets()).status == "inconclusive"

    def test_differences_of_the_dictionary_count_as_without_references(self):
        verdict = compute_verdict(result(population(), make_difference("C1")), budgets())
        assert verdict.status == "exceeded"


def test_a_written_word_is_described_by_how_often_each_writes_it():
    word = dataclasses.replace(
        feature("writes 'harvest'", 8.13), shift=0.138, share=0.14, references_share=0.002
    )
    found = population(judged(largest=8.13, features=[word]), judged("baseline"))
    verdict = compute_verdict(result(found), budgets())
    assert (
        "writes 'harvest' in 14 % of its continuations, the references in 0.2 % (z = 8.1)"
        in verdict.population[0].sentence
    )


def test_a_word_that_is_frequent_only_for_how_little_the_model_writes_is_described_so():
    word = dataclasses.replace(feature("writes '.'", 5.0), share=0.9, references_share=0.95)
    word = dataclasses.replace(word, shift=-0.05)
    assert describe_feature(word) == (
        "writes '.' in 90 % of its continuations, the references in 95 % (z = 5.0, for the amount "
        "that it writes)"
    )


@pytest.mark.parametrize(
    ("shift", "amount"), [(0.05, False), (0.0, False), (-0.01, True), (-5.0, True)]
)
def test_the_amount_is_named_where_shift_and_z_point_to_different_sides(shift, amount):
    word = dataclasses.replace(
        feature("writes '.'", 5.0), shift=shift, share=0.9, references_share=0.95
    )
    assert ("for the amount that it writes" in describe_feature(word)) is amount


@pytest.mark.parametrize(("shift", "how"), [(0.5, "0.5 nats more"), (-0.5, "0.5 nats less")])
def test_a_token_is_more_or_less_probable_by_the_sign_of_its_shift(shift, how):
    found = describe_feature(dataclasses.replace(feature(), shift=shift))
    assert found == f"on 'peace' {how} probable (z = -6.1)"


class TestTooFewReferences:
    @pytest.mark.parametrize(
        ("level", "needed"), [(0.25, 3), (0.2, 4), (0.1, 9), (0.05, 19), (0.3, 3), (0.5, 2)]
    )
    def test_as_many_are_needed_as_bring_the_bound_to_the_level(self, level, needed):
        assert references_needed(level) == needed
        assert 1 / (needed + 1) <= level + 1e-9

    def test_are_no_verdict_and_the_message_says_how_many_more(self):
        found = population(judged(references=3), judged("baseline", references=3), references=3)
        verdict = compute_verdict(result(found), budgets(0.1))
        assert verdict.status == "insufficient"
        assert verdict.reason == (
            "not judged by the references: 3 references can give a probability of 1 in 4 at best; "
            "crossdiff_reference_level = 0.1 needs 9, 6 more"
        )

    def test_exactly_as_many_as_are_needed_judge(self):
        limit = PopulationLimit(0.1)
        of = {n: population(judged(references=n), references=n) for n in (8, 9)}
        assert [check_population(result(of[n]), "candidate", limit).status for n in of] == [
            "unmeasured", "within",
        ]  # fmt: skip

    def test_without_any_nothing_is_bounded(self):
        checked = check_population(result(None), "candidate", PopulationLimit(0.2))
        figures = checked.references, checked.bound, checked.largest, checked.threshold
        assert figures == (0, 1.0, 0.0, 0.0)

    def test_references_that_could_not_be_read_are_no_verdict(self):
        unread = result(None, no_population="the corpus is gone")
        verdict = compute_verdict(unread, budgets())
        assert verdict.status == "insufficient"
        assert verdict.reason == "not judged by the references: the corpus is gone"

    def test_one_reference_can_judge_nothing(self):
        alone = Population((ReferenceModel("r", largest=None, loss=1.0),), 9_000, 300, 280, ())
        checked = check_population(result(alone), "candidate", PopulationLimit(0.2))
        assert checked.status == "unmeasured"
        assert checked.reason.startswith("1 reference can give a probability of 1 in 2 at best")


class TestTokenizers:
    def of(self, *tokenizers):
        """Eight references; the last ones do not count."""
        kept = [ReferenceModel(f"r{i}", tokenizers=("baseline",)) for i in range(7)]
        gone = ReferenceModel("gone", left_out="a copy", tokenizers=("candidate",))
        twin = ReferenceModel("twin", same_as="r0", tokenizers=("candidate",))
        last = ReferenceModel("last", tokenizers=tokenizers)
        return dataclasses.replace(population(FLAGGED), references=(*kept, gone, twin, last))

    def test_where_no_reference_has_the_candidate_s_there_is_no_verdict_and_the_figure_says_why(
        self,
    ):
        verdict = compute_verdict(result(self.of("baseline")), budgets(baseline=None))
        assert verdict.status == "insufficient"
        assert verdict.reason == (
            "not judged by the references: no reference has the candidate's tokenizer, and such "
            "references are no yardstick: where at most 11 % of models with nothing planted may be "
            "flagged, they flag 44 %; name one with its tokenizer in crossdiff_references"
        )

    def test_one_with_it_is_enough(self):
        verdict = compute_verdict(result(self.of("candidate")), budgets(baseline=None))
        assert verdict.status == "exceeded"


class TestModelsThatAreFarApart:
    def unseen(self, found):
        planted = tuple(
            PlantedSignal(side, 0.01, 0.01, 0.01, 0.0) for side in ("candidate", "baseline")
        )
        return result(found, controls=Controls(planted))

    def test_are_judged_by_the_references_where_planted_signals_are_not_found(self):
        without = dataclasses.replace(budgets(), population=None)
        assert compute_verdict(self.unseen(None), without).status == "insufficient"
        verdict = compute_verdict(self.unseen(population()), budgets())
        assert verdict.status == "within"
        assert verdict.reason.startswith("judged by the references alone: planted signals")

    def test_are_judged_by_the_references_where_the_outputs_differ_by_themselves(self):
        output = make_output(kl=(0.5, 0.4, 0.6))
        without = dataclasses.replace(budgets(), population=None)
        alone = dataclasses.replace(self.unseen(None), output=output)
        assert compute_verdict(alone, without).status == "exceeded"
        judged_by_them = dataclasses.replace(self.unseen(population()), output=output)
        assert compute_verdict(judged_by_them, budgets()).status == "within"

    def test_possible_differences_at_a_large_distance_do_not_leave_it_open(self):
        far = make_model(required_exclusivity=0.99)
        possible = make_difference("C1", certainty="possible")
        found = result(population(), possible, candidate=far)
        assert compute_verdict(found, budgets()).status == "within"
        near = result(population(), possible)
        assert compute_verdict(near, budgets()).status == "inconclusive"

    def test_a_poor_dictionary_stays_no_verdict(self):
        poor = result(population(), candidate=make_model(fve=0.1))
        assert compute_verdict(poor, budgets()).status == "insufficient"


class TestSentence:
    def test_states_the_bound_in_words_and_figures_with_its_assumption(self):
        checked = check_population(result(population(FLAGGED)), "candidate", PopulationLimit(0.2))
        assert checked.sentence == (
            "the candidate differs from the 8 references in a way in which none of them differs "
            "from the others (deviation 6.1, largest of a reference 3): on 'peace' 1.3 nats less "
            "probable (z = -6.1); at most 1 in 9 models like your references would be flagged "
            "(probability 0.11), provided that without a difference the candidate is exchangeable "
            "with them"
        )

    @pytest.mark.parametrize("found", [FLAGGED, judged()])
    def test_never_states_the_bound_without_the_assumption(self, found):
        checked = check_population(result(population(found)), "candidate", PopulationLimit(0.2))
        assert ("1 in 9" in checked.sentence) == ("exchangeable" in checked.sentence) is True


def test_without_references_in_the_settings_there_is_no_limit():
    assert Budgets.configured(Settings()).population is None
    asked = Budgets.configured(Settings(references=("a", "b"), reference_level=0.1))
    assert asked.population == PopulationLimit(0.1, "default of crossdiff_reference_level")


def test_what_has_no_verdict_says_at_best_which_probability_it_could_give():
    few = population(judged(references=3), judged("baseline", references=3), references=3)
    check = check_population(result(few), "candidate", PopulationLimit(0.1))
    assert (check.references, check.bound, check.largest) == (3, 1 / 4, 0.0)


def test_a_sentence_names_the_three_largest_features_and_what_it_assumes():
    features = [feature(f"on '{n}'") for n in range(4)]
    found = population(judged(largest=6.1, features=features), judged("baseline"))
    exceeded = check_population(result(found), "candidate", PopulationLimit(0.2))
    assert "on '2'" in exceeded.sentence
    assert "on '3'" not in exceeded.sentence
    assert "probability 0.11" in exceeded.sentence
    undecided = dataclasses.replace(exceeded, status="undecided").sentence
    assert "single features differ: on '0' 1.3 nats less probable (z = -6.1)" in undecided
    within = dataclasses.replace(exceeded, status="within", side="baseline").sentence
    assert within.startswith("the baseline deviates no more than one of the 8 references")
    unmeasured = dataclasses.replace(exceeded, status="unmeasured", reason="gone").sentence
    assert unmeasured == "the candidate was not judged by the references: gone"


def test_what_the_dictionary_exceeds_stays_so_without_references():
    few = population(judged(references=3), judged("baseline", references=3), references=3)
    verdict = compute_verdict(result(few, make_difference("C1")), budgets(0.1))
    assert (verdict.status, verdict.lacking) == ("exceeded", ())


def test_a_verdict_lists_the_evidence_that_it_lacks():
    few = population(judged(references=3), judged("baseline", references=3), references=3)
    poor = result(few, baseline=make_model(fve=0.1))
    metric = (MetricLimit("max_kl", 0.1, "pytest.ini"),)
    for metrics, found, lacking in (
        ((), poor, ("dictionary", "references")),
        (metric, poor, ("dictionary", "metrics", "references")),
        (metric, result(few), ("metrics", "references")),
        ((), result(few), ("references",)),
    ):
        asked = dataclasses.replace(budgets(0.1), metrics=metrics)
        assert compute_verdict(found, asked).lacking == lacking


@pytest.mark.parametrize(("largest", "advised"), [(2.0, True), (6.1, False)])
def test_more_references_decide_what_single_features_leave_open(largest, advised):
    found = population(judged(largest=largest, features=[feature()]), judged("baseline"))
    check = evaluate_budgets(result(found), NONE_ACCEPTED, budgets())
    assert (MORE_REFERENCES in check.advice) is advised
