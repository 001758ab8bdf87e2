#!/bin/bash
# transformers 5.23.0: the auto classes name a class for Evolla's configuration and yet refuse to load it.
#
# Two model types, "evolla" and "EvollaModel", share one configuration class. Looking the configuration up in an auto
# mapping tries every type that shares it; asking whether it is in the mapping tries only the last one. The auto classes ask.
# Expected: `mapping.get(config_class)` finds a class exactly where `config_class in mapping`, and a saved Evolla loads
# with the auto class that the mapping names for it.
# Observed: both mappings give a class, `in` says no, and AutoModel and AutoModelForImageTextToText raise a ValueError
# whose list of supported configurations has EvollaConfig in it. The class itself loads the same folder.
# Who decides by the mapping which class to load has to ask with `in`, too.
#
# Exits 0 while it is so, 1 when the auto classes load it, 2 when the model's own class doesn't (then the script is wrong).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 numpy
cd "$folder"
cat > check.py <<'PYTHON'
import sys

import torch
import transformers as tf
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    MODEL_MAPPING,
)

print("torch", torch.__version__, "transformers", tf.__version__)
torch.manual_seed(0)
protein = dict(vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
               max_position_embeddings=64, pad_token_id=1, mask_token_id=2)
config = tf.EvollaConfig(
    vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
    num_key_value_heads=2, protein_encoder_config=protein, resampler_depth=1, resampler_dim_head=8, resampler_heads=2,
    resampler_num_latents=4, aligner_num_add_layers=1, pad_token_id=0, bos_token_id=1, eos_token_id=2,
)
model = tf.EvollaForProteinText2Text(config).eval()
model.save_pretrained("evolla")

again = tf.EvollaForProteinText2Text.from_pretrained("evolla")
same = all(torch.equal(x, y) for x, y in zip(model.state_dict().values(), again.state_dict().values(), strict=True))
print("the class itself loads the folder with equal weights:", same)
if not same:
    sys.exit(2)

refused = 0
for auto, mapping in ((tf.AutoModel, MODEL_MAPPING),
                      (tf.AutoModelForImageTextToText, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING)):
    named = mapping.get(tf.EvollaConfig, None)
    print(f"{auto.__name__}: mapping.get gives {named.__name__ if named else None}, "
          f"in mapping: {tf.EvollaConfig in mapping}")
    try:
        auto.from_pretrained("evolla")
        print("  loaded")
    except ValueError as error:
        listed = "EvollaConfig" in str(error).partition("Model type should be one of")[2]
        print(f"  ValueError: {str(error)[:60]}...; EvollaConfig among those that are supported: {listed}")
        refused += named is not None and tf.EvollaConfig not in mapping and listed
sys.exit(0 if refused == 2 else 1)
PYTHON
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" check.py 2>/dev/null
