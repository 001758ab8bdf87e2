"""`crossdiff_report`, `crossdiff_report_on_failure`, `crossdiff_report_dir`, in whole runs."""

from __future__ import annotations

import dataclasses
import re

import pytest

from pytest_crossdiff.report.document import Report
from support import fake_engine
from support.results import make_difference, make_model, make_result

PASSES = "def test_it(crossdiff): crossdiff.assert_candidate_only(max_count=5)\n"
FAILS = "def test_it(crossdiff): crossdiff.assert_within_budget()\n"
MATCHES = "def test_it(crossdiff): crossdiff.assert_no_feature(matching='token')\n"


def written(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def read(path) -> Report:
    return Report.from_json(path.read_text("utf-8"))


@pytest.fixture
def project(project, engine):
    engine.result = make_result(make_difference())
    return project


def test_a_verdict_that_fails_leaves_a_page_and_the_terminal_names_it(project):
    project.makepyfile(FAILS)
    run = project.runpytest()
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(
        ["*= crossdiff =*", "crossdiff report: crossdiff-report/old-to-new-block-6.html"]
    )
    assert written(project.path / "crossdiff-report") == [".gitignore", "old-to-new-block-6.html"]


@pytest.mark.parametrize("test", [PASSES, "def test_it(crossdiff_factory): crossdiff_factory()"])
def test_what_passes_leaves_nothing(project, test):
    project.makepyfile(test)
    run = project.runpytest()
    run.assert_outcomes(passed=1)
    run.stdout.no_fnmatch_line("*report*")
    assert written(project.path / "crossdiff-report") == []


@pytest.mark.parametrize("test", [PASSES, "def test_it(crossdiff_factory): crossdiff_factory()"])
def test_on_request_it_is_written_whatever_the_verdict(project, test):
    project.makepyfile(test)
    run = project.runpytest("--crossdiff-report=html, json,md")
    run.assert_outcomes(passed=1)
    run.stdout.fnmatch_lines([f"crossdiff report: *.{kind}" for kind in ("html", "json", "md")])
    assert len(written(project.path / "crossdiff-report")) == 4


def test_both_settings_together_write_both_forms(project):
    project.makepyfile(FAILS)
    project.runpytest("--crossdiff-report=json", "--crossdiff-report-on-failure=md")
    assert written(project.path / "crossdiff-report")[1:] == [
        "old-to-new-block-6.json",
        "old-to-new-block-6.md",
    ]


def test_it_can_be_switched_off(project):
    project.makepyfile(FAILS)
    project.runpytest("-o", "crossdiff_report_on_failure=none").assert_outcomes(failed=1)
    assert written(project.path / "crossdiff-report") == []


def test_an_unknown_form_is_an_error(project):
    project.makepyfile(PASSES)
    run = project.runpytest("--crossdiff-report=pdf")
    run.assert_outcomes(errors=1)
    run.stdout.fnmatch_lines(["*expected some of html, json, md, or none*"])


def test_its_folder_is_relative_to_where_it_is_set(project):
    project.makepyfile(FAILS)
    (project.path / "sub").mkdir()
    project.runpytest("-o", "crossdiff_report_dir=from_ini")
    assert written(project.path / "from_ini") == ["old-to-new-block-6.html"]
    outside = project.path.parent / "outside"
    run = project.runpytest(f"--crossdiff-report-dir={outside}")
    run.stdout.fnmatch_lines([f"crossdiff report: {outside}/old-to-new-block-6.html"])
    assert written(outside) == ["old-to-new-block-6.html"]


def test_it_holds_every_verdict_with_its_test_and_the_settings_with_their_source(project):
    project.makepyfile(PASSES + FAILS.replace("test_it", "test_b") + MATCHES.replace("it(", "c("))
    project.runpytest("--crossdiff-report=json", "-o", "crossdiff_k=8").assert_outcomes(
        passed=1, failed=2
    )
    report = read(project.path / "crossdiff-report" / "old-to-new-block-6.json")
    name = next(project.path.glob("test_*.py")).name
    assert [(check.test, check.status, check.reason) for check in report.checks] == [
        (f"{name}::test_it", "within", ""),
        (f"{name}::test_b", "exceeded", ""),
        (f"{name}::test_c", "exceeded", "MATCHING 'token': 1 difference, none allowed"),
    ]
    sources = {row.name: row.source for row in report.settings}
    assert sources["k"] == "-o crossdiff_k"
    assert sources["baseline"] == "pytest.ini: crossdiff_baseline"
    assert sources["report"] == "--crossdiff-report"


def test_a_forbidden_match_leaves_a_page_too(project):
    project.makepyfile(MATCHES)
    project.runpytest().assert_outcomes(failed=1)
    assert written(project.path / "crossdiff-report")[1:] == ["old-to-new-block-6.html"]


def test_no_verdict_leaves_a_page_too(project):
    project.makepyfile(FAILS)
    project.runpytest("-o", "crossdiff_min_fve=0.9").assert_outcomes(errors=1)
    assert written(project.path / "crossdiff-report")[1:] == ["old-to-new-block-6.html"]


def test_each_pair_has_its_own_file(project, engine):
    results = {0.5: make_result(make_difference(), key="a" * 64), 3: make_result(key="b" * 64)}
    run = engine.run

    def run_by_layer(settings, *others):
        engine.result = results[settings.layer]
        return run(settings, *others)

    engine.run = run_by_layer
    project.makepyfile(
        "import pytest\n" + FAILS + "@pytest.mark.crossdiff(layer=3)\ndef test_b(crossdiff): pass"
    )
    project.runpytest("--crossdiff-report=json").assert_outcomes(failed=1, passed=1)
    names = written(project.path / "crossdiff-report")[1:]
    ends = ("-aaaaaaaa.html", "-aaaaaaaa.json", "-bbbbbbbb.json", ".html")
    assert names == [f"old-to-new-block-6{end}" for end in ends]
    report = read(project.path / "crossdiff-report" / names[-2])
    assert report.result.key == "b" * 64
    assert report.checks == ()


def test_several_pages_have_an_index_and_the_page_of_a_message_is_always_there(project, engine):
    """Where two pairs share the name that messages give, a page of that name lists both."""
    run = engine.run

    def run_by_candidate(settings, *others):
        last = settings.candidate.rpartition("/")[2]
        engine.result = make_result(
            make_difference(), key=last[0] * 64, candidate=make_model(f"org/{last.strip('2')}<b>")
        )
        return run(settings, *others)

    engine.run = run_by_candidate
    project.makepyfile(
        test_it="".join(
            f"def test_{name}(crossdiff_factory):\n"
            f"    crossdiff_factory(candidate='org/{name}').assert_within_budget()\n"
            for name in ("new", "2new", "other")
        ),
    )
    run_ = project.runpytest()
    folder = project.path / "crossdiff-report"
    named = {line.split(": ")[1] for line in run_.outlines if line.startswith("- the report page")}
    assert all((project.path / name).is_file() for name in named)
    listed = (folder / "old-to-new-b-block-6.html").read_text("utf-8")
    links = re.findall(r'href="(old-to[^"]+)"', listed)
    assert links == ["old-to-new-b-block-6-nnnnnnnn.html", "old-to-new-b-block-6-22222222.html"]
    index = (folder / "index.html").read_text("utf-8")
    assert len(re.findall(r'href="old-to[^"]+"', index)) == 3
    assert "→ other&lt;b&gt;" in index
    assert "Over budget" in index
    assert "1 difference only in the candidate, strength 0.01" in index
    assert "<script" not in index


def test_the_layers_of_one_pair_are_compared_whether_or_not_each_has_a_report(project, engine):
    run = engine.run

    def run_by_layer(settings, *others):
        layer = int(settings.layer)
        model = dataclasses.replace(make_model(), layer=layer)
        found = (make_difference(), make_difference("B1", "baseline", certainty="possible"))
        measured = make_result(*found[:layer], key=str(layer) * 64, candidate=model)
        at = {"layer": str(layer), "k": str(settings.k)}
        engine.result = dataclasses.replace(measured, settings=measured.settings | at)
        return run(settings, *others)

    engine.run = run_by_layer
    tests = [
        f"@pytest.mark.crossdiff({given})\ndef test_{n}(crossdiff): {what}\n"
        for n, (given, what) in enumerate(
            [
                ("layer=2, report='html'", "crossdiff.assert_within_budget()"),
                ("layer=1", "crossdiff.assert_within_budget()"),
                ("layer=0", "pass"),
                ("layer=1, k=8", "pass"),
            ]
        )
    ]
    project.makepyfile("import pytest\n" + "".join(tests))
    project.runpytest("--crossdiff-report-on-failure=json,html").assert_outcomes(failed=2, passed=2)
    folder = project.path / "crossdiff-report"
    report = read(folder / "old-to-model-block-6-to-block-2.json")
    assert [
        (layer.key[0], [(s.layer, s.count, s.possible) for s in layer.sides], layer.statuses)
        for layer in report.layers
    ] == [
        ("0", [(6, 0, 0), (0, 0, 0)], ()),
        ("1", [(6, 0, 0), (1, 1, 0)], ("exceeded",)),
        ("2", [(6, 0, 1), (2, 1, 0)], ("exceeded",)),
    ]
    pages = [layer.page for layer in report.layers]
    assert pages[0] == ""
    assert all((folder / page).is_file() for page in pages[1:])


def test_a_folder_that_cant_be_written_hides_nothing(project):
    project.makepyfile(FAILS)
    (project.path / "crossdiff-report").touch()
    run = project.runpytest()
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["OVER BUDGET: *", "crossdiff: no report: can't write *"])


def test_of_a_folder_that_cant_be_written_the_right_setting_is_named(project, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pytest_crossdiff.report.write.replace_file", refuse)
    project.makepyfile(FAILS)
    run = project.runpytest("--crossdiff-report-dir=out")
    run.stdout.fnmatch_lines(["crossdiff: no report: *set crossdiff_report_dir to a folder that *"])
    run.stdout.no_fnmatch_line("*crossdiff_cache_dir*")


def test_a_report_folder_that_a_killed_run_made_is_kept_out_of_git(project):
    folder = project.mkdir("crossdiff-report")
    project.makepyfile(FAILS)
    project.runpytest()
    assert (folder / ".gitignore").read_text() == "*\n"


def test_under_xdist_one_process_writes_it_with_the_verdicts_of_all(pytester):
    pytest.importorskip("xdist")
    pytester.makefile(
        ".ini", pytest="[pytest]\ncrossdiff_baseline = org/old\ncrossdiff_candidate = org/new\n"
    )
    fake_engine.install_for_subprocess(pytester.path, make_result(make_difference()))
    pytester.makepyfile("".join(FAILS.replace("test_it", f"test_{n}") for n in range(6)))
    run = pytester.runpytest_subprocess("-p", "fake_engine", "-n2", "--crossdiff-report=json")
    run.assert_outcomes(failed=6)
    assert run.stdout.str().count("crossdiff report: ") == 2
    report = read(pytester.path / "crossdiff-report" / "old-to-new-block-6.json")
    assert len(report.checks) == 6
    assert len({check.test for check in report.checks}) == 6


def test_an_inconclusive_verdict_leaves_a_page_with_what_would_decide_it(project, engine):
    engine.result = make_result(make_difference(certainty="possible"))
    project.makepyfile(FAILS)
    project.runpytest("--crossdiff-report-on-failure=json").assert_outcomes(failed=1)
    report = read(project.path / "crossdiff-report" / "old-to-new-block-6.json")
    (check,) = report.checks
    assert (check.status, check.passed, check.sides[0].undecided) == ("inconclusive", False, True)
    assert check.advice[0].startswith(
        "1 of 3 dictionaries has C1; 15 would decide it: `pytest test_"
    )


def test_one_that_only_warns_leaves_none(project, engine):
    engine.result = make_result(make_difference(certainty="possible"))
    project.makepyfile(FAILS)
    run = project.runpytest("-o", "crossdiff_inconclusive=warn", "-Wdefault")
    run.assert_outcomes(passed=1, warnings=1)
    assert written(project.path / "crossdiff-report") == []
