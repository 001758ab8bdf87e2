#!/bin/bash
# transformers 5.23.0 reads a GGUF file of the llama architecture without its scaled rotary positions.
#
# A GGUF file says how positions are scaled in `llama.rope.scaling.type` and `.factor` (linear, YaRN) or in the tensor
# `rope_freqs.weight` (Llama 3.1 and later); llama.cpp honours each.
# Expected: from_pretrained(folder, gguf_file=name) gives the hidden states of the model that was written.
# Observed: the keys and the tensor are passed over without a warning, the config says rope_type "default", and hidden
# states differ from the first block on.  The same file of a model without scaling is read exactly.
#
# Exits 0 while it is so, 1 when a scaled file is read right, 2 when the unscaled one isn't (then the script is wrong).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 gguf==0.19.0 accelerate==1.15.0 numpy
cd "$folder"
cat > check.py <<'PYTHON'
import sys
import warnings

import gguf
import numpy as np
import torch
import transformers as tf

print("torch", torch.__version__, "transformers", tf.__version__)
SIZES = dict(vocab_size=64, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=4, head_dim=16, max_position_embeddings=512)


def build(**rope):
    torch.manual_seed(0)
    config = tf.LlamaConfig(**SIZES, rope_parameters={"rope_theta": 10_000.0, **rope})
    model = tf.LlamaForCausalLM(config).eval()
    with torch.no_grad():  # attention of a trained model isn't uniform
        for block in model.model.layers:
            for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
                getattr(block.self_attn, part).weight.mul_(8)
    return model


def write(model, path, more):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_block_count(2)
    writer.add_context_length(512)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(128)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(model.config.rms_norm_eps)
    writer.add_rope_dimension_count(16)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(64)
    more(writer)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    for name, weight in model.state_dict().items():
        rows = weight.numpy()
        if name.split(".")[-2] in ("q_proj", "k_proj"):  # llama.cpp interleaves rotary rows
            rows = np.ascontiguousarray(rows.reshape(4, 2, 8, 64).swapaxes(1, 2).reshape(64, 64))
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), rows)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def linear(writer):
    writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(4.0)


def yarn(writer):
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(4.0)
    writer.add_rope_scaling_orig_ctx_len(128)


llama3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
factors = (build(rope_type="default").model.rotary_emb.inv_freq
           / build(**llama3).model.rotary_emb.inv_freq).numpy().astype(np.float32)
cases = {
    "not scaled": (dict(rope_type="default"), lambda writer: None),
    "linear": (dict(rope_type="linear", factor=4.0), linear),
    "yarn": (dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=128), yarn),
    "llama3": (llama3, lambda writer: writer.add_tensor("rope_freqs.weight", factors)),
}
ids = torch.arange(200)[None] % 64
errors = {}
for name, (rope, more) in cases.items():
    model = build(**rope)
    write(model, "tiny.gguf", more)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = tf.AutoModelForCausalLM.from_pretrained(
            ".", gguf_file="tiny.gguf", dtype=torch.float32,
            quantization_config=tf.GgufConfig(dequantize=True)).eval()
    with torch.no_grad():
        a = model(ids, output_hidden_states=True).hidden_states[1]
        b = found(ids, output_hidden_states=True).hidden_states[1]
    errors[name] = float((a - b).norm() / a.norm())
    rope_said = [str(w.message) for w in said if "rope" in str(w.message).lower()]
    print(f"{name:10}  relative error after block 0: {errors[name]:.2g}  "
          f"config: {found.config.rope_parameters}  warnings about it: {rope_said}")
if errors.pop("not scaled") > 1e-5:
    sys.exit(2)
sys.exit(0 if min(errors.values()) > 1e-4 else 1)
PYTHON
"$folder/venv/bin/python" check.py
