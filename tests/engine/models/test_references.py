"""References: every way to name a model, what its digest depends on, and every way to be wrong."""

import dataclasses
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import errors as hub_errors

from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.store import digest as digest_module
from pytest_crossdiff.store.cache import Store

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MOVED = "f" * 40
PROJECT = Path(digest_module.__file__).parents[2]
SETTING = "crossdiff_candidate in pytest.ini"


def safetensors(values=b"\0" * 16):
    tensors = {"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, len(values)]}}
    header = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
    return struct.pack("<Q", len(header)) + header + values


@pytest.fixture(autouse=True)
def hub_cache(tmp_path, monkeypatch):
    """An empty hub cache, no network, and a working directory of the test's own."""
    for name in ("HUGGINGFACE_HUB_CACHE", "HF_HOME", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "hub"


def make_model(folder, weights=b"\0" * 16):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "model.safetensors").write_bytes(safetensors(weights))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def make_adapter(folder, base, **settings):
    folder.mkdir(parents=True)
    config = {"peft_type": "LORA", "base_model_name_or_path": base, **settings}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_bytes(safetensors())
    return folder


@pytest.fixture
def model(tmp_path):
    return make_model(tmp_path / "models" / "v2")


def refused(reference, match):
    with pytest.raises(ModelError, match=match) as caught:
        resolve(str(reference), source=SETTING)
    assert caught.value.source
    return caught.value


# Folders


def test_a_folder(model):
    found = resolve(f" {model} ", source=SETTING)
    assert found.kind == "local"
    assert found.reference == str(model)
    assert found.location == str(model)
    assert found.source == SETTING
    assert (found.revision, found.file, found.base, found.remark) == (None, None, None, "")
    assert found.pinned


def test_a_relative_folder_and_one_in_the_home(model, monkeypatch):
    monkeypatch.setenv("HOME", str(model.parent))
    assert resolve("models/v2").location == str(model)
    assert resolve("~/v2").location == str(model)


def test_a_copy_has_the_same_digest_wherever_it_lies(model, tmp_path):
    copy = make_model(tmp_path / "elsewhere")
    assert resolve(str(copy)).digest == resolve(str(model)).digest


@pytest.mark.parametrize(
    "name",
    [
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
        *("chat_template.jinja", "additional_chat_templates/tool.jinja", "spiece.model"),
        "vocab.txt",
    ],
)
def test_the_digest_depends_on_what_matters(model, name):
    before = resolve(str(model)).digest
    (model / name).parent.mkdir(exist_ok=True)
    changed = safetensors(b"\1" * 16) if name.endswith("safetensors") else b'{"changed": 1}'
    (model / name).write_bytes(changed)
    assert resolve(str(model)).digest != before


@pytest.mark.parametrize(
    "name",
    [
        *("README.md", "requirements.txt", ".git/config.json", "modeling.py", "runs/events.txt"),
        *("optimizer.pt", "trainer_state.json", "training_args.bin", "checkpoint-500/config.json"),
        *("eval_results.json", "pytorch_model.bin"),
    ],
)
def test_the_digest_does_not_depend_on_what_is_beside_the_point(model, name):
    before = resolve(str(model)).digest
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_bytes(b'{"changed": 1}')
    assert resolve(str(model)).digest == before


def test_code_matters_where_the_config_calls_for_it(model):
    (model / "config.json").write_text('{"auto_map": {"AutoModel": "modeling.Model"}}')
    (model / "modeling.py").write_text("a = 1")
    before = resolve(str(model)).digest
    (model / "modeling.py").write_text("a = 2")
    assert resolve(str(model)).digest != before


def write_tokenizer_code(folder, body):
    (folder / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": [null, "t.T"]}}')
    (folder / "t.py").write_text(body)


def test_code_of_a_tokenizer_matters_where_the_tokenizers_config_calls_for_it(model):
    write_tokenizer_code(model, "a = 1")
    before = resolve(str(model)).digest
    write_tokenizer_code(model, "a = 2")
    assert resolve(str(model)).digest != before


def test_so_does_that_of_an_adapters_and_a_gguf_files_tokenizer(model, tmp_path):
    adapter = make_adapter(tmp_path / "lora", str(model))
    file = tmp_path / "gguf" / "model.gguf"
    file.parent.mkdir()
    file.write_bytes(b"GGUF" + b"\0" * 20)
    for folder, named in ((adapter, adapter), (file.parent, file)):
        write_tokenizer_code(folder, "a = 1")
        before = resolve(str(named)).digest
        write_tokenizer_code(folder, "a = 2")
        assert resolve(str(named)).digest != before


@pytest.mark.parametrize("name", ["vocabulary.dat", "merges", "data/table.npz", "sub/more.py"])
def test_so_does_whatever_code_may_read(model, name):
    (model / name).parent.mkdir(exist_ok=True)
    digests = set()
    for code in (False, True):
        if code:
            write_tokenizer_code(model, "a = 1")
        for content in ("1", "2"):
            (model / name).write_text(content)
            digests.add(resolve(str(model)).digest)
    assert len(digests) == 3  # without code it does not matter
    for output in ("optimizer.pt", "notes.md", "checkpoint-5/scheduler.pkl", ".cache/x", "a.log"):
        (model / output).parent.mkdir(exist_ok=True)
        (model / output).write_text("{}")
    assert resolve(str(model)).digest in digests


def test_so_does_code_that_the_config_in_an_adapters_folder_names(model, tmp_path):
    """transformers reads it to learn which tokenizer the adapter has."""
    adapter = make_adapter(tmp_path / "lora", str(model))
    (adapter / "config.json").write_text('{"auto_map": {"AutoConfig": "mine.Config"}}')
    digests = set()
    for content in ("a = 1", "a = 2"):
        (adapter / "mine.py").write_text(content)
        digests.add(resolve(str(adapter)).digest)
    assert len(digests) == 2


@pytest.mark.parametrize("stem", ["model.safetensors", "pytorch_model.bin"])
def test_every_shard_of_the_index_matters(model, stem):
    (model / "model.safetensors").unlink()
    weight_map = {"a": "part-1.safetensors", "b": "part-2.safetensors", "c": "part-1.safetensors"}
    (model / f"{stem}.index.json").write_text(json.dumps({"weight_map": weight_map}))
    for number in (1, 2):
        (model / f"part-{number}.safetensors").write_bytes(safetensors())
    before = resolve(str(model)).digest
    (model / "part-2.safetensors").write_bytes(safetensors(b"\1" * 16))
    assert resolve(str(model)).digest != before
    (model / "part-1.safetensors").unlink()
    refused(model, r"lacks 1 of 2 files of weights: part-1\.safetensors")


def test_an_older_model_without_safetensors(model):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    assert resolve(str(model)).kind == "local"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("name", [
    "config.json", "adapter_config.json", "model.safetensors",
    "tokenizer_config.json", "tokenizer.json", "code.py",
])  # fmt: skip
def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(model, name):
    write_tokenizer_code(model, "")
    (model / name).unlink(missing_ok=True)
    os.mkfifo(model / name)
    refused(str(model), rf"{name} is no file but a pipe or a device")


def test_weights_that_the_config_names(model):
    (model / "model.safetensors").rename(model / "mine.safetensors")
    (model / "config.json").write_text('{"transformers_weights": "mine.safetensors"}')
    assert resolve(str(model)).kind == "local"


def test_large_files_are_read_once(model, tmp_path, monkeypatch):
    monkeypatch.setattr(digest_module, "REMEMBER_ABOVE", 50)
    for clock in ("SETTLED_NS", "TICK_NS"):
        monkeypatch.setattr(digest_module, clock, -(10**12))
    store = Store(tmp_path / "cache")
    first = resolve(str(model), store)
    reads = []
    content_digest = digest_module.content_digest
    monkeypatch.setattr(
        digest_module,
        "content_digest",
        lambda path: reads.append(path.name) or content_digest(path),
    )
    assert resolve(str(model), store) == first
    assert sorted(reads) == ["config.json", "tokenizer.json"]


def test_a_missing_folder_suggests_its_neighbour(model):
    error = refused(model.parent / "v3", "there is no model at .*v3")
    assert error.remedy == f"did you mean {model}?"
    assert error.source == SETTING
    assert "pytest was started" in refused("/nowhere/at/all", "no model at").remedy


def test_an_empty_reference():
    for nothing in ("", "  \n"):
        assert "give a folder" in refused(nothing, "no model is given").remedy


def test_a_folder_without_a_config_says_what_is_there(tmp_path):
    run = tmp_path / "run"
    make_model(run / "checkpoint-500")
    (run / "log.txt").write_text("")
    error = refused(run, r"neither config\.json nor .*; it holds checkpoint-500/, log\.txt\n")
    assert error.remedy == f"did you mean {run / 'checkpoint-500'}?"

    (tmp_path / "empty").mkdir()
    assert "save_pretrained" in refused("empty", "it holds nothing").remedy

    (tmp_path / "llama").mkdir()
    (tmp_path / "llama" / "q4.gguf").write_bytes(b"GGUF")
    assert refused("llama", "config").remedy == f"did you mean {tmp_path / 'llama' / 'q4.gguf'}?"


def test_a_long_folder_is_cut_in_the_message(tmp_path):
    for number in range(20):
        (tmp_path / "many" / str(number)).mkdir(parents=True)
    refused("many", "and 12 more")


def test_a_folder_without_weights_says_so(model):
    (model / "model.safetensors").rename(model / "model.onnx")
    error = refused(model, r"has a config\.json but no weights; model\.onnx can't be loaded")
    assert "model.safetensors" in error.remedy
    (model / "model.onnx").unlink()
    refused(model, r"has a config\.json but no weights\n")


@pytest.mark.parametrize("text", ["{", "[]", "\xff", "null"])
def test_a_malformed_config(model, text):
    (model / "config.json").write_text(text, encoding="latin-1")
    refused(model, r"config\.json (can't be read|is no JSON object)")


@pytest.mark.parametrize("text", ["{}", '{"weight_map": {}}', '{"weight_map": 1}'])
def test_a_malformed_index(model, text):
    (model / "model.safetensors").unlink()
    (model / "model.safetensors.index.json").write_text(text)
    refused(model, "lists no weights")


@pytest.mark.parametrize("keep", [0, 7, 8, 50, -1])
def test_truncated_weights_are_noticed_without_reading_them(model, keep):
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    assert refused(model, "is cut short").remedy == "copy or download it again"


@pytest.mark.parametrize(
    "header", [b"[]", b"{x}", b'{"w": 1}', b'{"w": {"data_offsets": []}}', b'{"w": {}}']
)
def test_weights_that_are_no_safetensors(model, header):
    (model / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    refused(model, "is no safetensors file|is cut short")


def test_a_git_lfs_pointer(model):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    (model / "model.safetensors").write_bytes(pointer)
    assert "git lfs pull" in refused(model, "is a Git LFS pointer").remedy


# GGUF


def test_a_gguf_file(tmp_path):
    path = tmp_path / "q4.gguf"
    path.write_bytes(b"GGUF" + b"\0" * 20)
    found = resolve("q4.gguf")
    assert (found.kind, found.location, found.file) == ("gguf", str(tmp_path), "q4.gguf")
    renamed = path.rename(tmp_path / "renamed.gguf")
    assert resolve(str(renamed)).digest == found.digest
    (tmp_path / "tokenizer_config.json").write_text("{}")
    assert resolve(str(renamed)).digest != found.digest


def test_what_is_no_gguf_file(tmp_path):
    (tmp_path / "q4.gguf").write_bytes(b"<html>")
    refused("q4.gguf", "is no GGUF file: it begins with b'<htm'")
    refused("org/q5.gguf", "there is no model at")
    assert refused("q5.gguf", "there is no model at").remedy.startswith("did you mean ")


def test_a_file_in_place_of_its_folder(model, tmp_path):
    error = refused(model / "model.safetensors", r"neither a folder nor a \.gguf file")
    assert error.remedy == f"give the folder, {model}"
    (tmp_path / "weights.bin").write_bytes(b"")
    assert "save_pretrained" in refused("weights.bin", "neither a folder nor").remedy


# Adapters


def test_an_adapter_and_its_base(model, tmp_path):
    adapter = make_adapter(tmp_path / "lora", str(model))
    found = resolve(str(adapter), source=SETTING)
    assert (found.kind, found.location) == ("adapter", str(adapter))
    assert found.base is not None
    assert found.base.digest == resolve(str(model)).digest
    assert found.pinned

    other = make_model(tmp_path / "v3", b"\1" * 16)
    assert resolve(str(make_adapter(tmp_path / "other", str(other)))).digest != found.digest


def test_where_the_base_lies_does_not_matter(model, tmp_path):
    near = make_adapter(tmp_path / "near", "models/v2")
    far = make_adapter(tmp_path / "far" / "away", "../../models/v2")
    assert resolve(str(near)).digest == resolve(str(far)).digest


def test_the_settings_of_the_adapter_matter(model, tmp_path):
    digests = {
        resolve(str(make_adapter(tmp_path / f"r{rank}", str(model), r=rank))).digest
        for rank in (4, 8)
    }
    assert len(digests) == 2


def test_an_adapter_of_a_hub_model_keeps_to_its_revision(tmp_path):
    adapter = make_adapter(tmp_path / "lora", "org/base", revision=COMMIT)
    found = resolve(str(adapter))
    assert (found.base.kind, found.base.revision) == ("hub", COMMIT)
    assert found.pinned


def test_a_relative_base_lies_beside_the_adapter_before_it_lies_where_pytest_was_started(tmp_path):
    make_model(tmp_path / "base", b"\1" * 16)
    adapter = make_adapter(tmp_path / "run" / "lora", "../base")
    beside = make_model(tmp_path / "run" / "base", b"\2" * 16)
    assert resolve(str(adapter)).base.location == str(beside)
    started = make_adapter(tmp_path / "run" / "other", "run/base")
    assert resolve(str(started)).base.location == str(beside)


def test_of_a_trainers_checkpoints_the_latest_is_suggested_first(model, tmp_path):
    for step in (500, 1000, 50):
        make_adapter(tmp_path / "out" / f"checkpoint-{step}", str(model))
    make_adapter(tmp_path / "out" / "best", str(model))
    names = ("checkpoint-1000", "checkpoint-500", "checkpoint-50")
    remedy = " or ".join(str(tmp_path / "out" / name) for name in names)
    assert refused(tmp_path / "out", "no transformers model").remedy == f"did you mean {remedy}?"


@pytest.mark.parametrize(
    ("name", "settings", "marked"),
    [
        ("model.layers.0.self_attn.q_proj.lora_A.weight", {"task_type": "CAUSAL_LM"}, False),
        ("model.layers.0.self_attn.q_proj.lora_A.weight", {}, False),
        ("model.layers.0.self_attn.q_proj.lora_A.weight", {"task_type": "SEQ_CLS"}, True),
        ("lm_head.lora_A.weight", {"task_type": "CAUSAL_LM"}, True),
    ],
)
def test_only_adapters_that_were_read_otherwise_before_have_another_digest(
    model, tmp_path, name, settings, marked
):
    adapter = make_adapter(tmp_path / "lora", str(model), **settings)
    file = adapter / "adapter_model.safetensors"
    header = {f"base_model.model.{name}": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 16)
    before = {
        "adapter": {file.name: digest_module.file_digest(file)},
        "settings": {"peft_type": "LORA", **settings},
        "base": resolve(str(model)).digest,
    }
    assert (resolve(str(adapter)).digest != digest_module.digest(before)) is marked


@pytest.mark.parametrize(
    ("base", "says"),
    [
        (None, "doesn't say"),
        ("", "doesn't say"),
        ("./gone", "can't be used: there is no model at"),
        ("org/gone", "can't be used: org/gone@main is neither"),
    ],
)
def test_an_adapter_whose_base_is_missing(tmp_path, base, says):
    adapter = make_adapter(tmp_path / "lora", base)
    error = refused(adapter, says)
    assert error.source == (
        f"base_model_name_or_path in {adapter / 'adapter_config.json'}, {SETTING}"
    )


def test_an_adapter_without_weights(model, tmp_path):
    adapter = make_adapter(tmp_path / "lora", str(model))
    (adapter / "adapter_model.safetensors").unlink()
    refused(adapter, r"has an adapter_config\.json but no weights")


def test_adapters_in_a_circle(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    make_adapter(one, str(two))
    make_adapter(two, str(one))
    refused(one, f"adapters whose base is one another: {one} -> {two} -> {one}")


def test_an_adapter_on_an_adapter(model, tmp_path):
    first = make_adapter(tmp_path / "first", str(model))
    second = make_adapter(tmp_path / "second", str(first))
    assert resolve(str(second)).base.base.location == str(model)


# The hub


class Hub:
    """Answers as the hub would."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def model_info(self, identity, *, revision, timeout):
        self.asked.append((identity, revision))
        if isinstance(self.answer, Exception):
            raise self.answer
        return huggingface_hub.ModelInfo(id=identity, sha=self.answer)


@pytest.fixture
def online(monkeypatch):
    def answering(answer):
        hub = Hub(answer)
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
        return hub

    return answering


def http_error(kind):
    """An error as the hub's client makes it, without the response that its version needs."""
    error = kind.__new__(kind)
    error.args = ("404 Client Error.\nmore",)
    return error


def remember(hub_cache, revision="main", commit=COMMIT):
    ref = hub_cache / "models--org--name" / "refs" / revision
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text(commit)


def test_a_commit_needs_no_look_up(online):
    hub = online(MOVED)
    found = resolve(f"org/name@{COMMIT}")
    assert (found.kind, found.location, found.revision) == ("hub", "org/name", COMMIT)
    assert found.pinned
    assert hub.asked == []


def test_a_branch_is_asked_for_because_branches_move(online, hub_cache):
    remember(hub_cache)
    hub = online(MOVED)
    found = resolve("org/name")
    assert (found.revision, found.remark, found.pinned) == (MOVED, "", False)
    assert found.digest == resolve(f"org/name@{MOVED}").digest
    assert hub.asked == [("org/name", "main")]


def test_a_tag_of_an_old_style_name(online):
    hub = online(COMMIT)
    assert resolve("gpt2@refs/pr/1").location == "gpt2"
    assert hub.asked == [("gpt2", "refs/pr/1")]


def test_offline_the_cached_commit_is_taken_and_said(hub_cache):
    remember(hub_cache, "v1.0")
    found = resolve("org/name@v1.0")
    assert found.revision == COMMIT
    assert found.remark == (
        "org/name@v1.0 is taken as commit 0123456789ab from the local cache: HF_HUB_OFFLINE is set"
    )


@pytest.mark.parametrize("failure", [TimeoutError("slow"), hub_errors.HfHubHTTPError, "unnamed"])
def test_without_a_network_the_cached_commit_is_taken_and_said(online, hub_cache, failure):
    remember(hub_cache)
    answer = None if failure == "unnamed" else failure
    online(http_error(failure) if isinstance(failure, type) else answer)
    found = resolve("org/name")
    assert found.revision == COMMIT
    assert "from the local cache: the hub can't be reached (" in found.remark
    assert "\n" not in found.remark


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"HF_HUB_CACHE": "{tmp}/a"}, "a"),
        ({"HUGGINGFACE_HUB_CACHE": "{tmp}/b"}, "b"),
        ({"HF_HOME": "{tmp}/c"}, "c/hub"),
        ({"XDG_CACHE_HOME": "{tmp}/d"}, "d/huggingface/hub"),
        ({"HOME": "{tmp}/e", "XDG_CACHE_HOME": ""}, "e/.cache/huggingface/hub"),
    ],
)
def test_the_hub_cache_is_found_as_huggingface_does(monkeypatch, tmp_path, variables, folder):
    monkeypatch.delenv("HF_HUB_CACHE")
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp=tmp_path))
    remember(tmp_path / folder)
    assert resolve("org/name").revision == COMMIT


def test_offline_and_not_in_the_cache(hub_cache):
    error = refused("org/name", "neither a folder here nor in the local hub cache, and HF_HUB_OFF")
    assert "download the model once" in error.remedy
    remember(hub_cache, commit="../../etc/passwd")
    refused("org/name", "nor in the local hub cache")


@pytest.mark.parametrize(
    ("kind", "says", "remedy"),
    [
        (hub_errors.RepositoryNotFoundError, "there is no model 'org/name' on the hub", "spelling"),
        (hub_errors.HFValidationError, "there is no model 'org/name' on the hub", "spelling"),
        (hub_errors.RevisionNotFoundError, "org/name has no revision 'v9'", "commits/main"),
        (hub_errors.GatedRepoError, "only for those whom its owners let in", "hf auth login"),
    ],
)
def test_what_the_hub_refuses_is_an_error_even_when_cached(online, hub_cache, kind, says, remedy):
    remember(hub_cache, "v9")
    online(http_error(kind))
    assert remedy in refused("org/name@v9", says).remedy


def test_a_misspelt_folder_that_looks_like_a_hub_id(model):
    assert refused("models/v3", "neither a folder here").remedy == f"did you mean {model}?"


@pytest.mark.parametrize("reference", ["a/b/c", "org/name@", "@main", "org//name", "./x", "ä/b"])
def test_what_can_be_neither(reference):
    refused(reference, "there is no model at")


@pytest.mark.parametrize("reference", ["x" * 5000, "~nobody-of-this-name/x"])
def test_what_the_system_refuses_to_look_up(reference):
    refused(reference, "can't look for a model|there is no model")


def test_a_reference_is_a_plain_immutable_value(model):
    found = resolve(str(model))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.digest = ""
    assert resolve(str(model)) == found


def test_nothing_heavy_is_imported_for_a_folder_or_a_commit(model):
    script = (
        "import sys\n"
        "from pytest_crossdiff.engine.models.sources.references import resolve\n"
        f"resolve(sys.argv[1]); resolve('org/name@{COMMIT}')\n"
        "heavy = {'torch', 'numpy', 'transformers', 'safetensors', 'huggingface_hub', 'peft'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script, str(model)]
    out = subprocess.check_output(command, text=True, cwd=PROJECT)
    assert out == "[]\n"
