"""The classes that are scanned, and how one is built."""

from __future__ import annotations

import pydoc_data.topics
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from benchmarks.families.exceptions import ALIASES
from benchmarks.families.tiny import tiny_config

if TYPE_CHECKING:
    from collections.abc import Iterator

MAPPINGS = {
    "causal": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "masked": "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
    "encoder-decoder": "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "image-text": "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "multimodal": "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES",
    "tags": "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES",
    "text encoder": "MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES",
}
LARGEST = 8e7
"""Parameters above which a model isn't tiny."""


class Job(NamedTuple):
    """A class of a family, by the mapping that lists it first."""

    mapping: str
    family: str
    architecture: str


def jobs() -> Iterator[Job]:
    """Every class once."""
    seen = set()
    for mapping, listed in MAPPINGS.items():
        for family, names in getattr(modeling_auto, listed).items():
            name = names[0] if isinstance(names, (tuple, list)) else names
            config = getattr(getattr(transformers, name, None), "config_class", None)
            other = config is not None and config is not CONFIG_MAPPING[family]
            if other and getattr(config, "model_type", family) != family and family in ALIASES:
                continue
            if (family, name) not in seen:
                seen.add((family, name))
                yield Job(mapping, family, name)


def build(job: Job) -> Any:  # noqa: ANN401
    """A tiny model with random weights, no norm or bias at its start value; raises what keeps it
    from being built.
    """
    kind = getattr(transformers, job.architecture)
    with torch.device("meta"):
        size = sum(p.numel() for p in kind(tiny_config(job.family, job.architecture)).parameters())
    if size > LARGEST:
        raise ValueError(f"still {size / 1e6:.0f} million parameters")
    torch.manual_seed(0)
    config = tiny_config(job.family, job.architecture)
    if config.is_encoder_decoder and not hasattr(config, "decoder_start_token_id"):
        config.decoder_start_token_id = 0  # in every checkpoint, but no field of T5's config
    model = kind(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # What isn't saved, such as a formula's table of positions, stays as loading makes it.
            if weight.is_floating_point() and name not in model._keys_to_ignore_on_save:
                weight.add_(torch.randn(weight.shape, generator=generator).to(weight.dtype) * 0.05)
        for module in model.modules():
            if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx] = 0.0  # as loading makes some
    return model.eval()


def save_tokenizer(folder: str) -> None:
    """A byte-level tokenizer of 480 tokens, trained on Python's documentation."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=480,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(list(pydoc_data.topics.topics.values()), trainer)
    names = ("pad_token", "bos_token", "eos_token", "unk_token", "mask_token")
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=256, **dict(zip(names, special, strict=True))
    ).save_pretrained(folder)
