"""What is made of a GGUF file is kept in the cache, and is what the file gives."""

import gguf
import pytest
import torch

from pytest_crossdiff.cli.contents import describe
from pytest_crossdiff.engine.models.loading.gguf import copies
from pytest_crossdiff.engine.models.loading.load import load_model_and_tokenizer, load_tokenizer
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.store.cache import Store
from support import gguf_files, tiny_models

TEXTS = ["hello world 12345", "  hello\n12 3", "cafe\u0301 123", "<｜end▁of▁text｜>hello"]


def linear(writer):
    writer.add_string("llama.rope.scaling.type", "linear")
    writer.add_rope_scaling_factor(4.0)


@pytest.fixture
def file(tmp_path):
    return gguf_files.write(tiny_models.make("llama"), tmp_path / "tiny.gguf", linear)


@pytest.fixture
def notes():
    return []


@pytest.fixture
def store(tmp_path, notes):
    return Store(tmp_path / "cache", notes.append)


def load(file, store=None, dtype=torch.float32):
    reference = resolve(str(file), store)
    return load_model_and_tokenizer(reference, dtype, trust_remote_code=False, source="")


def kept(store):
    return [info for info in store.list() if info.kind == "dequantised"]


def must_be_same(found, expected):
    ids, mask = tiny_models.batch(positions=12)
    with torch.inference_mode():
        logits = [of.model(ids, attention_mask=mask).logits for of in (found, expected)]
    assert torch.equal(*logits)
    assert type(found.model) is type(expected.model)
    assert found.model.generation_config.to_dict() == expected.model.generation_config.to_dict()
    unsaid = {"architectures": None}  # saving a model says it
    assert found.model.config.to_dict() | unsaid == expected.model.config.to_dict() | unsaid
    for text in TEXTS:
        assert found.tokenizer(text).data == expected.tokenizer(text).data
    assert found.tokenizer.name_or_path == expected.tokenizer.name_or_path


def test_the_file_is_read_once(file, store, notes, monkeypatch):
    expected = load(file)
    must_be_same(load(file, store), expected)
    said = {"config of tiny.gguf", "tokenizer of tiny.gguf", "weights, float32, of tiny.gguf"}
    assert {*describe(store, kept(store))} == said
    (note,) = notes
    assert note.startswith("the dequantised weights of tiny.gguf are kept in the cache (")
    monkeypatch.setattr(gguf, "GGUFReader", None)
    must_be_same(load(file, store), expected)
    assert len(notes) == 1


def test_each_number_type_has_weights_of_its_own(file, store):
    load(file, store)
    again = load(file, store, torch.bfloat16)
    assert len(kept(store)) == 4
    must_be_same(load(file, store, torch.bfloat16), again)
    assert again.model.dtype == torch.bfloat16


@pytest.mark.parametrize("pre", ["smollm", "llama-bpe", "qwen2", "nobody's"])
def test_a_tokenizer_is_kept_with_all_that_is_corrected(tmp_path, store, pre):
    words = ["<｜end▁of▁text｜>", *gguf_files.LETTERS, *"abcdefghijklmnopqrstuvwxyz", "Ġ", "Ċ"]
    words = [*dict.fromkeys(words)]
    file = gguf_files.write(
        tiny_models.make("llama"),
        tmp_path / "tiny.gguf",
        tokenizer=lambda w: gguf_files.bpe(w, words, ["! !"], pre=pre, control=words[:1]),
    )
    plain, first, second = (
        load_tokenizer(resolve(str(file), at), trust_remote_code=False, source="")
        for at in (None, store, store)
    )
    assert len(kept(store)) == 1
    for text in TEXTS:
        assert plain(text).data == first(text).data == second(text).data


def test_what_is_damaged_is_read_from_the_file_again(file, store, notes):
    expected = load(file)
    load(file, store)
    for info in kept(store):
        for part in info.path.iterdir():
            if part.name != "manifest.json":
                part.write_bytes(part.read_bytes()[:-1] + b"!")
    fresh = Store(store.root, notes.append)
    must_be_same(load(file, fresh), expected)
    assert sum("set aside" in note for note in notes) == 3
    must_be_same(load(file, fresh), expected)
    assert sum("set aside" in note for note in notes) == 3


def test_a_file_that_has_changed_is_read_anew(file, store):
    load(file, store)
    gguf_files.write(tiny_models.make("llama", seed=7), file, linear)
    must_be_same(load(file, store), load(file))


def test_weights_are_not_kept_where_they_would_fill_the_disk(file, store, notes, monkeypatch):
    monkeypatch.setattr(copies, "MOST_OF_DISK", 0.0)
    must_be_same(load(file, store), load(file))
    assert len(kept(store)) == 2
    assert not notes


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(file, tmp_path):
    (tmp_path / "taken").write_text("a file where the cache should be")
    store = Store(tmp_path / "taken")
    must_be_same(load(file, store), load(file))


def test_what_would_be_read_back_otherwise_is_not_kept(file, store, monkeypatch):
    monkeypatch.setattr(copies, "_told", lambda _: object())
    must_be_same(load(file, store), load(file))
    must_be_same(load(file, store), load(file))


def test_what_cannot_be_saved_is_read_from_the_file_each_time(file, store, monkeypatch):
    expected = load(file)

    def fails(*_, **__):
        raise OSError("no generation_config.json found")  # as transformers says it, without errno

    monkeypatch.setattr(type(expected.model), "save_pretrained", fails)
    for _ in range(2):
        must_be_same(load(file, store), expected)
    assert [info.state for info in kept(store)].count("complete") == 2
