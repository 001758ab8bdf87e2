"""Tokenizers of every kind in use, trained on texts of the example: the same under any Python.

`KINDS` names them; `tokenizer(kind)` trains one on first use.
"""

import functools
import json
from pathlib import Path

import tokenizers as t
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

TEXTS = Path(__file__).parents[2] / "example_suite" / "texts" / "operations.jsonl"
VOCABULARY = 800


def _train(blank, trainer):
    lines = TEXTS.read_text("utf-8").splitlines()
    blank.train_from_iterator([json.loads(line)["text"] for line in lines], trainer)
    return blank


def _byte_level():
    """GPT-2's kind: bytes, with the space in front of a word inside its token."""
    blank = t.Tokenizer(models.BPE())
    blank.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    blank.decoder = decoders.ByteLevel()
    blank.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        initial_alphabet=alphabet,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        show_progress=False,
    )
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(
        tokenizer_object=_train(blank, trainer), bos_token=end, eos_token=end, unk_token=end
    )


def _with_bytes(trained):
    """The same vocabulary with a token for each byte, for characters that it lacks."""
    form = json.loads(trained.to_str())
    model, names = form["model"], [f"<0x{byte:02X}>" for byte in range(256)]
    if model["type"] == "BPE":
        model["vocab"] |= {name: len(model["vocab"]) + i for i, name in enumerate(names)}
    else:
        model["vocab"] += [[name, -20.0] for name in names]
    model["byte_fallback"] = True
    return t.Tokenizer.from_str(json.dumps(form))


def _sentencepiece_bpe():
    """Llama 2's kind: `▁` for spaces and before the text, bytes for unknown characters, BOS."""
    blank = t.Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    blank.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False
    )
    blank.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")  # else it learns sentences
    trained = _with_bytes(_train(blank, trainer))
    trained.pre_tokenizer = None
    trained.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", trained.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=trained, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


def _unigram():
    """T5's kind: NFKC, `▁` before each word, the likeliest pieces, EOS."""
    blank = t.Tokenizer(models.Unigram())
    blank.normalizer = normalizers.NFKC()
    blank.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<unk>", "</s>"],
        unk_token="<unk>",
        show_progress=False,
    )
    trained = _with_bytes(_train(blank, trainer))
    trained.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", trained.token_to_id("</s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=trained, unk_token="<unk>", eos_token="</s>", pad_token="</s>"
    )


def _wordpiece():
    """BERT's kind: lower case without accents, spaces in no token, [CLS] and [SEP]."""
    blank = t.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    blank.normalizer = normalizers.BertNormalizer(lowercase=True)
    blank.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY, special_tokens=names, show_progress=False
    )
    trained = _train(blank, trainer)
    ids = [(name, trained.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    trained.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=ids
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=trained,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
    )


_MAKERS = {
    "byte-level BPE": _byte_level,
    "SentencePiece BPE": _sentencepiece_bpe,
    "Unigram": _unigram,
    "WordPiece": _wordpiece,
}
KINDS = tuple(_MAKERS)


@functools.cache
def tokenizer(kind):
    """The tokenizer of `kind`; one object for the whole session, so leave it as it is."""
    return _MAKERS[kind]()
