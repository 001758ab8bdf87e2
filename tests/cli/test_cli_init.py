"""`crossdiff init`: a start that works, and budgets that fit."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil

import pytest

from pytest_crossdiff.cli.proposal import counted, proposal
from pytest_crossdiff.report.acceptance import Acceptance
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.results.replies import Share
from support.commands import crossdiff
from support.results import make_difference, make_output, make_result

NEXT = "Next: set crossdiff_baseline in pytest.ini, then `crossdiff doctor` and `crossdiff train`."
NOWHERE = "neither a path here nor a model in the hub's cache on this machine"
FILES = ["crossdiff-corpus.jsonl", "pytest.ini", "test_upgrade.py"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_it_writes_a_configuration_a_test_and_texts(tmp_path):
    done = crossdiff(tmp_path, "init", "--candidate=models/v2", "--layer=0.25")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "wrote    crossdiff-corpus.jsonl",
        "wrote    test_upgrade.py",
        "wrote    pytest.ini",
        f"missing  crossdiff_candidate = models/v2: {NOWHERE}",
        "",
        NEXT,
    ]
    assert names(tmp_path) == FILES
    ini = (tmp_path / "pytest.ini").read_text("utf-8")
    assert "\ncrossdiff_baseline =\n" in ini
    assert "\ncrossdiff_candidate = models/v2\n" in ini
    assert "\ncrossdiff_layer = 0.25\n" in ini
    records = (tmp_path / "crossdiff-corpus.jsonl").read_text("utf-8").splitlines()
    assert len({json.loads(record)["document"] for record in records}) > 30


def layer_written(folder, baseline, candidate, why):
    done = crossdiff(folder, "init", f"--baseline={baseline}", f"--candidate={candidate}")
    (said,) = [line for line in done.stdout.splitlines() if line.startswith("layer ")]
    assert why in said
    return re.search(
        r"^crossdiff_layer = (.*)$", (folder / "pytest.ini").read_text(), re.MULTILINE
    )[1]


def test_what_both_models_predict_is_compared_too(measured, tmp_path):
    models = measured / "models"
    why = "both models predict the next token"
    assert layer_written(tmp_path, models / "v1", models / "v2", why) == "0.5, output"


def test_a_model_that_predicts_nothing_is_compared_in_a_block(measured, tmp_path):
    for name, of in (("encoder", "BertModel"), ("masked", "BertForMaskedLM")):
        (tmp_path / name).mkdir()
        config = json.dumps({"model_type": "bert", "architectures": [of]})
        (tmp_path / name / "config.json").write_text(config)
    v1 = measured / "models" / "v1"
    why = (
        "the middle block, and not what the models predict: the baseline predicts the next token "
        "(LlamaForCausalLM); the candidate "
    )
    reason = "has no head that predicts (BertModel)"
    assert layer_written(tmp_path, v1, "encoder", why + reason) == "0.5"
    (tmp_path / "pytest.ini").unlink()
    reason = "predicts the token at a place (BertForMaskedLM)"
    assert layer_written(tmp_path, v1, "masked", why + reason) == "0.5"


@pytest.mark.parametrize("other", ["broken", "models/v9", "org/none@main", "a b@?"])
def test_a_model_that_is_not_here_is_taken_to_be_of_the_same_kind(measured, tmp_path, other):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    why = "the next token; the candidate can't be read here, and is taken to be of the same kind"
    assert layer_written(tmp_path, measured / "models" / "v1", other, why) == "0.5, output"


def test_where_nothing_is_known_of_either_model_the_default_decides_later(tmp_path):
    done = crossdiff(tmp_path, "init", "--baseline=org/none", "--candidate=models/v9")
    assert "by default, 0.5, output for models that both predict tokens: nothing is" in done.stdout
    assert "crossdiff_layer" not in (tmp_path / "pytest.ini").read_text()


def test_every_path_that_is_not_there_is_named(measured, tmp_path):
    missing = {"baseline": "./v1", "candidate": "org/none@main", "corpus": "evals/none.jsonl"}
    done = crossdiff(tmp_path, "init", *(f"--{name}={path}" for name, path in missing.items()))
    assert done.returncode == 0
    said = [line for line in done.stdout.splitlines() if line.startswith("missing ")]
    assert said == [
        "missing  crossdiff_baseline = ./v1: there is no such path",
        f"missing  crossdiff_candidate = org/none@main: {NOWHERE}",
        "missing  crossdiff_corpus = evals/none.jsonl: there is no such file or folder",
    ]
    (tmp_path / "pytest.ini").unlink()
    there = [f"--{s}={measured / 'models' / 'v1'}" for s in ("baseline", "candidate")]
    there.append(f"--corpus={measured / 'texts.jsonl'}")
    assert "missing " not in crossdiff(tmp_path, "init", *there).stdout


def test_conversations_are_judged_by_what_is_said(measured, tmp_path):
    """Differences in few answers don't count, and replies have a budget; running text has none."""
    talk = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}]
    (tmp_path / "talk.jsonl").write_text(json.dumps({"messages": talk}) + "\n")
    models = [f"--{s}={measured / 'models' / 'v1'}" for s in ("baseline", "candidate")]
    for corpus, wanted in (("talk.jsonl", True), ("crossdiff-corpus.jsonl", False)):
        (tmp_path / "pytest.ini").unlink(missing_ok=True)
        crossdiff(tmp_path, "init", *models, *([f"--corpus={corpus}"] if wanted else []))
        ini = (tmp_path / "pytest.ini").read_text("utf-8")
        assert ("\ncrossdiff_max_surprising_replies = 0.1\n" in ini) == wanted
        assert ("\ncrossdiff_min_changed_replies = 0.5\n" in ini) == wanted


def test_nothing_is_written_over(tmp_path):
    for name in FILES:
        (tmp_path / name).write_text("[pytest]\n" if name == "pytest.ini" else "mine\n")
    before = {name: (tmp_path / name).read_text() for name in FILES}
    done = crossdiff(tmp_path, "init", "--baseline=a/b")
    assert done.returncode == 0
    assert {name: (tmp_path / name).read_text() for name in FILES} == before
    assert names(tmp_path) == FILES
    assert "kept     pytest.ini; add to it, where pytest is configured:" in done.stdout
    assert "\ncrossdiff_baseline = a/b\n" in done.stdout


def test_lines_for_a_toml_file_are_toml(tmp_path):
    tomllib = pytest.importorskip("tomllib")
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (tmp_path / "tests").mkdir()
    done = crossdiff(tmp_path, "init", '--corpus=a "b".txt')
    lines = [x for x in done.stdout.splitlines() if x.startswith(("crossdiff_", "#"))]
    values = tomllib.loads("\n".join(lines))
    assert values["crossdiff_corpus"] == 'a "b".txt'
    assert names(tmp_path / "tests") == ["test_upgrade.py"]
    assert names(tmp_path) == ["pyproject.toml", "tests"]


def test_what_is_configured_already_is_left_alone(measured, tmp_path):
    shutil.copy(measured / "pytest.ini", tmp_path)
    done = crossdiff(tmp_path, "init", "--corpus=builtin:pydoc")
    assert "kept     pytest.ini, which has settings of crossdiff" in done.stdout
    assert (tmp_path / "pytest.ini").read_text() == (measured / "pytest.ini").read_text()


def test_a_value_that_is_no_line_is_refused(tmp_path):
    done = crossdiff(tmp_path, "init", "--baseline=a\nb")
    assert done.returncode == 2
    assert names(tmp_path) == []


class TestBudgets:
    def test_the_result_is_just_within_them(self, measured):
        done = crossdiff(measured, "init", "--budgets")
        assert done.returncode == 0, done.stderr
        flags = [
            f"--{name.replace('_', '-')}={value}"
            for name, value in re.findall(r"^crossdiff_(\w+) = (\S+)$", done.stdout, re.MULTILINE)
        ]
        assert crossdiff(measured, "train", "-q", *flags).returncode == 0
        fewer = [
            re.sub(r"(baseline-only=)(\d+)", lambda m: m[1] + str(int(m[2]) - 1), flag)
            for flag in flags
        ]
        assert fewer != flags
        assert crossdiff(measured, "train", "-q", *fewer).returncode == 1

    def test_what_is_possible_is_counted_and_said(self):
        result = make_result(
            make_difference("C1", strength=0.0101),
            make_difference("C2", strength=0.02, certainty="possible"),
            candidate_strength=0.0101,
        )
        assert list(proposal([result]))[1:] == [
            "# 1 confirmed and 1 possible",
            "crossdiff_max_candidate_only = 2",
            "crossdiff_max_candidate_only_strength = 0.031",
            "crossdiff_max_baseline_only = 0",
        ]

    def test_what_does_not_count_needs_no_budget(self):
        """What was accepted, and what changes what is said in too few answers."""
        small, large, known = (
            dataclasses.replace(
                make_difference(f"C{n}", strength=0.01), changed_replies=Share(changed, 100)
            )
            for n, changed in ((1, 10), (2, 90), (3, 90))
        )
        result = make_result(small, large, known, candidate_strength=0.03)
        accepted = (Acceptance("C3", "Ann", "wanted", "2026-11-30"),)
        report = dataclasses.replace(Report.of(result), accepted=accepted)
        budget = "crossdiff_max_candidate_only = "
        for least, of, count in ((0.5, report, 1), (0.0, report, 2), (0.0, Report.of(result), 3)):
            assert f"{budget}{count}" in list(proposal([counted(of, least)]))

    def test_metrics_get_limits_that_hold_their_intervals(self):
        """KL 0.012 [0.01, 0.015], same top 94 % [92 %, 96 %], perplexity ratio up to 1.03."""
        first, second = make_output(), make_output(kl=(0.001, 0.0, 0.0213))
        lines = list(proposal([make_result(output=first), make_result(output=second)]))
        assert "crossdiff_max_kl = 0.022" in lines
        assert "crossdiff_min_same_top = 0.92" in lines
        assert "crossdiff_max_perplexity_ratio = 1.1" in lines
        assert not any("surprising" in line for line in lines)  # no replies were measured

    def test_equal_outputs_get_a_limit_of_nothing(self):
        same = make_output((0.0, 0.0, 0.0))
        assert "crossdiff_max_kl = 0" in list(proposal([make_result(output=same)]))

    def test_a_change_beyond_every_limit_gets_none(self):
        far = make_output(perplexity_ratio=(2e4, 1e4, 5e4))
        lines = list(proposal([make_result(output=far)]))
        assert "# no crossdiff_max_perplexity_ratio: 5e+04 is more than any that can be set" in (
            lines
        )
