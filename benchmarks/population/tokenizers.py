"""Three tokenizers, trained on the training texts: they cut words in different places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transformers import PreTrainedTokenizerFast

if TYPE_CHECKING:
    from benchmarks.organisms.making.text import Texts

END, UNKNOWN = "<|end|>", "<|unknown|>"
TOKENIZERS = {"bytes": 2_048, "pairs": 3_072, "unigram": 2_560}
"""Kind and size of vocabulary: byte-level BPE, BPE over characters, unigram language model."""
PARAGRAPHS = 6_000


def make_tokenizer(kind: str, texts: Texts) -> PreTrainedTokenizerFast:
    """Train the tokenizer of this kind; `END` has the id 0."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    size = TOKENIZERS[kind]
    special, shown = [END, UNKNOWN], {"show_progress": False}
    if kind == "bytes":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=size, special_tokens=special, initial_alphabet=alphabet, **shown
        )
    else:
        model = models.BPE(unk_token=UNKNOWN) if kind == "pairs" else models.Unigram()
        made = Tokenizer(model)
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
        )
        made.decoder = decoders.Metaspace()
        kind_of = trainers.BpeTrainer if kind == "pairs" else trainers.UnigramTrainer
        unknown = {"unk_token": UNKNOWN} if kind == "unigram" else {}
        trainer = kind_of(vocab_size=size, special_tokens=special, **unknown, **shown)
    speeches = texts.train["speeches"][:: max(1, len(texts.train["speeches"]) // PARAGRAPHS)]
    made.train_from_iterator(speeches + texts.train["docstrings"], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=END, pad_token=END, unk_token=UNKNOWN
    )
