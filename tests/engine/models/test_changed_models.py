"""A model that is replaced while it is read: nothing of it is stored under the old digest."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.models.loaded import load
from pytest_crossdiff.engine.models.sources.digested import DigestedFile, Stamp
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.progress import SilentProgress
from support import planted

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {of.__name__: of(root / of.__name__) for of in (planted.plain, planted.merged)}


@pytest.fixture
def folder(models, tmp_path):
    return Path(shutil.copytree(models["plain"], tmp_path / "checkpoint"))


def in_place(path, data):
    """As a program that opens the file to write does, with a modification time of its own."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def renamed(path, data):
    """As a program that writes another file first and gives it the name then."""
    other = path.with_name("other")
    other.write_bytes(data)
    other.replace(path)


def refused(reference, match, **how):
    with pytest.raises(ModelError, match=match) as caught:
        reference.must_be_unchanged(**how)
    assert "not stored" in caught.value.what
    assert "compare a copy" in caught.value.remedy
    assert caught.value.source == "crossdiff_candidate"


@pytest.mark.parametrize("write", [in_place, renamed])
@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json", "config.json"])
def test_a_file_with_another_content_is_named(folder, write, name):
    found = resolve(str(folder), source="crossdiff_candidate")
    found.must_be_unchanged(none_new=True)
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    write(folder / name, bytes(data))
    refused(found, rf"checkpoint/{name} was changed while .*checkpoint was read")


def test_a_removed_and_a_new_file_are_named(folder):
    found = resolve(str(folder), source="crossdiff_candidate")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    refused(found, r"chat_template\.jinja appeared", none_new=True)
    (folder / "tokenizer.json").unlink()
    refused(found, r"tokenizer\.json was removed")


def test_the_base_of_an_adapter_counts_too(folder, tmp_path):
    adapter = tmp_path / "lora"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(f'{{"base_model_name_or_path": "{folder}"}}')
    shutil.copy(folder / WEIGHTS, adapter / "adapter_model.safetensors")
    found = resolve(str(adapter), source="crossdiff_candidate")
    found.must_be_unchanged(none_new=True)
    (folder / "generation_config.json").write_text('{"changed": 1}')
    refused(found, r"checkpoint/generation_config\.json was changed")


def test_a_file_that_was_written_again_with_the_same_content_is_the_same(folder):
    found = resolve(str(folder))
    for write in (in_place, renamed):
        write(folder / WEIGHTS, (folder / WEIGHTS).read_bytes())
        found.must_be_unchanged(none_new=True)


def test_files_that_change_nothing_may_come_and_go(folder):
    found = resolve(str(folder))
    for name in ("optimizer.pt", "trainer_state.json", "README.md"):
        (folder / name).write_text("{}")
    found.must_be_unchanged(none_new=True)


def test_an_old_file_is_told_by_its_stamp_and_is_not_read_again(folder, monkeypatch):
    path = folder / WEIGHTS
    stamp = Stamp.of(path)
    monkeypatch.setattr(Path, "open", lambda *_, **__: pytest.fail("read"))
    known = DigestedFile("0" * 64, stamp)
    assert known.current(path) is known


def test_a_model_replaced_while_it_is_loaded_is_refused(folder, models, monkeypatch):
    found = resolve(str(folder))
    tokenizer = "pytest_crossdiff.engine.models.loading.load._load_tokenizer"
    original = load.__globals__["load_model_and_tokenizer"].__globals__["_load_tokenizer"]

    def replacing(*arguments):
        renamed(folder / WEIGHTS, (models["merged"] / WEIGHTS).read_bytes())
        return original(*arguments)

    monkeypatch.setattr(tokenizer, replacing)
    with pytest.raises(ModelError, match=rf"{WEIGHTS} was changed while"):
        load(found, dtype="float32", device="cpu")


class Replacing(SilentProgress):
    """Replaces a file when so much of a phase is done."""

    def __init__(self, phase, path, data):
        self.wanted, self.path, self.data = phase, path, data

    def phase(self, name, total, unit):
        phase = super().phase(name, total, unit)
        if name == self.wanted:
            phase.advance = lambda *_: renamed(self.path, self.data)
        return phase


def test_after_a_roll_back_the_cache_answers_for_the_model_that_is_there(models, folder, tmp_path):
    def settings(cache):
        few = {"tokens": 4_000, "metrics": False, "effect": False, "steps": 60}
        return planted.quick(models["merged"], folder, tmp_path / cache, **few)

    weights = folder / WEIGHTS
    before, other = weights.read_bytes(), (models["merged"] / WEIGHTS).read_bytes()
    undisturbed = pipeline.run(settings("undisturbed")).result
    with pytest.raises(ModelError, match=rf"checkpoint/{WEIGHTS} was changed while"):
        pipeline.run(settings("cache"), progress=Replacing("read candidate", weights, other))
    weights.write_bytes(before)
    again = pipeline.run(settings("cache"))
    assert not again.cached
    assert again.result.differences == undisturbed.differences
    assert again.result.training == undisturbed.training
