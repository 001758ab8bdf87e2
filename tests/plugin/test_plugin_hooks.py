"""The hooks that users can implement."""

from __future__ import annotations

import inspect
import json
import textwrap

from pytest_crossdiff.plugin import hookspecs
from support.results import make_difference, make_result


def test_the_example_in_its_docstring_runs(project, engine):
    engine.result = make_result(make_difference(), make_difference("C2"))
    doc = inspect.getdoc(hookspecs.pytest_crossdiff_result)
    assert doc is not None
    example = doc[doc.index("    import json") :]
    project.makeconftest(textwrap.dedent(example))
    project.makepyfile("def test_one(crossdiff): pass\ndef test_two(crossdiff): pass")
    project.runpytest().assert_outcomes(passed=2)
    counts = json.loads((project.path / "crossdiff-counts.json").read_text())
    assert counts == {"baseline": 0, "candidate": 2}


def test_it_is_called_once_for_each_pair(project, engine):
    project.makeconftest("def pytest_crossdiff_result(result): print('told of', result.key)")
    project.makepyfile("def test_one(crossdiff): pass\ndef test_two(crossdiff): pass")
    result = project.runpytest("-s")
    assert sum("told of key" in line for line in result.outlines) == 1


def test_it_is_not_called_when_nothing_was_measured(project, engine):
    project.makeconftest("def pytest_crossdiff_result(result): raise AssertionError")
    project.makepyfile("def test_one(): pass")
    assert project.runpytest().ret == 0
