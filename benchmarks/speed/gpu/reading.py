"""How much of a device's rate of multiplication reading a large model reaches.

    python -m benchmarks.speed.gpu.reading [--device cuda] [--tokens 200000] [--width 4096]
                                           [--inner 14336] [--heads 32] [--blocks 16] [--out FILE]

Random weights in the sizes of an 8B Llama, whose first 16 of 32 blocks are what reading a block in
the middle runs; texts of the built-in corpus, as often as it takes, with a vocabulary made of them.
The rate is that of one bfloat16 product of the sizes of a block's largest, measured beforehand.
Tokenising and writing activations are part of the time.  On a CPU choose small sizes.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.speed.gpu.training import arguments, least_seconds, machine_with, now, wait
from pytest_crossdiff.engine.activations.harvest import harvest
from pytest_crossdiff.engine.activations.shard_reading import BATCH_TOKENS, Reading
from pytest_crossdiff.engine.corpus import documents
from pytest_crossdiff.engine.corpus.sampling import Piece, sample
from pytest_crossdiff.engine.models.loaded import LoadedModel, load
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.store.cache import Store

if TYPE_CHECKING:
    import argparse

FILE = Path(__file__).parents[1] / "results" / "reading-rate.json"
VOCABULARY, CORPUS_TOKENS, CONTEXT = 16_000, 100_000, 256


def main() -> None:
    sizes = {"width": 4096, "inner": 14_336, "heads": 32, "blocks": 16}
    args = arguments(FILE, **sizes, tokens=200_000).parse_args()
    device = torch.device(args.device)
    rate = product_rate(args.width, args.inner, device)
    print(f"{rate:.1f} TFLOP a second in a product of {args.width} by {args.inner}", flush=True)
    drawn = sample(
        documents.read("builtin:pydoc"), tokens=CORPUS_TOKENS, context=CONTEXT, heldout=0.3, seed=0
    )
    pieces = list(drawn.pieces)
    with tempfile.TemporaryDirectory() as folder:
        save_random(Path(folder), args, [piece.text for piece in pieces], device)
        loaded = load(folder, layer=args.blocks - 1, dtype="bfloat16", device=args.device)
    seconds, tokens = read(loaded, pieces, args.tokens, device)
    weights = sum(p.numel() for block in loaded.blocks[: args.blocks] for p in block.parameters())
    reached = 2 * weights * tokens / seconds / 1e12
    found = {
        "machine": machine_with(device),
        "sizes": {name: getattr(args, name) for name in sizes},
        "tokens": tokens,
        "seconds": round(seconds, 2),
        "tokens_a_second": round(tokens / seconds),
        "product_tflop_a_second": round(rate, 3),
        "reading_tflop_a_second": round(reached, 3),
        "share": round(reached / rate, 3),
    }
    print(json.dumps(found, indent=1))
    args.out.write_text(json.dumps(found, indent=1) + "\n")


def product_rate(width: int, inner: int, device: torch.device) -> float:
    """TFLOP a second of the largest product of a block, over a batch as reading takes it."""
    x = torch.randn(BATCH_TOKENS[device.type], width, device=device, dtype=torch.bfloat16)
    weight = torch.randn(width, inner, device=device, dtype=torch.bfloat16)
    return 2 * x.numel() * inner / least_seconds(lambda: x @ weight, device) / 1e12


def save_random(
    folder: Path, args: argparse.Namespace, texts: list[str], device: torch.device
) -> None:
    """A model with random weights and a tokenizer of the texts' words."""
    byte_level = Tokenizer(models.BPE())
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_level.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    byte_level.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(tokenizer_object=byte_level).save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=args.width,
        intermediate_size=args.inner,
        num_attention_heads=args.heads,
        num_key_value_heads=max(1, args.heads // 4),
        num_hidden_layers=args.blocks + 1,  # one that isn't read, as the upper half of a real one
        dtype="bfloat16",
    )
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with device:
            model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    model.save_pretrained(folder)


def read(
    loaded: LoadedModel, pieces: list[Piece], tokens: int, device: torch.device
) -> tuple[float, int]:
    """Seconds of reading the pieces again and again until there are so many tokens, which are
    counted; a first reading that isn't counted warms up.
    """
    taken, count, warm = 0.0, 0, False
    while count < tokens:
        with tempfile.TemporaryDirectory() as folder:
            entry = Store(Path(folder)).entry("harvest", "benchmark")
            wait(device)
            began = now(device)
            with entry.lock():
                reading = Reading([loaded], pieces, "own", "model")
                harvest(reading, [entry], label="model", progress=SilentProgress())
            wait(device)
            if warm:
                taken += now(device) - began
                count += reading.tokens
        warm = True
    return taken, count


if __name__ == "__main__":
    main()
