"""Names that a hook gives to differences."""

from __future__ import annotations

import inspect
import json
import textwrap

import pytest

from pytest_crossdiff.plugin import hookspecs
from support.results import make_difference, make_result

TEST = "def test_one(crossdiff): crossdiff.assert_within_budget()\n"


@pytest.fixture
def differing(project, engine):
    engine.result = make_result(make_difference(), make_difference("C2", tokens=(" maple",)))
    project.makepyfile(TEST)
    return project


def labels(project, engine):
    """What `pytest_crossdiff_result` is told."""
    return json.loads((project.path / "labels.json").read_text("utf-8"))


KEEP = """
import json, pathlib
def pytest_crossdiff_result(result):
    pathlib.Path("labels.json").write_text(
        json.dumps([[d.id, d.label] for d in result.differences]), "utf-8")
"""


def test_the_example_in_its_docstring_runs(differing, engine):
    doc = inspect.getdoc(hookspecs.pytest_crossdiff_label_feature)
    example = textwrap.dedent(doc[doc.index("    import json") :])
    differing.makeconftest(example + KEEP)
    (differing.path / "names.json").write_text('{" maple": "an advertisement"}')
    differing.runpytest().assert_outcomes(failed=1)
    assert labels(differing, engine) == [["C1", ""], ["C2", "an advertisement"]]


def test_labels_are_shown_as_unverified_and_change_no_verdict(differing, engine):
    plain = differing.runpytest()
    differing.makeconftest(
        "def pytest_crossdiff_label_feature(difference, result):\n"
        "    assert difference in result.differences\n"
        "    return f' a name\\n for {difference.id}\\x1b[31m\\ud800 '\n"
    )
    short = differing.runpytest()
    short.stdout.fnmatch_lines(["  C1  a name⏎ for C1\\x1b[[]31m? (a label, unverified): The *"])
    named = differing.runpytest("-v")
    harmless = "C1  a name⏎ for C1\\x1b[[]31m?"
    named.stdout.fnmatch_lines(["Labels, unverified:", f"  {harmless}", "  C2  a name*"])
    named.stdout.fnmatch_lines([f"*{harmless} (unverified); fires on ' token'; *"])
    assert named.ret == plain.ret == 1
    headline = next(line for line in plain.outlines if "CANDIDATE-ONLY" in line)
    assert headline in named.outlines


def test_the_first_answer_counts_and_none_is_no_answer(differing, engine):
    differing.syspathinsert()
    differing.makepyfile(
        conftest=KEEP + "def pytest_crossdiff_label_feature(difference):\n"
        "    return 'mine' if difference.id == 'C1' else None\n",
        other="def pytest_crossdiff_label_feature(): return 'theirs'\n",
    )
    differing.runpytest("-p", "other").assert_outcomes(failed=1)
    assert labels(differing, engine) == [["C1", "mine"], ["C2", "theirs"]]


@pytest.mark.parametrize(
    ("body", "words"),
    [("1 / 0", "ZeroDivisionError: division by zero"), ("return 3", "a int instead of text")],
)
def test_a_hook_that_fails_is_a_warning(differing, engine, body, words):
    differing.makeconftest(KEEP + f"def pytest_crossdiff_label_feature(): {body}")
    result = differing.runpytest("-W", "default")
    result.assert_outcomes(failed=1, warnings=2)
    result.stdout.fnmatch_lines([f"*LabelWarning: C1 has no label: *{words}"])
    assert labels(differing, engine) == [["C1", ""], ["C2", ""]]


def test_a_pair_is_labelled_once_in_a_session(differing, engine):
    differing.makeconftest(
        "def pytest_crossdiff_label_feature(difference): print('asked', difference.id)"
    )
    differing.makepyfile(TEST + TEST.replace("one", "two"))
    result = differing.runpytest("-s")
    assert sum("asked C1" in line for line in result.outlines) == 1


def test_a_long_label_is_cut(differing, engine):
    differing.makeconftest(KEEP + "def pytest_crossdiff_label_feature(): return 'x' * 1000")
    differing.runpytest()
    assert labels(differing, engine)[0] == ["C1", "x" * 200]
