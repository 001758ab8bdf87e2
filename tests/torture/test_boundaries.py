"""Data from outside is read or refused with one error that says what is wrong."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import LlamaForCausalLM

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.corpus import documents, time_limit
from pytest_crossdiff.engine.models.loaded import load
from pytest_crossdiff.errors import (
    ActivationError,
    CorpusError,
    CrossDiffError,
    ModelError,
    SettingsError,
)
from pytest_crossdiff.settings.resolution import resolve
from support import planted
from torture.boundaries import (
    HEADER,
    INDEX,
    REPORT,
    Boundary,
    boundaries,
)

KNOWN = {boundary.name: boundary for boundary in boundaries()}
EXAMPLES = 25


@pytest.mark.parametrize("boundary", boundaries(), ids=lambda boundary: boundary.name)
def test_whatever_comes_in_is_read_or_refused(boundary: Boundary, tmp_path):
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
        derandomize=True,
    )
    @given(boundary.forms)
    def attack(form: object) -> None:
        boundary.refuses_or_reads(tmp_path / "folder", form)

    attack()


def refusal(name: str, folder, form) -> str:
    with pytest.raises(CrossDiffError) as caught:
        KNOWN[name].read(folder / "folder", form)
    assert caught.value.remedy
    return caught.value.what


class Deep(bytes):
    """Not printed by pytest."""

    def __repr__(self):
        return "deep"

    __str__ = __repr__


DEEP = Deep(b"[" * 100_000)


def header(**tensor):
    return json.dumps(HEADER | {"w": HEADER["w"] | tensor}).encode()


@pytest.mark.parametrize(
    ("name", "form", "words"),
    [
        ("config.json", DEEP, "nested too deeply"),
        ("config.json", b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}", "more than 50 levels deep"),
        ("index of shards", DEEP, "nested too deeply"),
        ("safetensors header", DEEP, "nested too deeply"),
        ("safetensors header", header(data_offsets=[0, -1]), "no valid data_offsets of 'w'"),
        ("safetensors header", header(data_offsets=[0, 1e400]), "no valid data_offsets of 'w'"),
        ("safetensors header", header(data_offsets="x"), "no valid data_offsets of 'w'"),
        ("report.json", b"\xff\xfe", "is no report: it is not UTF-8"),
        ("report.json", DEEP, "malformed"),
        ("result.json", DEEP, "malformed"),
        ("corpus .json", DEEP, "malformed JSON"),
    ],
    ids=str,
)
def test_a_malformed_file_is_named_with_what_is_wrong(tmp_path, name, form, words):
    assert words in refusal(name, tmp_path, form)


@pytest.mark.parametrize(
    "shard", ["../part.safetensors", "/etc/part", "a\\..\\..\\b", "a\0b", "\x1b[2J", "x" * 5000, ""]
)
def test_shards_lie_in_the_folder_of_their_index(tmp_path, shard):
    index = {"weight_map": INDEX["weight_map"] | {"c": shard}}
    what = refusal("index of shards", tmp_path, json.dumps(index).encode())
    assert "names weights that are no file of its folder" in what


@pytest.mark.parametrize("sides", [[], ["baseline"], ["candidate", "baseline"]])
def test_a_report_has_two_sides(tmp_path, sides):
    report = json.loads(REPORT.read_text("utf-8"))
    known = {side["side"]: side for side in report["sides"]}
    report["sides"] = [known[side] for side in sides]
    what = refusal("report.json", tmp_path, json.dumps(report).encode())
    assert "its sides are not the baseline and the candidate" in what


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("seed", 2**64, "must be at most"),
        ("seeds", 10**9, "must be at most 1000"),
        ("bootstrap", 10**12, "must be at most 1000000"),
        ("batch_size", 10**9, "must be at most"),
        ("replies", 10**9, "must be at most"),
    ],
)
def test_numbers_that_no_machine_can_do_are_refused(tmp_path, name, value, words):
    assert words in refusal("settings", tmp_path, (name, value))


@pytest.mark.parametrize(
    "template",
    [
        "{{ 1 // 0 }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ 'a' * 10 ** 18 }}",
        "{{ messages[9].content.x }}",
    ],
)
def test_a_template_that_breaks_is_refused(tmp_path, template):
    assert "refuses a conversation of user, assistant" in refusal(
        "chat template", tmp_path, template
    )


def test_a_template_whose_loops_take_too_long_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(time_limit, "SECONDS", 0.05)
    loops = "{% for a in range(3000) %}" * 2 + "{% if a == 1 %}x{% endif %}" + "{% endfor %}" * 2
    what = refusal("chat template", tmp_path, loops)
    assert "refuses a conversation of user, assistant: it takes longer than 0.05 s" in what
    prompt = {"prompts": [loops], "tests": [{"vars": {"a": "b"}}]}
    (tmp_path / "promptfooconfig.yaml").write_text(json.dumps(prompt), "utf-8")
    with pytest.raises(CorpusError, match="can't be filled in: it takes longer than"):
        documents.read(str(tmp_path / "promptfooconfig.yaml"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return planted.plain(tmp_path_factory.mktemp("models") / "plain")


@pytest.mark.parametrize("length", ["many", [512], True])
def test_a_longest_input_that_is_no_number_is_refused(model, tmp_path, length):
    folder = shutil.copytree(model, tmp_path / "model")
    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": length}))
    with pytest.raises(ModelError, match="which is no number") as caught:
        load(str(folder), dtype="float32", device="cpu")
    assert "correct model_max_length" in caught.value.remedy


def test_finite_activations_of_1e30_are_refused(model, tmp_path):
    large = LlamaForCausalLM.from_pretrained(model)
    with torch.no_grad():
        large.get_input_embeddings().weight.mul_(1e30)
    folder = shutil.copytree(model, tmp_path / "large")
    large.save_pretrained(folder)
    settings = planted.quick(model, folder, tmp_path / "cache", tokens=3_000, metrics=False)
    with pytest.raises(ActivationError, match=r"of the candidate, block 0 of 3, are beyond"):
        pipeline.run(settings)


@pytest.mark.parametrize("name", ["baseline", "corpus", "cache_dir", "report_dir"])
def test_the_home_of_nobody_is_refused(name, pytester):
    pytester.makeini(f"[pytest]\ncrossdiff_{name} = ~no-such-user/x\n")
    with pytest.raises(SettingsError, match=f"crossdiff_{name} = ~no-such-user/x can't be a path"):
        resolve(pytester.parseconfig())


@given(st.sampled_from([2**62, -(2**62), 10**15]))
@settings(max_examples=3, deadline=None, suppress_health_check=[*HealthCheck])
def test_times_beyond_all_calendars_are_refused(tmp_path, value):
    with pytest.raises(CrossDiffError, match="after 0 rows"):
        KNOWN["times in parquet"].read(tmp_path / "folder", value)
