"""GGUF files of tiny Llama models, as llama.cpp's converter would write them."""

import gguf
import numpy as np

LETTERS = ["!!", *(chr(33 + i) for i in range(63))]


def write(model, path, more=lambda writer: None, tokenizer=None):
    """Write a Llama model: other names, interleaved rotary rows.

    more: sets further keys or tensors.  tokenizer: sets the tokenizer's keys; one of letters where
    there is none.
    """
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config.vocab_size)
    (tokenizer or letters)(writer)
    more(writer)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, weight in model.state_dict().items():
        rows = weight.numpy()
        if count := heads.get(name.split(".")[-2]):
            split = rows.reshape(count, 2, len(rows) // count // 2, -1)
            rows = np.ascontiguousarray(split.swapaxes(1, 2).reshape(rows.shape))
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), rows)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def letters(writer):
    """A vocabulary of single letters."""
    bpe(writer, LETTERS, ["! !"], pre="gpt-2")
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)


def bpe(writer, tokens, merges, *, pre, control=()):
    """A byte-level vocabulary, with the rule by which texts are split."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in control else 1 for token in tokens])
    writer.add_token_merges(merges)
