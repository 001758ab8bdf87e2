"""GGUF files: what their header says is in what is read, or they are refused."""

import math

import gguf
import numpy as np
import pytest
import torch
import transformers as tf
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from pytest_crossdiff.engine.models.loaded import load, vectors
from pytest_crossdiff.engine.models.loading.gguf.header import read_header
from pytest_crossdiff.engine.models.loading.load import load_tokenizer
from pytest_crossdiff.engine.models.skeletons import inspect_model
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.store.digest import digest, file_digest
from support import gguf_files, tiny_models

FLOAT = {"dtype": "float32", "device": "cpu"}
LLAMA_3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
LLAMA_3 |= {"original_max_position_embeddings": 64}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}


def scaled(**rope):
    """A Llama model whose positions are scaled."""
    parameters = {"rope_theta": 10_000.0, **rope}
    settings = {**tiny_models.GROUPED, "max_position_embeddings": 512, "head_dim": 16}
    config = tf.LlamaConfig(**settings, rope_parameters=parameters)
    return tiny_models.build(tf.LlamaForCausalLM, config)


def hidden(model, inputs):
    with torch.inference_mode():
        return model(input_ids=inputs[0], output_hidden_states=True).hidden_states[3]


def llama_3_factors(model, head_dim=16):
    """What the converter writes: by how much each frequency is divided."""
    plain = 1 / 10_000.0 ** (torch.arange(0, head_dim, 2) / head_dim)
    return (plain / model.model.rotary_emb.inv_freq).numpy().astype(np.float32)


def linear(writer):
    writer.add_string("llama.rope.scaling.type", "linear")
    writer.add_rope_scaling_factor(4.0)


def old_linear(writer):
    writer.add_float32("llama.rope.scale_linear", 4.0)


def yarn(writer):
    writer.add_string("llama.rope.scaling.type", "yarn")
    writer.add_rope_scaling_factor(4.0)
    writer.add_rope_scaling_orig_ctx_len(32)


# Positions


@pytest.mark.parametrize(
    ("rope", "write"),
    [
        ({"rope_type": "linear", "factor": 4.0}, linear),
        ({"rope_type": "linear", "factor": 4.0}, old_linear),
        (YARN, yarn),
        (
            {**YARN, "attention_factor": 0.5 * (1 + 0.1 * math.log(4))},
            lambda writer: (yarn(writer), writer.add_rope_scaling_attn_factors(0.5)),
        ),
    ],
    ids=["linear", "linear, an old key", "yarn", "yarn with an attention factor"],
)
def test_scaled_positions_are_read(tmp_path, rope, write):
    model = scaled(**rope)
    file = gguf_files.write(model, tmp_path / "tiny.gguf", write)
    inputs = tiny_models.batch(positions=60)
    loaded = load(str(file), layer=2, **FLOAT)
    torch.testing.assert_close(vectors(loaded, *inputs), hidden(model, inputs))
    plain = scaled(rope_type="default")
    assert not torch.allclose(hidden(plain, inputs), hidden(model, inputs), rtol=1e-2)
    assert inspect_model(resolve(str(file)), layer=2).architecture == "LlamaForCausalLM"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_frequencies_of_llama_3_are_read(tmp_path, dtype):
    model = scaled(**LLAMA_3)
    factors = llama_3_factors(model)
    assert factors.min() == 1.0 < factors.max() == 8.0
    file = gguf_files.write(
        model, tmp_path / "tiny.gguf", lambda w: w.add_tensor("rope_freqs.weight", factors)
    )
    inputs = tiny_models.batch(positions=60)
    loaded = load(str(file), layer=2, dtype=dtype, device="cpu")
    model.save_pretrained(tmp_path / "original")
    original = tf.AutoModelForCausalLM.from_pretrained(tmp_path / "original", dtype=loaded.dtype)
    expected = hidden(original, inputs)
    torch.testing.assert_close(vectors(loaded, *inputs), expected)


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda w: w.add_string("llama.rope.scaling.type", "longrope"), "positions of two lengths"),
        (
            lambda w: w.add_tensor("rope_factors_long.weight", np.ones(8, np.float32)),
            r"positions of two lengths \(rope_factors_long",
        ),
        (
            lambda w: w.add_tensor("rope_freqs.weight", np.ones(4, np.float32)),
            "a frequency for each pair of dimensions",
        ),
        (
            lambda w: (yarn(w), w.add_rope_scaling_yarn_log_mul(0.1)),
            r"scales positions \(factor, original_context_length, type, yarn_log_multiplier\)",
        ),
    ],
)
def test_positions_that_cannot_be_read_are_refused(tmp_path, write, says):
    file = gguf_files.write(scaled(rope_type="default"), tmp_path / "tiny.gguf", write)
    with pytest.raises(ModelError, match=says) as caught:
        load(resolve(str(file), source="crossdiff_baseline"), **FLOAT)
    assert caught.value.source == "crossdiff_baseline"
    assert "give the folder or hub id" in caught.value.remedy


@pytest.mark.parametrize(
    "write",
    [
        lambda w: w.add_string("llama.rope.scaling.type", "none"),
        lambda w: w.add_rope_scaling_factor(1.0),
        lambda w: None,
    ],
)
def test_a_file_that_was_read_right_keeps_its_digest(tmp_path, write):
    file = gguf_files.write(scaled(rope_type="default"), tmp_path / "tiny.gguf", write)
    before = digest({"gguf": file_digest(file), "tokenizer": {}})
    assert resolve(str(file)).digest == before


def test_a_file_that_was_read_wrongly_has_another_digest(tmp_path):
    file = gguf_files.write(scaled(rope_type="default"), tmp_path / "tiny.gguf", linear)
    assert resolve(str(file)).digest != digest({"gguf": file_digest(file), "tokenizer": {}})


# Tokenizers

BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGES = ["h e", "l l", "he ll", "hell o", "1 2", "12 3"]
WORDS = [*BYTES, "he", "ll", "hell", "hello", "12", "123", "Ġworld"]
SPLIT_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXTS = ["hello world 12345", "  hello\n12 3", "cafe\u0301 123", "<｜end▁of▁text｜>hello"]
CONTROL = "<｜end▁of▁text｜>"


def original(*steps, whole_words=False, control=()):
    """The tokenizer that the file is made from."""
    vocabulary = {token: i for i, token in enumerate([*WORDS, *control])}
    merges = [tuple(merge.split()) for merge in MERGES]
    made = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=whole_words))
    made.pre_tokenizer = pre_tokenizers.Sequence(list(steps))
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, normalized=False) for token in control])
    return made


def from_file(tmp_path, pre, control=()):
    """The reference of a file with the same vocabulary, and its tokenizer."""
    model = tiny_models.make("llama")
    words = [*WORDS, *control]
    file = gguf_files.write(
        model,
        tmp_path / "tiny.gguf",
        tokenizer=lambda w: gguf_files.bpe(w, words, MERGES, pre=pre, control=control),
    )
    reference = resolve(str(file))
    return reference, load_tokenizer(reference, trust_remote_code=False, source="")


def same(found, expected):
    for text in TEXTS:
        encoded = found(text, return_offsets_mapping=True, add_special_tokens=False)
        wanted = expected.encode(text, add_special_tokens=False)
        assert encoded["input_ids"] == wanted.ids, text
        assert encoded["offset_mapping"] == wanted.offsets, text


GPT_2 = pre_tokenizers.ByteLevel(add_prefix_space=False)


def test_digits_that_are_tokens_of_their_own(tmp_path):
    reference, found = from_file(tmp_path, "smollm")
    same(found, original(pre_tokenizers.Digits(individual_digits=True), GPT_2))
    assert found.tokenize("123") == ["1", "2", "3"]
    assert reference.remark == ""


def test_words_that_no_merges_build(tmp_path):
    split = pre_tokenizers.Split(Regex(SPLIT_3), "isolated")
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    _, found = from_file(tmp_path, "llama-bpe")
    same(found, original(split, plain, whole_words=True))
    assert found.tokenize(" world") == ["Ġworld"]


def test_characters_that_are_composed_first(tmp_path):
    _, found = from_file(tmp_path, "qwen2")
    assert found("cafe\u0301")["input_ids"] == found("café")["input_ids"]
    assert found.convert_ids_to_tokens(found("é")["input_ids"]) == ["Ã", "©"]


def test_special_tokens_that_byte_level_spelling_does_not_have(tmp_path):
    reference, found = from_file(tmp_path, "gpt-2", control=[CONTROL])
    same(found, original(GPT_2, control=[CONTROL]))
    assert found(CONTROL)["input_ids"] == [len(WORDS)]
    assert reference.remark == ""


@pytest.mark.parametrize("pre", ["deepseek-llm", "falcon", "default"])
def test_a_rule_for_splitting_that_nobody_knows_is_said(tmp_path, pre):
    reference, _ = from_file(tmp_path, pre)
    assert f"doesn't know the file's {pre!r}; put the model's tokenizer.json" in reference.remark


def test_a_tokenizer_beside_the_file_is_used_as_it_is(tmp_path):
    tiny_models.make_tokenizer().save_pretrained(tmp_path)
    reference, found = from_file(tmp_path, "smollm")
    assert found.tokenize("a1") == ["a", "[UNK]"]
    assert reference.digest == digest(
        {
            "gguf": file_digest(tmp_path / "tiny.gguf"),
            "tokenizer": {
                name: file_digest(tmp_path / name)
                for name in ("tokenizer.json", "tokenizer_config.json")
            },
        }
    )


@pytest.mark.parametrize("prefix", [True, False])
def test_a_space_before_each_text_only_where_the_file_says_so(tmp_path, prefix):
    tokens = ["<unk>", "<s>", "</s>", "▁", "a", "b", "▁a", "ab", "▁ab"]

    def sentencepiece(writer):
        writer.add_tokenizer_model("llama")
        writer.add_token_list(tokens)
        writer.add_token_scores([0.0] * 6 + [-1.0, -2.0, -3.0])
        writer.add_token_types([2, 3, 3, 1, 1, 1, 1, 1, 1])
        writer.add_add_space_prefix(prefix)
        writer.add_add_bos_token(False)
        writer.add_unk_token_id(0)

    file = gguf_files.write(tiny_models.make("llama"), tmp_path / "tiny.gguf",
                            tokenizer=sentencepiece)  # fmt: skip
    found = load_tokenizer(resolve(str(file)), trust_remote_code=False, source="")
    assert found.tokenize("ab ab") == ["▁ab" if prefix else "ab", "▁ab"]
    assert found.decode([8]) == ("ab" if prefix else " ab")


# Stores that name files by their content


def test_a_file_in_the_hubs_cache_is_a_link_to_a_blob_without_a_suffix(tmp_path):
    blob = tmp_path / "blobs" / "0123abcd"
    blob.parent.mkdir()
    plain = gguf_files.write(tiny_models.make("llama"), tmp_path / "plain.gguf")
    plain.rename(blob)
    link = tmp_path / "snapshots" / "main" / "tiny.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(blob)
    found = resolve(str(link))
    assert (found.kind, found.location, found.file) == ("gguf", str(link.parent), "tiny.gguf")
    inputs = tiny_models.batch()
    expected = hidden(tiny_models.make("llama"), inputs)
    for reference in (link, blob):  # and a store that has no other name for it
        assert resolve(str(reference)).digest == found.digest
        torch.testing.assert_close(
            vectors(load(str(reference), layer=2, **FLOAT), *inputs), expected
        )


# The header


def test_the_header_is_read_as_ggufs_own_reader_reads_it(tmp_path):
    file = gguf_files.write(scaled(rope_type="default"), tmp_path / "tiny.gguf", yarn)
    header = read_header(file, {"tokenizer.ggml.tokens"})
    reader = gguf.GGUFReader(file)
    assert {k for k in reader.fields if not k.startswith("GGUF.")} == set(header.metadata)
    assert header.metadata["tokenizer.ggml.tokens"] == gguf_files.LETTERS
    for key, value in header.metadata.items():
        if not isinstance(value, list) and value is not None:
            assert reader.fields[key].contents() == value
    for tensor in reader.tensors:
        place = header.tensors[tensor.name]
        assert (place.start, place.shape) == (tensor.data_offset, tuple(tensor.shape))
    norm = header.float_tensor("output_norm.weight")
    assert norm == [1.0] * 32


@pytest.mark.parametrize("length", [4, 10, 100, 400])
def test_a_file_cut_short_has_no_header(tmp_path, length):
    file = gguf_files.write(tiny_models.make("llama"), tmp_path / "tiny.gguf")
    file.write_bytes(file.read_bytes()[:length])
    assert read_header(file) is None
