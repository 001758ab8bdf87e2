"""`pytest --crossdiff-accept` records a decision, and later runs keep to it."""

from __future__ import annotations

import dataclasses
import json
import shlex

import pytest

from pytest_crossdiff.results.difference import Firing
from support import fake_engine
from support.results import make_context, make_difference, make_result

FILE = "crossdiff-accepted.json"
GATE = "--crossdiff"
REASON = "--crossdiff-reason=trained on our runbooks", "--crossdiff-author=Ann"


@pytest.fixture(autouse=True)
def _on_a_machine_of_ones_own(monkeypatch):
    monkeypatch.delenv("CI", raising=False)


def firing(difference, begin):
    places = tuple(Firing("document 1", "a" * 16, end, 2.0) for end in range(begin, begin + 40))
    return dataclasses.replace(difference, firing=places)


PODS = firing(
    make_difference(
        "C1",
        strength=0.02,
        tokens=("pods", "\x1b[2J"),
        contexts=(make_context(" pods", "list all the\u202e", " of it"),),
    ),
    0,
)
CANNOT = firing(make_difference("C2", strength=0.01, tokens=("cannot",)), 100)
LOST = firing(make_difference("B1", "baseline", strength=0.005, tokens=("whom",)), 0)


def renamed(difference, name, strength):
    """As another dictionary has it."""
    return dataclasses.replace(
        firing(difference, 2), id=name, strength=strength, strength_low=strength
    )


@pytest.fixture
def differing(engine):
    engine.result = make_result(PODS, CANNOT, LOST)
    return engine


def accept(project, ids, *arguments):
    return project.runpytest(GATE, f"--crossdiff-accept={ids}", *REASON, *arguments)


def entries(project):
    return json.loads((project.path / FILE).read_text("utf-8"))["accepted"]


class TestAccepting:
    def test_it_writes_what_was_accepted_by_whom_and_why(self, project, differing):
        result = accept(project, "C1", "--crossdiff-expires=2999-12-31")
        (entry,) = entries(project)
        assert entry["id"].startswith("c-")
        shown = {k: v for k, v in entry.items() if k not in ("id", "date", "fingerprint")}
        assert shown == {
            "side": "candidate",
            "slot": {
                "corpus": "builtin:pydoc",
                "baseline_layer": "0.5",
                "candidate_layer": "0.5",
            },
            "seen_as": "C1",
            "baseline": "org/old",
            "candidate": "org/new",
            "strength": 0.02,
            "description": "fires on 'pods' '\\x1b[2J'; near the words word",
            "tokens": ["pods", "\\x1b[2J"],
            "contexts": ["list all the\\u202e⟦ pods⟧ of it"],
            "reason": "trained on our runbooks",
            "author": "Ann",
            "expires": "2999-12-31",
        }
        result.stdout.fnmatch_lines([f"crossdiff: accepted C1 as {entry['id']}: commit {FILE}"])

    def test_only_what_is_new_fails_from_then_on(self, project, differing):
        accept(project, "C1,B1").assert_outcomes(failed=1)
        result = project.runpytest(GATE)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "CANDIDATE-ONLY: 1 difference, budget 0; joint strength 0.01",
                "BASELINE-ONLY: 0 differences, budget 0; joint strength 0 (within)",
                "Accepted, so not counted: C1 B1",
            ]
        )
        result.stdout.no_fnmatch_line("*not found*")
        project.makepyfile(
            "def test_it(crossdiff):\n"
            "    assert [r.difference for r in crossdiff.accepted.found] == ['C1', 'B1']\n"
            "    assert crossdiff.accepted.accepts('C1') and not crossdiff.accepted.accepts('C2')\n"
            "    assert len(crossdiff.candidate_only) == 2"
        )
        project.runpytest().assert_outcomes(passed=1)

    def test_it_passes_when_nothing_new_is_left(self, project, differing):
        assert accept(project, "C1, C2,B1").ret == 0
        project.runpytest(GATE).assert_outcomes(passed=1)
        assert len(entries(project)) == 3

    def test_all_are_those_that_count_and_what_is_known_keeps_its_reason(self, project, differing):
        accept(project, "C1")
        possible = make_difference("C3", certainty="possible")
        differing.result = make_result(PODS, CANNOT, possible, LOST)
        all_ = GATE, "--crossdiff-accept=all", "--crossdiff-reason=read", "--crossdiff-author=Bob"
        done = project.runpytest(*all_, "--crossdiff-max-candidate-only=1")
        done.stdout.fnmatch_lines(["crossdiff: accepted B1 as b-*, C2 as c-*: commit *"])
        done.assert_outcomes(passed=1)  # the possible one is within the budget
        assert {e["seen_as"]: e["author"] for e in entries(project)} == {
            "B1": "Bob", "C1": "Ann", "C2": "Bob",
        }  # fmt: skip
        assert accept(project, "all").ret == 0  # nothing but the possible one is left
        assert len(entries(project)) == 4
        result = accept(project, "all")
        result.stdout.fnmatch_lines(["crossdiff: nothing was accepted: no difference is left *"])

    def test_all_leaves_no_possible_one_that_a_second_acceptance_would_have_to_name(
        self, project, differing
    ):
        possible = [
            make_difference("C3", certainty="possible"),
            make_difference("B2", "baseline", certainty="possible"),
        ]
        differing.result = make_result(PODS, LOST, *possible)
        within = "--crossdiff-max-candidate-only=0", "--crossdiff-max-baseline-only=1"
        accept(project, "all", *within).assert_outcomes(passed=1)
        assert [e["seen_as"] for e in entries(project)] == ["B1", "C1", "C3"]
        project.runpytest(GATE, *within).assert_outcomes(passed=1)

    def test_the_command_of_the_failure_accepts_what_it_shows(self, project, differing):
        failure = project.runpytest(GATE)
        (command,) = [line for line in failure.outlines if line.startswith("    pytest ")]
        arguments = shlex.split(command.replace("why this is wanted", "read by Ann"))
        project.runpytest(*arguments[1:], "--crossdiff-author=Ann").assert_outcomes(passed=1)
        project.runpytest(GATE).assert_outcomes(passed=1)

    def test_it_is_known_again_in_a_run_that_numbers_it_otherwise(self, project, differing):
        accept(project, "C1,B1")
        new = firing(make_difference("C1", strength=0.03), 200)
        differing.result = make_result(
            new, renamed(PODS, "C2", 0.021), renamed(LOST, "B1", 0.005), key="retrained"
        )
        result = project.runpytest(GATE)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            ["CANDIDATE-ONLY: 1 difference, budget 0; joint strength 0.03", "  C1  The candidate *"]
        )
        result.stdout.fnmatch_lines(
            ["  accepted        C2, c-* (Ann, *: trained on our runbooks): fires on 'pods'*"]
        )

    def test_accepting_more_leaves_the_rest_as_it_was(self, project, differing):
        accept(project, "C1")
        before = (project.path / FILE).read_text("utf-8")
        accept(project, "B1")
        assert [e["seen_as"] for e in entries(project)] == ["B1", "C1"]
        accept(project, "C1")
        assert [e["seen_as"] for e in entries(project)] == ["B1", "C1"]
        (kept,) = [e for e in entries(project) if e["seen_as"] == "C1"]
        assert [kept] == json.loads(before)["accepted"]

    def test_texts_can_be_left_out(self, project, differing):
        accept(project, "C1", "--crossdiff-accepted-texts=false")
        (entry,) = entries(project)
        assert entry["tokens"] == entry["contexts"] == []
        assert "description" not in entry
        assert "pods" not in (project.path / FILE).read_text("utf-8")
        project.runpytest(GATE).stdout.fnmatch_lines(["Accepted, so not counted: C1"])

    def test_a_path_is_written_as_seen_from_beside_the_file(self, project, differing):
        corpus = project.mkdir("evals") / "prompts.jsonl"
        corpus.write_text('{"text": "a"}\n')
        accept(project, "C1", f"--crossdiff-corpus={corpus}")
        assert entries(project)[0]["slot"]["corpus"] == "evals/prompts.jsonl"

    def test_the_author_is_git_s(self, project, differing, monkeypatch):
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.name")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", "Bob of git")
        project.runpytest(GATE, "--crossdiff-accept=C1", "--crossdiff-reason=wanted")
        assert entries(project)[0]["author"] == "Bob of git"

    def test_a_forbidden_pattern_does_not_match_what_was_accepted(self, project, differing):
        project.makepyfile("def test_it(crossdiff): crossdiff.assert_no_feature('pods|cannot')")
        project.runpytest().stdout.fnmatch_lines(["MATCHING 'pods|cannot': 2 differences, *"])
        accept(project, "C1")
        project.runpytest().stdout.fnmatch_lines(["MATCHING 'pods|cannot': 1 difference, *"])


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "why"),
        [
            (["--crossdiff-accept=C1"], "--crossdiff-accept needs a reason: *"),
            (["--crossdiff-accept=C1", "--crossdiff-reason= "], "--crossdiff-accept needs a *"),
            (["--crossdiff-accept=C1", "--crossdiff-reason=…"], "* reason, and '…' is none: *"),
            (
                ["--crossdiff-accept=all", "--crossdiff-reason=why this is wanted"],
                "* needs a reason, and 'why this is wanted' is none: give one in your own words*",
            ),
            (["--crossdiff-accept=,", *REASON], "--crossdiff-accept names no difference: *"),
            (["--crossdiff-reason=x"], "--crossdiff-reason belongs to --crossdiff-accept, *"),
            (["--crossdiff-expires=2030-01-01"], "--crossdiff-expires belongs to *"),
            (
                ["--crossdiff-accept=C1", *REASON, "--crossdiff-expires=soon"],
                "--crossdiff-expires: 'soon' is not a date, YYYY-MM-DD",
            ),
            (
                ["--crossdiff-accept=C1", *REASON, "--crossdiff-expires=2020-01-01"],
                "--crossdiff-expires: 2020-01-01 is over",
            ),
        ],
    )
    def test_an_incomplete_request_is_refused_before_anything_runs(
        self, project, differing, arguments, why
    ):
        result = project.runpytest(GATE, *arguments)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: {why}"])
        assert not differing.asked
        assert not (project.path / FILE).exists()

    def test_it_is_refused_in_ci(self, project, differing, monkeypatch):
        monkeypatch.setenv("CI", "true")
        result = accept(project, "C1")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["ERROR: --crossdiff-accept is refused where *CI is set: *"])
        assert not (project.path / FILE).exists()

    def test_without_an_author_it_is_refused(self, project, differing, monkeypatch):
        monkeypatch.setenv("PATH", "")
        result = project.runpytest(GATE, "--crossdiff-accept=C1", "--crossdiff-reason=wanted")
        result.stderr.fnmatch_lines(["ERROR: --crossdiff-accept needs an author, *"])

    def test_an_unknown_id_is_refused_with_the_known_ones_and_nothing_is_written(
        self, project, differing
    ):
        result = accept(project, "C1,C9")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stdout.fnmatch_lines(
            [
                "crossdiff: nothing was accepted: there is no difference C9",
                "crossdiff:   to do: name some of: C1, C2, B1",
            ]
        )
        assert not (project.path / FILE).exists()

    def test_a_test_that_passes_is_an_error_where_nothing_could_be_accepted(
        self, project, differing
    ):
        result = accept(
            project, "C9", "--crossdiff-max-candidate-only=9", "--crossdiff-max-baseline-only=9"
        )
        result.assert_outcomes(errors=1)
        result.stdout.no_fnmatch_line("*1 passed*")

    def test_an_id_that_two_pairs_have_is_refused(self, project, differing):
        other = make_result(PODS, key="another pair")
        first, run = differing.result, differing.run

        def answer(settings, texts=None, progress=None):
            differing.result = other if settings.layer == 3 else first
            return run(settings, texts, progress)

        differing.run = answer
        project.makepyfile("def test_it(crossdiff_factory): crossdiff_factory(layer=3)")
        result = accept(project, "C1")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stdout.fnmatch_lines(
            ["crossdiff: nothing was accepted: C1 is a difference of 2 pairs"]
        )
        assert accept(project, "C1", "-k", "test_it").ret == 0
        assert entries(project)[0]["slot"]["baseline_layer"] == "3"
        result = accept(project, "C2")
        assert sorted(e["seen_as"] for e in entries(project)) == ["C1", "C2"]

    def test_when_nothing_was_measured_it_says_so(self, project, differing):
        project.makepyfile("def test_it(): pass")
        result = project.runpytest("--crossdiff-accept=C1", *REASON)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stdout.fnmatch_lines(["crossdiff: nothing was accepted: no pair was measured"])

    def test_a_file_that_can_not_be_read_is_an_error_and_is_not_overwritten(
        self, project, differing
    ):
        (project.path / FILE).write_text("<<<<<<< ours\n", "utf-8")
        for result in (project.runpytest(GATE), accept(project, "C1")):
            result.assert_outcomes(errors=1)
            result.stdout.fnmatch_lines(
                ["the accepted differences can't be read: a merge left conflict marks in it"]
            )
        assert (project.path / FILE).read_text("utf-8") == "<<<<<<< ours\n"


class TestWarnings:
    def test_what_has_grown_fails_again_and_can_be_accepted_again(self, project, differing):
        accept(project, "C1,C2,B1")
        differing.result = make_result(renamed(PODS, "C1", 0.05), CANNOT, LOST, key="next")
        result = project.runpytest(GATE)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "CANDIDATE-ONLY: 1 difference, budget 0; joint strength 0.05",
                "Accepted, so not counted: C2 B1",
                "Accepted before, but counted again: C1, accepted at strength 0.02 and now *",
                "crossdiff: grown since it was accepted: C1, accepted at strength 0.02 and now *",
            ]
        )
        project.runpytest(GATE, "--crossdiff-accepted-growth=3").assert_outcomes(passed=1)
        accept(project, "C1").assert_outcomes(passed=1)
        project.runpytest(GATE).assert_outcomes(passed=1)
        assert sorted(e["strength"] for e in entries(project)) == [0.005, 0.01, 0.05]

    def test_what_is_no_longer_found_is_told(self, project, differing):
        accept(project, "C1")
        differing.result = make_result(key="next")
        result = project.runpytest(GATE)
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(
            [
                "crossdiff: accepted, but not found: C1, c-* (Ann, *: trained on *): fires*",
                f"crossdiff: 1 entry of {FILE} can be removed, if this run had all the tests",
            ]
        )
        project.runpytest(GATE, "-q").stdout.fnmatch_lines(
            ["crossdiff: accepted, but not found: C1, c-* *"]
        )

    def test_what_has_expired_counts_again_and_is_told(self, project, differing):
        accept(project, "C1,C2,B1")
        path = project.path / FILE
        text = path.read_text("utf-8").replace('"expires": null', '"expires": "2020-01-31"')
        path.write_text(text, "utf-8")
        result = project.runpytest(GATE)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "CANDIDATE-ONLY: 2 differences, budget 0; *",
                "Accepted before, but counted again: C1, accepted until 2020-01-31, c-* (Ann, *",
                "crossdiff: no longer accepted: C1, accepted until 2020-01-31, c-* (Ann, *",
            ]
        )

    def test_an_entry_of_another_comparison_is_neither_used_nor_missed(self, project, differing):
        accept(project, "C1")
        result = project.runpytest(GATE, "--crossdiff-layer=3")
        result.stdout.fnmatch_lines(["CANDIDATE-ONLY: 2 differences, budget 0; *"])
        result.stdout.no_fnmatch_line("*accepted*")


def test_workers_accept_as_one_process_does(project, monkeypatch):
    fake_engine.install_for_subprocess(project.path, make_result(PODS, CANNOT, LOST))
    project.makepyfile(
        "import pytest\n"
        "@pytest.mark.parametrize('n', range(4))\n"
        "def test_it(n, crossdiff): crossdiff.assert_within_budget()"
    )
    arguments = "-p", "fake_engine", "-n2", "--crossdiff-accept=C1,C2,B1", *REASON
    project.runpytest_subprocess(*arguments).assert_outcomes(passed=4)
    assert sorted(e["seen_as"] for e in entries(project)) == ["B1", "C1", "C2"]


def test_the_file_lies_beside_the_ini_wherever_pytest_is_started(project, differing, monkeypatch):
    monkeypatch.chdir(project.mkdir("tests"))
    accept(project, "C1")
    assert (project.path / FILE).exists()
