"""Reading a model's residual stream: this package against the plain loop.

    python -m benchmarks.speed.harvest FOLDER [--tokens 6000] [--out FILE.json]

The plain loop takes the same texts in their order, eight at a time, padded to the longest, with
`output_hidden_states=True` and keeps one layer.  Both are timed in turn, twice, on one thread with
the model in memory; this package's figure includes tokenising and writing its shards, the plain
loop's is the forward pass alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.machine import machine
from pytest_crossdiff.engine.activations.harvest import harvest
from pytest_crossdiff.engine.activations.shard_reading import Reading
from pytest_crossdiff.engine.corpus import documents
from pytest_crossdiff.engine.corpus.sampling import Piece, sample
from pytest_crossdiff.engine.models.loaded import LoadedModel, load
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.store.cache import Store


@torch.inference_mode()
def plain(loaded: LoadedModel, pieces: list[Piece], limit: int) -> float:
    """CPU seconds of the plain loop."""
    tokenizer = loaded.tokenizer
    ids = [tokenizer(p.text, truncation=True, max_length=limit)["input_ids"] for p in pieces]
    began, kept = time.process_time(), []
    for i in range(0, len(ids), 8):
        batch = ids[i : i + 8]
        longest = max(map(len, batch))
        padded = torch.tensor([row + [0] * (longest - len(row)) for row in batch])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in batch])
        out = loaded.model(input_ids=padded, attention_mask=mask, output_hidden_states=True)
        kept.append(out.hidden_states[loaded.layer + 1][mask.bool()].clone())
    return time.process_time() - began


def ours(loaded: LoadedModel, pieces: list[Piece]) -> tuple[float, float]:
    """CPU seconds of the harvest, and the share of what it ran that was padding."""
    with tempfile.TemporaryDirectory() as folder:
        entry = Store(Path(folder)).entry("harvest", "benchmark")
        began = time.process_time()
        with entry.lock():
            reading = Reading([loaded], pieces, "own", "model")
            harvest(reading, [entry], label="model", progress=SilentProgress())
        took = time.process_time() - began
        manifest = entry.read_manifest()
        assert manifest is not None
        return took, 1 - manifest.meta["tokens"] / manifest.meta["padded"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--tokens", type=int, default=6_000)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    drawn = sample(
        documents.read("builtin:pydoc"), tokens=args.tokens, context=256, heldout=0.3, seed=0
    )
    loaded, pieces = load(args.folder, layer=0.5, device="cpu"), list(drawn.pieces)
    limit = min(loaded.max_length or 4096, 4096)
    slow, fast, padding = [], [], 0.0
    for _ in range(2):
        slow.append(plain(loaded, pieces, limit))
        took, padding = ours(loaded, pieces)
        fast.append(took)
    found = {
        "machine": machine(),
        "model": Path(args.folder).name,
        "layer": f"{loaded.layer + 1} of {loaded.layers}",
        "tokens": args.tokens,
        "plain_cpu_s": min(slow),
        "ours_cpu_s": min(fast),
        "times": min(slow) / min(fast),
        "padding": padding,
    }
    print(json.dumps(found, indent=1))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
