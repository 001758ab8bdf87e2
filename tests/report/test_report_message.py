"""The text of a failure, to the letter."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from pytest_crossdiff.gate.budgets import Budgets
from pytest_crossdiff.gate.check import evaluate_budgets
from pytest_crossdiff.report import message
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.screen.pointers import Pointers
from pytest_crossdiff.results.controls import Controls, PlantedSignal
from pytest_crossdiff.results.difference import Said
from pytest_crossdiff.results.replies import Share
from pytest_crossdiff.results.wording import reconciled
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.text import Display, columns
from support.results import (
    make_context,
    make_difference,
    make_feature,
    make_output,
    make_result,
)

KUBECTL = make_difference(
    "C2",
    strength=0.02,
    tokens=(" kubectl", " pods"),
    contexts=(
        make_context(" kubectl", "To see what is wrong run", " get pods and look at the restarts"),
        make_context(" pods", "list all the", " of that namespace", band="top"),
        make_context(" pods", "whales swim in", ", dogs\nin packs", band="50-75 %"),
        make_context(" pods", "never shown", "", band="0-25 %"),
    ),
)
REFUSAL = make_difference(
    "C1",
    strength=0.0008,
    tokens=(" cannot",),
    contexts=(make_context(" cannot", "I am sorry but I", " help with that"),),
)
LOST = make_difference("B1", "baseline", strength=0.004, tokens=("\x1b[2J",))
POINTERS = Pointers(Path("cache/key"), "reports/old-to-new.html")
PLACES = {
    "max_candidate_only": "pytest.ini: crossdiff_max_candidate_only",
    "max_candidate_only_strength": "--crossdiff-max-candidate-only-strength",
}


def exceeded(result, width=100, verbosity=0, **settings):
    report = Report.of(result)
    check = evaluate_budgets(
        report.result, report, Budgets.configured(Settings(sources=PLACES, **settings))
    )
    return message.exceeded(report, check, POINTERS, Display(width, verbosity))


def test_verdict_first_then_the_worst_then_what_to_do():
    text = exceeded(
        make_result(REFUSAL, KUBECTL, LOST),
        max_candidate_only=1,
        max_baseline_only=1,
        max_candidate_only_strength=0.01,
    )
    assert (
        text.splitlines()
        == """\
CANDIDATE-ONLY: 2 differences, budget 1; joint strength 0.0208, budget 0.01
BASELINE-ONLY: 1 difference, budget 1; joint strength 0.004 (within)

baseline   org/old, block 6 of 12
candidate  org/new, block 6 of 12

Only in the candidate, strongest first:
  C2  The candidate represents something that the baseline does not: on ' kubectl' ' pods', near the
      words word.
      To see what is wrong run⟦ kubectl⟧ get pods and look at the restarts
      strength 0.02, on 1.2 % of the tokens, in 12 texts
  C1  The candidate represents something that the baseline does not: on ' cannot', near the words
      word.
      I am sorry but I⟦ cannot⟧ help with that
      strength 0.0008, on 1.2 % of the tokens, in 12 texts

What to do:
- wanted: read the texts (⟦token⟧ marks where the difference is), accept them and say why:
    pytest --crossdiff --crossdiff-accept=C2,C1 --crossdiff-reason="why this is wanted"
- wanted: raise the budget to 2 (now 1, pytest.ini: crossdiff_max_candidate_only)
- wanted: raise the strength budget to 0.021 (now 0.01, --crossdiff-max-candidate-only-strength)
- not wanted: fix or retrain the candidate, then run again
- the report page: reports/old-to-new.html""".splitlines()
    )


def test_the_budgets_that_are_proposed_are_enough():
    """Also for what is possible, and for intervals: nothing more has to be raised afterwards."""
    result = make_result(
        REFUSAL,
        KUBECTL,
        make_difference("C3", strength=0.03, certainty="possible"),
        make_difference("B1", "baseline", strength=0.004, certainty="possible"),
        output=make_output(),
        candidate_strength=0.0208,
    )
    tight = {
        "max_candidate_only": 1, "max_candidate_only_strength": 0.01, "max_baseline_only": 0,
        "max_kl": 0.001, "min_same_top": 0.99, "max_perplexity_ratio": 1.0,
    }  # fmt: skip
    text = exceeded(result, width=200, **tight)
    proposed = dict(re.findall(r"wanted: (?:raise|lower) (?:the )?(.+?) to (\S+?),? ", text))
    assert proposed == {
        "budget": "1", "strength budget": "0.051", "max_kl": "0.015", "min_same_top": "0.92",
        "max_perplexity_ratio": "1.1",
    }  # fmt: skip
    assert "raise the budget to 3, with the 1 possible (now 1, pytest.ini: " in text
    enough = {name: float(proposed[name]) for name in proposed.keys() & tight.keys()}
    enough |= {"max_candidate_only": 3, "max_baseline_only": 1}
    enough |= {"max_candidate_only_strength": float(proposed["strength budget"])}
    report = Report.of(result)
    check = evaluate_budgets(report.result, report, Budgets.configured(Settings(**enough)))
    assert check.status == "within"


def test_no_budget_is_proposed_that_would_not_be_enough():
    missed = Controls((PlantedSignal("candidate", 0.01, 0.01, 0.01, 0.0),))
    far = make_result(output=make_output(kl=(0.44, 0.36, 0.52)))
    text = exceeded(dataclasses.replace(far, controls=missed), width=300, max_kl=0.5)
    assert text.startswith("TOO DIFFERENT: ")
    assert "raise" not in text


def test_no_budget_is_proposed_that_cannot_be_set():
    far = make_result(output=make_output(perplexity_ratio=(2e4, 1e4, 5e4)))
    assert "remove max_perplexity_ratio (now 2, default of crossdiff_max_perplexity_ratio): " in (
        " ".join(exceeded(far, width=300, max_perplexity_ratio=2.0).split())
    )


def test_verbose_has_every_number_and_more_texts():
    text = exceeded(make_result(REFUSAL, KUBECTL), verbosity=1)
    assert (
        text.partition("Only in")[2].partition("\nWhat to do")[0].splitlines()
        == """\
 the candidate, strongest first:
id  strength  density  exclusivity        fires on            context
--  --------  -------  -----------------  ------------------  -------
C2  0.02      1.2 %    0.93 [0.88, 0.96]  ' kubectl' ' pods'  … is wrong run⟦ kubectl⟧ get pods and…
C1  0.0008    1.2 %    0.93 [0.88, 0.96]  ' cannot'           …m sorry but I⟦ cannot⟧ help with that

C2 fires here too:
  list all the⟦ pods⟧ of that namespace
  whales swim in⟦ pods⟧, dogs⏎in packs
  never shown⟦ pods⟧
""".splitlines()
    )
    assert text.endswith("- all texts and numbers: cache/key")


def test_a_side_without_a_strength_budget_still_states_its_strength():
    assert exceeded(make_result(REFUSAL)).startswith(
        "CANDIDATE-ONLY: 1 difference, budget 0; joint strength 0.0008\n"
        "BASELINE-ONLY: 0 differences, budget 0; joint strength 0 (within)\n"
    )


def test_both_sides_are_shown_when_both_exceed():
    text = exceeded(make_result(REFUSAL, LOST))
    assert "Only in the candidate, strongest first:" in text
    assert "Only in the baseline, strongest first:" in text


def test_texts_can_not_act_on_the_terminal():
    assert "'\\x1b[2J'" in exceeded(make_result(LOST))
    assert "\x1b" not in exceeded(make_result(LOST))


def test_no_line_of_a_table_or_a_context_is_wider_than_asked():
    long = make_difference(
        tokens=tuple(f" word{i}" for i in range(20)),
        contexts=tuple(make_context(before=letter * 200, after="z" * 200) for letter in "abc"),
    )
    for width in (80, 100, 120):
        lines = exceeded(make_result(long), width=width, verbosity=1).splitlines()
        about = [line for line in lines if "⟦ token⟧" in line]
        assert len(about) == 3
        assert max(map(columns, about)) == width


def test_only_the_three_strongest_get_a_sentence_and_the_command_names_all():
    many = [make_difference(f"C{i}", strength=i / 1000) for i in range(1, 15)]
    lines = exceeded(make_result(*many)).splitlines()
    assert [x.split()[0] for x in lines if re.match("  C", x)] == ["C14", "C13", "C12"]
    assert "  … and 11 more (-v shows more)" in lines
    (command,) = [line for line in lines if line.startswith("    pytest")]
    assert command.startswith("    pytest --crossdiff --crossdiff-accept=all --crossdiff-reason=")


def test_the_command_names_each_where_all_would_accept_more_than_is_shown():
    many = [make_difference(f"C{i}", strength=i / 1000) for i in range(1, 5)]
    text = exceeded(make_result(*many, LOST), max_baseline_only=1)
    assert " --crossdiff-accept=C4,C3,C2,C1 " in text


def test_verbose_shows_more_of_them_and_more_contexts():
    contexts = tuple(make_context(before=f"context {i} ", band=f"{i}") for i in range(8))
    many = [make_difference(f"C{i}", strength=i / 1000, contexts=contexts) for i in range(1, 41)]
    for verbosity, rows, explained, each in ((1, 30, 10, 4), (2, 40, 40, 7)):
        text = exceeded(make_result(*many), verbosity=verbosity)
        assert len(re.findall(r"^C\d+  +0", text, re.MULTILINE)) == rows
        assert text.count("fires here too:") == explained
        assert len(re.findall(r"^  .*⟦ token⟧", text, re.MULTILINE)) == explained * each
    assert "… and 10 more (-vv shows more)" in exceeded(make_result(*many), verbosity=1)
    assert "more (" not in exceeded(make_result(*many), verbosity=2)


def test_the_sentence_says_what_both_models_say_and_the_text_shows_it():
    said = Said("Oslo", " is", 0.5, " was", 0.75, 3, 4)
    contexts = make_context(" Rome"), make_context(" Oslo", "I live in")
    d = dataclasses.replace(
        make_difference(contexts=contexts), said=said, kl_share=0.46,
        changed_replies=Share(3, 40),
    )  # fmt: skip
    lines = exceeded(make_result(d)).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("  C1 "))
    assert lines[at : at + 3] == [
        "  C1  After 'Oslo' the candidate says ' was' (75 %), the baseline ' is' (50 %).",
        "      I live in⟦ Oslo⟧ and some after it",
        "      strength 0.01, on 1.2 % of the tokens, in 3 of 40 answers",
    ]


@pytest.mark.parametrize(
    ("after", "tokens", "shown", "lead", "marked"),
    [
        ("<start of answer>", (), ("Rome", "\n"), "", "⏎"),
        ("Bonn", (), (" Rome", "Oslo"), "strongest at: ", " Rome"),
        (None, ("Oslo", "Bonn"), (" Rome", " Bonn"), "", " Bonn"),
        (None, ("Oslo",), ("Rome",), "strongest at: ", "Rome"),
    ],
)
def test_the_text_shows_a_token_that_the_sentence_names_or_says_that_it_does_not(
    after, tokens, shown, lead, marked
):
    d = dataclasses.replace(
        make_difference(tokens=tokens, contexts=tuple(map(make_context, shown))),
        said=None if after is None else Said(after, " is", 0.5, " was", 0.75, 3, 4),
    )
    lines = exceeded(make_result(d)).splitlines()
    assert f"      {lead}some text before the⟦{marked}⟧ and some after it" in lines


def test_verified_features_possible_and_counted_differences_add_up():
    counted = [make_feature(i, strength=0.01, rejected="") for i in (1, 2)]
    weak = [make_feature(i, strength=0.0001, rejected="") for i in range(3, 8)]
    rare = [make_feature(8, strength=0.02, rejected="")]
    rest = [make_feature(9), make_feature(10, "baseline", rejected="")]
    result = make_result(make_difference("C1"), features=(*counted, *weak, *rare, *rest))
    assert reconciled(result, "candidate") == (
        "8 verified features: 2 belong to C1, 5 are too weak to count (below 0.0002), "
        "1 is in too few of the 3 dictionaries"
    )
    assert (
        reconciled(make_result(make_difference("C1"), features=tuple(counted)), "candidate") == ""
    )


def test_the_screen_of_a_failure_has_at_most_seven_technical_terms():
    """Everything that can stand on it stands on it; two numbers of the same kind are one term."""
    said = Said(" Oslo", " is", 0.5, " was", 0.75, 3, 4)
    found = [
        dataclasses.replace(d, said=said, kl_share=0.4)
        for d in (KUBECTL, REFUSAL, LOST, make_difference("B2", "baseline", certainty="possible"))
    ]
    result = make_result(*found, output=make_output())
    assert terms(exceeded(result, max_candidate_only_strength=0.01)) == {
        "difference", "budget", "strength", "possible", "token",
    }  # fmt: skip
    assert len(terms(exceeded(result, verbosity=1, max_candidate_only_strength=0.01))) > 7


TERMS = (
    *("difference", "budget", "strength", "possible", "token", "density", "exclusivity", "fires"),
    *("rewritten", "feature", "dictionar", "KL", "nats", "percentile", "perplexity", "top token"),
    *("held out", "variance", "aligned", "control", "false positive", "limit of detection"),
    *("temperature", "interval", "RMS", "confirmed", "p ="),
)


def terms(text: str) -> set[str]:
    """The technical terms in `text`."""
    return {term for term in TERMS if term in text.replace("--crossdiff", "")}


def test_advice_that_is_too_long_goes_on_below():
    lines = exceeded(
        make_result(REFUSAL, KUBECTL), width=60, max_candidate_only_strength=0.01
    ).splitlines()
    at = lines.index("- wanted: raise the strength budget to 0.021 (now 0.01,")
    assert lines[at + 1] == "  --crossdiff-max-candidate-only-strength)"


def test_a_difference_without_contexts_is_shown_all_the_same():
    result = make_result(make_difference(contexts=(), tokens=()))
    assert "C1  0.01" in exceeded(result, verbosity=1)
    assert "  C1  The candidate represents" in exceeded(result)


def test_differences_that_match_a_pattern():
    text = message.matched(make_result(REFUSAL), re.compile("can't|cannot"), [REFUSAL], ())
    assert (
        text.splitlines()
        == """\
MATCHING "can't|cannot": 1 difference, none allowed

baseline   org/old, block 6 of 12
candidate  org/new, block 6 of 12

Only in the candidate, strongest first:
  C1  The candidate represents something that the baseline does not: on ' cannot', near the words
      word.
      I am sorry but I⟦ cannot⟧ help with that
      strength 0.0008, on 1.2 % of the tokens, in 12 texts

What to do:
- wanted: read the texts (⟦token⟧ marks where the difference is), accept it and say why:
    pytest --crossdiff --crossdiff-accept=C1 --crossdiff-reason="why this is wanted"
- wanted: narrow the pattern, or drop the assertion
- not wanted: fix or retrain the candidate, then run again""".splitlines()
    )
