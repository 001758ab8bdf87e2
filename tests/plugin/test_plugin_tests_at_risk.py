"""Ordinary tests record what the models say; tests that one model fails are explained later."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET

import pytest

from support import planted
from support.commands import run_pytest
from support.markdown import plain

SIDES = """
import pytest

TEXTS = {texts}

@pytest.mark.parametrize("n", range(len(TEXTS)))
@pytest.mark.parametrize("side", ["baseline", "candidate"])
def test_it(crossdiff_record, side, n):
    crossdiff_record("Next:", TEXTS[n], side=side)
    assert side == "baseline" or n >= {apart}
"""
"""Texts that both models are said to have written; the candidate fails the first of them."""

MEASURE = "def test_pair(crossdiff):\n    assert crossdiff.result.differences\n"


@pytest.fixture
def copied(measured, tmp_path):
    """The measured project, in which tests can be written."""
    return shutil.copytree(measured, tmp_path / "project")


def write(folder, texts, apart, *, measure=MEASURE):
    (folder / "test_evals.py").write_text(SIDES.format(texts=texts, apart=apart))
    (folder / "test_pair.py").write_text(measure)


def section(done):
    """The lines of the list, with single spaces."""
    lines = done.stdout.splitlines()
    first = next((n for n, line in enumerate(lines) if "passes and the other fails" in line), None)
    if first is None:
        return ""
    rest = lines[first + 1 :]
    last = next(n for n, line in enumerate(rest) if line.startswith(("====", "FAILED")))
    return " ".join(" ".join(rest[:last]).split())


WITH = [f"The {a} {word} the {b} of the log." for a, b in (("node", "gateway"), ("file", "disk"))
        for word in planted.MERGED[:3]]  # fmt: skip
WITHOUT = [f"Node {n} restarts, gateway {n} fails." for n in range(8)]


def test_the_planted_difference_is_named_for_the_tests_that_it_breaks(copied):
    write(copied, [*WITH, *WITHOUT], apart=len(WITH) + 1)
    written = "--crossdiff-report=json,md", "--crossdiff-report-dir=out", "--junitxml=junit.xml"
    said = section(run_pytest(copied, *written))
    assert f"{len(WITH) + 1} of {len(WITH) + len(WITHOUT)} tests that ran on both models" in said
    for n in range(len(WITH)):
        assert f"test_evals.py::test_it[*-{n}]: the baseline passes, the candidate fails" in said
    assert said.count("B1 (block 0 of 3) fires on ") == len(WITH)
    assert f"test_it[*-{len(WITH) + 1}]" not in said
    # One more fails, on whose text the difference does not fire.
    last = said.partition(f"test_it[*-{len(WITH)}]")[2]
    assert "no difference explains: 'Next:' → baseline: 'Node 0 restarts" in last
    assert said.count("no difference explains") == 1
    says_the_same(copied, said)


def says_the_same(folder, said):
    """What the terminal says of each test stands in the files of the same run."""
    (data,) = (json.loads(path.read_text()) for path in (folder / "out").glob("*.json"))
    (text,) = (plain(path.read_text()) for path in (folder / "out").glob("*.md"))
    cases = ET.parse(folder / "junit.xml").iter("property")
    properties = [p.get("value") for p in cases if p.get("name") == "crossdiff.test_at_risk"]
    tests = data["at_risk"]["tests"]
    assert len(tests) == len(properties) == len(WITH) + 1
    for test, value in zip(tests, properties, strict=True):
        outcome = f"{test['name']}: the {test['passes']} passes, the candidate fails"
        assert outcome in said
        assert outcome in text
        firing = [f"{d['difference']} ({d['layer']}) fires on " for d in test["differences"]]
        assert value.startswith(f"{outcome}; {firing[0] if firing else 'no difference explains'}")


@pytest.mark.long
@pytest.mark.skipif("not config.pluginmanager.hasplugin('xdist')")
def test_under_xdist_and_from_the_result_of_an_earlier_run(copied):
    write(copied, [*WITH, *WITHOUT], apart=len(WITH), measure="")
    said = section(run_pytest(copied, "-n2"))
    assert said.count("B1 (block 0 of 3) fires on ") == len(WITH)


def test_tests_that_agree_need_no_models(copied):
    write(copied, WITH, apart=0)
    shutil.rmtree(copied / "models")
    (copied / "test_pair.py").unlink()
    done = run_pytest(copied)
    assert done.returncode == 0
    assert section(done) == ""


@pytest.mark.long
def test_what_keeps_us_from_explaining_is_said_and_the_tests_are_listed(copied):
    write(copied, WITH, apart=1, measure="")
    said = section(run_pytest(copied, "--crossdiff-layer=1"))
    assert "no difference was compared: no measurement of these two models is known" in said
    assert "test_it[*-0]: the baseline passes, the candidate fails" in said


class TestReply:
    """`reply()` of both models, in ordinary tests."""

    @pytest.fixture
    def chat(self, copied):
        for model in ("v1", "v2"):
            (copied / "models" / model / "chat_template.jinja").write_text(
                "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
                "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
            )
        return copied

    TEST = """
import torch

def test_it(crossdiff_model, request):
    question = "What is the log of the gateway?"
    said = crossdiff_model.reply(question, max_tokens=5)
    turns = [{"role": "user", "content": question}]
    assert crossdiff_model.reply(turns, max_tokens=5) == said
    ids = crossdiff_model.tokenizer.apply_chat_template(
        turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)["input_ids"]
    for _ in range(5):
        with torch.no_grad():
            next_id = crossdiff_model.model(input_ids=ids).logits[0, -1].argmax()
        ids = torch.cat([ids, next_id[None, None]], dim=1)
    expected = crossdiff_model.tokenizer.decode(ids[0, -5:], skip_special_tokens=True)
    assert said == expected
    assert request.node.callspec.params["crossdiff_model"] == "baseline", said
"""

    def test_it_answers_greedily_in_the_chat_template_and_records(self, chat):
        (chat / "test_evals.py").write_text(self.TEST)
        done = run_pytest(chat)
        assert "1 failed, 1 passed" in done.stdout, done.stdout
        said = section(done)
        assert "1 of 1 test that ran on both models" in said
        assert "test_evals.py::test_it[*]: the baseline passes, the candidate fails" in said


class TestRefusals:
    @pytest.mark.parametrize(
        ("call", "words"),
        [
            ('crossdiff_record("a", "b")', "which model answered can't be told"),
            ('crossdiff_record("a", "b", side="old")', "'old' is no side"),
            ('crossdiff_record("a", 3, side="baseline")', "the output is a int, not a text"),
            ('crossdiff_record([{"a": 1}], "b", side="baseline")', "neither a text nor a list"),
            ('crossdiff_record([], "b", side="baseline")', "neither a text nor a list"),
        ],
    )
    def test_what_can_t_be_recorded_is_an_error_with_a_remedy(self, project, call, words):
        project.makepyfile(f"def test_it(crossdiff_record):\n    {call}")
        result = project.runpytest()
        result.stdout.fnmatch_lines([f"*{words}*", "  from: crossdiff_record", "  to do: *"])
