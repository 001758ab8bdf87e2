"""What a run says on the terminal: header, summary section, nothing when unused."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from pytest_crossdiff.errors import BudgetExceeded, Inconclusive, InconclusiveWarning
from pytest_crossdiff.gate.check import Check, SideCheck
from pytest_crossdiff.report import terminal
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.screen.block import block, brief
from pytest_crossdiff.report.summary import PairSummary, from_json, merge, to_json
from pytest_crossdiff.results.controls import Controls, PlantedSignal
from pytest_crossdiff.results.replies import Share
from pytest_crossdiff.results.result import Result
from pytest_crossdiff.text import Display
from support.results import (
    make_context,
    make_difference,
    make_entry,
    make_feature,
    make_model,
    make_output,
    make_recognised,
    make_recognition,
    make_result,
)

SIDE = SideCheck("candidate", 2, 1, 0.3, 0.4, 1, None, "here", "", True, False, False)
CHECK = Check("test_it", "exceeded", False, "", (SIDE,), ("more",))
KNOWN = make_recognition(make_recognised("C1"), missing=(make_entry(id="b-1"),))
TEST = "def test_it(crossdiff): crossdiff.assert_within_budget()"


def section(result):
    """The lines of our summary section."""
    lines = result.outlines
    start = next(i for i, line in enumerate(lines) if line.strip("=").startswith(" crossdiff"))
    end = next(i for i in range(start + 1, len(lines)) if lines[i].startswith("==="))
    return lines[start + 1 : end]


class TestUnused:
    def test_nothing_is_said_when_nothing_is_set(self, pytester):
        pytester.makepyfile("def test_it(): pass")
        result = pytester.runpytest()
        said = [line for line in result.outlines if "crossdiff" in line]
        assert all(line.startswith("plugins:") for line in said)

    def test_settings_alone_are_shown_but_not_summed_up(self, project):
        project.makepyfile("def test_it(): pass")
        result = project.runpytest()
        said = [line for line in result.outlines if line.startswith("crossdiff")]
        assert said == ["crossdiff (pytest.ini): baseline=org/old, candidate=org/new"]
        result.stdout.no_fnmatch_line("*= crossdiff =*")


class TestHeader:
    def test_each_value_is_shown_once_with_the_place_that_won(self, project, monkeypatch):
        monkeypatch.setenv("CROSSDIFF_BASELINE", "org/older")
        project.makepyfile("def test_it(): pass")
        result = project.runpytest(
            "--crossdiff-layer=3", "--crossdiff-candidate=./new", "-o", "crossdiff_k=8"
        )
        result.stdout.fnmatch_lines(
            [
                "crossdiff (flags): candidate=./new, layer=3",
                "crossdiff (environment): baseline=org/older",
                "crossdiff (-o): k=8",
                "rootdir: *",
            ],
            consecutive=True,
        )

    def test_defaults_are_not_shown(self, pytester):
        pytester.makepyfile("def test_it(): pass")
        result = pytester.runpytest("--crossdiff-layer=0.50")
        result.stdout.no_fnmatch_line("crossdiff*")

    def test_a_malformed_value_is_shown_as_written(self, pytester):
        pytester.makepyfile("def test_it(): pass")
        result = pytester.runpytest("--crossdiff-layer=x\x1b[2J")
        result.stdout.fnmatch_lines(["crossdiff (flags): layer=x\\x1b[[]2J"])


class TestSummary:
    def test_a_pair_within_budget(self, project, engine):
        project.makepyfile(TEST)
        result = project.runpytest(
            "--crossdiff-max-candidate-only=2", "--crossdiff-max-baseline-only-strength=0.01"
        )
        assert section(result) == [
            "within budget: org/old -> org/new, block 6 of 12",
            "  candidate-only  0 differences, budget 2; joint strength 0",
            "  baseline-only   0 differences, budget 0; joint strength 0, budget 0.01",
            "  time            1 min 10 s",
        ]
        assert section(project.runpytest("-v"))[3:] == [
            "  explained       0.8 of the baseline's variance, 0.8 of the candidate's",
            "  aligned         97 % of the baseline's tokens, 97 % of the candidate's",
            "  texts           builtin:pydoc: 700 training token pairs, 300 held out",
            "  time            1 min 10 s",
            "  result          key",
        ]

    def test_a_pass_says_how_weak_a_difference_it_would_have_found(self, project, engine):
        rungs = (0.001, 0.002, 0.004, 0.008)
        planted = tuple(PlantedSignal("candidate", s, 0.01, s, s) for s in rungs)
        engine.result = make_result(controls=Controls(planted))
        project.makepyfile(TEST)
        (line,) = [x for x in section(project.runpytest()) if x.startswith("  would find")]
        assert line == (
            "  would find      differences of strength 0.0014 in the candidate, or stronger (80 % "
            "probability);"
        )

    def test_a_pair_over_budget_with_its_strongest_differences(self, project, engine):
        engine.result = make_result(
            make_difference("C1", strength=0.001, tokens=("\tx",)),
            make_difference("C2", strength=0.02, tokens=(" kubectl", " pod")),
            make_difference("B1", "baseline", strength=0.003),
        )
        engine.cached = True
        project.makepyfile(TEST)
        lines = section(project.runpytest("--tb=no"))
        assert lines[:3] == [
            "OVER BUDGET: org/old -> org/new, block 6 of 12",
            "  candidate-only  2 differences, budget 0; joint strength 0.021",
            "  baseline-only   1 difference, budget 0; joint strength 0.003",
        ]
        assert lines[3:] == [
            "  time            from cache (measured in 1 min 10 s)",
            "  candidate       C2  fires on ' kubectl' ' pod'; near the words word",
            "  candidate       C1  fires on '⇥x'; near the words word",
            "  baseline        B1  fires on ' token'; near the words word",
            "crossdiff report: crossdiff-report/old-to-new-block-6.html",
        ]
        assert section(project.runpytest()) == [*lines[:4], lines[-1]]  # the failure names them

    def test_a_measurement_too_poor_for_a_verdict(self, project, engine):
        engine.result = make_result(baseline=make_model("org/old", fve=0.1))
        project.makepyfile(TEST)
        lines = section(project.runpytest())
        assert lines[0] == "NO VERDICT: org/old -> org/new, block 6 of 12"
        assert lines[3] == (
            "  no verdict      the dictionary explains 0.100 of the baseline's variance, "
            "at least 0.3 needed"
        )

    def test_a_pair_that_is_only_looked_at(self, project, engine):
        project.makepyfile("def test_it(crossdiff): assert not crossdiff.candidate_only")
        lines = section(project.runpytest())
        assert lines[:3] == [
            "measured: org/old -> org/new, block 6 of 12",
            "  candidate-only  0 differences; joint strength 0",
            "  baseline-only   0 differences; joint strength 0",
        ]

    def test_a_pair_has_one_block_and_every_budget_a_line(self, project, engine):
        engine.result = make_result(make_difference())
        project.makepyfile(
            f"""
            import pytest
            {TEST}

            @pytest.mark.crossdiff(max_candidate_only=1)
            def test_other(crossdiff): crossdiff.assert_within_budget()

            def test_same(crossdiff): crossdiff.assert_candidate_only(max_count=1)
            """
        )
        result = project.runpytest()
        result.assert_outcomes(failed=1, passed=2)
        assert section(result)[:4] == [
            "OVER BUDGET: org/old -> org/new, block 6 of 12",
            "  candidate-only  1 difference, budget 0; joint strength 0.01",
            "  candidate-only  1 difference, budget 1; joint strength 0.01",
            "  baseline-only   0 differences, budget 0; joint strength 0",
        ]

    def test_two_pairs_have_two_blocks(self, project, engine):
        measure = engine.run

        def run(settings, texts=None, progress=None):
            engine.result = make_result(key=settings.candidate)
            return measure(settings, texts, progress)

        engine.run = run
        project.makepyfile(
            """
            def test_it(crossdiff, crossdiff_factory):
                crossdiff_factory(candidate="org/other")
            """
        )
        lines = section(project.runpytest())
        assert [line for line in lines if line.startswith(("measured", "over"))] == [
            "measured: org/old -> org/new, block 6 of 12"
        ] * 2
        assert "" in lines

    def test_among_many_what_is_within_budget_takes_few_lines(self, project, engine):
        measure = engine.run
        rungs = (0.001, 0.002, 0.004, 0.008)
        planted = tuple(PlantedSignal("candidate", s, 0.01, s, s) for s in rungs)
        results = {
            "org/new": make_result(key="new", controls=Controls(planted)),
            "org/other": make_result(make_difference("C1", tokens=(" pod",)), key="other"),
        }

        def run(settings, texts=None, progress=None):
            name = settings.candidate
            engine.result = results.get(name) or make_result(key=name, output=make_output())
            return measure(settings, texts, progress)

        engine.run = run
        project.makepyfile(
            """
            import pytest

            def test_it(crossdiff):
                crossdiff.assert_within_budget()

            @pytest.mark.xfail(reason="known")
            @pytest.mark.crossdiff(candidate="org/other")
            def test_other(crossdiff):
                crossdiff.assert_within_budget()

            @pytest.mark.parametrize("name", ["org/third", "org/fourth"])
            def test_more(crossdiff_factory, name):
                crossdiff_factory(candidate=name).assert_equivalent(max_kl=0.1)
            """
        )
        lines = section(project.runpytest())
        known, unknown = "0.0014 in the candidate", "unknown in the baseline"
        assert lines[:6] == [
            "within budget: org/old -> org/new, block 6 of 12, on builtin:pydoc; 1 min 10 s",
            "  candidate-only 0; baseline-only 0",
            f"  limit of detection {known}, {unknown}",
            "OVER BUDGET: org/old -> org/new, block 6 of 12, on builtin:pydoc; 1 min 10 s",
            "  candidate-only 1, budget 0; baseline-only 0",
            "  candidate       C1  fires on ' pod'; near the words word",  # no message has named it
        ]
        explained = section(project.runpytest("--xfail-tb"))
        assert [line for line in explained if "pod" in line] == []
        assert sum(line.startswith("  metric ") for line in lines) == 2
        assert "" not in lines
        full = section(project.runpytest("-v"))
        assert sum(line.startswith("  texts ") for line in full) == 4

    def test_paths_below_the_root_folder_are_short(self, project, engine):
        path = str(project.path / "checkpoints" / "v2")
        engine.result = make_result(candidate=make_model(path))
        project.makepyfile(TEST)
        assert section(project.runpytest())[0].endswith("-> checkpoints/v2, block 6 of 12")

    def test_other_absolute_paths_are_named_by_their_last_folder(self, project, engine, tmp_path):
        engine.result = make_result(candidate=make_model(str(tmp_path / "cache" / "models" / "v3")))
        project.makepyfile(TEST)
        assert section(project.runpytest())[0].endswith("-> …/v3, block 6 of 12")

    def test_verbose_names_more_of_them_and_the_result(self, project, engine):
        engine.result = make_result(*(make_difference(f"C{i}") for i in range(1, 16)))
        project.makepyfile(TEST)
        shown = {}
        for flag in ("--tb=no", "-v", "-vv"):
            lines = section(project.runpytest(flag))
            shown[flag] = [line for line in lines if line.startswith("  candidate  ")]
            more = [line.strip() for line in lines if " more (" in line]
            assert (
                more
                == {
                    "--tb=no": ["… and 12 more (-v shows more)"],
                    "-v": ["… and 5 more (-vv shows more)"],
                    "-vv": [],
                }[flag]
            )
            assert ("  result          key" in lines) == (flag != "--tb=no")
        assert [len(lines) for lines in shown.values()] == [3, 10, 15]

    def test_in_a_narrow_terminal_facts_go_on_below_and_texts_are_cut(
        self, project, engine, monkeypatch
    ):
        monkeypatch.setenv("COLUMNS", "60")
        engine.result = make_result(make_difference(tokens=tuple(f" word{i}" for i in range(8))))
        project.makepyfile(TEST)
        lines = section(project.runpytest("-v"))
        assert lines[4:] == [
            "  explained       0.8 of the baseline's variance, 0.8 of the",
            "                  candidate's",
            "  aligned         97 % of the baseline's tokens, 97 % of the",
            "                  candidate's",
            "  texts           builtin:pydoc: 700 training token pairs,",
            "                  300 held out",
            "  time            1 min 10 s",
            "  result          key",
            "  candidate       C1  fires on ' word0' ' word1' ' word2' '…",
            "crossdiff report: crossdiff-report/old-to-new-block-6.html",
        ]

    @pytest.mark.parametrize(
        ("arguments", "environment", "coloured"),
        [
            ((), {}, False),
            (("--color=yes",), {}, True),
            ((), {"FORCE_COLOR": "1"}, True),
            ((), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
            (("-q", "--color=yes"), {}, True),
        ],
    )
    def test_colour_is_for_terminals_and_those_who_ask(
        self, project, engine, monkeypatch, arguments, environment, coloured
    ):
        for name in ("FORCE_COLOR", "NO_COLOR", "PY_COLORS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        engine.result = make_result(make_difference())
        project.makepyfile(TEST)
        (line,) = [x for x in project.runpytest(*arguments).outlines if "OVER BUDGET" in x]
        assert ("\x1b[31m" in line) == ("\x1b" in line) == coloured

    def test_quiet_is_one_line_a_pair(self, project, engine):
        engine.result = make_result(make_difference())
        project.makepyfile(TEST)
        result = project.runpytest("-q", "--tb=no")
        said = [line for line in result.outlines if line.startswith("crossdiff:")]
        verdict = "OVER BUDGET: org/old -> org/new, block 6 of 12"
        assert said == [f"crossdiff: {verdict}: candidate-only 1, baseline-only 0"]
        result.stdout.no_fnmatch_line("*= crossdiff =*")

    def test_quiet_tells_of_what_is_possible(self, project, engine):
        engine.result = make_result(make_difference(certainty="possible"))
        project.makepyfile(TEST)
        result = project.runpytest("-q", "--tb=no")
        result.stdout.fnmatch_lines(
            ["crossdiff: INCONCLUSIVE: *: candidate-only 0 and 1 possible, baseline-only 0"]
        )

    def test_quiet_counts_as_the_verdict_does(self, project, engine):
        small = dataclasses.replace(make_difference(), changed_replies=Share(10, 100))
        engine.result = make_result(small)
        project.makepyfile(TEST)
        result = project.runpytest("-q", "--crossdiff-min-changed-replies=0.5")
        (said,) = [line for line in result.outlines if line.startswith("crossdiff:")]
        verdict = "within budget: org/old -> org/new, block 6 of 12"
        counts = "candidate-only 0 (1 more in too few answers), baseline-only 0"
        assert said == f"crossdiff: {verdict}: {counts}"

    def test_no_terminal_no_trouble(self, project, engine):
        project.makepyfile(TEST)
        assert project.runpytest("-p", "no:terminal").ret == 0

    def test_a_fault_of_ours_never_hides_the_result_of_the_run(self, project, engine, monkeypatch):
        def fail(*_):
            raise RuntimeError("our fault")

        monkeypatch.setattr(terminal, "write_summary", fail)
        project.makepyfile(TEST)
        result = project.runpytest()
        assert result.ret == 0
        result.stdout.fnmatch_lines(
            ["crossdiff: no summary: RuntimeError('our fault')", "*1 passed*"], consecutive=True
        )


HOSTILE = "\n::notice::raw\x1b[2J##[debug]raw"


def hostile(value):
    """`value` with harmful text in everything that may come from outside."""
    if isinstance(value, dict):
        ours = {"side", "kind", "certainty", "band", "dtype", "unit", "status"}
        return {k: v if k in ours else hostile(v) for k, v in value.items()}
    if isinstance(value, list):
        return [hostile(one) for one in value]
    return value + HOSTILE if isinstance(value, str) else value


class TestTextFromOutside:
    """Names of models and files, texts of the corpus, and errors of templates are anybody's."""

    result = Result.from_json(
        json.dumps(
            hostile(
                json.loads(
                    make_result(
                        make_difference(), features=(make_feature(),), output=make_output()
                    ).to_json()
                )
            )
        )
    )

    @pytest.mark.parametrize("verbosity", [-1, 0, 2])
    def test_writes_no_commands_and_no_escape_sequences_to_the_summary(self, verbosity):
        checks = [
            Check("test_it", status, False, f"the reason{HOSTILE}", (SIDE,), ("more",))
            for status in ("exceeded", "insufficient")
        ]
        pair = PairSummary.of(Report.of(self.result, checks=checks, accepted=KNOWN))
        display = Display(100, verbosity)
        lines = [*block(pair, Path("/"), display), brief(pair, Path("/"))]
        assert any("raw" in line for line in lines)
        assert [line for line in lines if re.search(r"[\x00-\x1f]|##\[|^\s*::", line)] == []

    @pytest.mark.parametrize("kind", [BudgetExceeded, Inconclusive, InconclusiveWarning])
    def test_nor_does_a_verdict_whoever_prints_it(self, kind):
        assert str(kind(f"why{HOSTILE}")) == "why\n: :notice::raw\\x1b[2J# #[debug]raw"


@pytest.mark.parametrize(
    ("check", "name"),
    [
        (Check("", "insufficient", False, "why", (), lacking=("metrics",)), "no verdict"),
        (Check("", "exceeded", False, "why", (), lacking=("dictionary",)), "dictionary"),
        (Check("", "exceeded", False, "why", (), too_far_apart=True), "too different"),
        (Check("", "exceeded", False, "the outputs differ", ()), "forbidden"),
    ],
)
def test_the_reason_of_a_verdict_has_a_name(check, name):
    pair = PairSummary.of(Report.of(make_result(), checks=[check]))
    (line,) = [line for line in block(pair, Path("/")) if check.reason in line]
    assert line.split(check.reason)[0].strip() == name


class TestTransport:
    def test_a_summary_survives_being_written_and_read(self):
        result = make_result(
            make_difference(tokens=("é\n\ud83d\ude00",), contexts=(make_context(),)),
            candidate=make_model(fve=1 / 3),
        )
        pair = PairSummary.of(Report.of(result, checks=(CHECK,), accepted=KNOWN))
        assert from_json(to_json([pair])) == (pair,)

    def test_a_pair_that_any_process_computed_was_not_in_the_cache(self):
        pairs = {}
        for cached in (True, False, True):
            merge(pairs, [PairSummary.of(Report.of(make_result(), cached=cached))])
        assert [pair.cached for pair in pairs.values()] == [False]
