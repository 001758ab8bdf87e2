"""Reading a model on two threads: two batches at once, against every product divided between them.

    python -m benchmarks.speed.two_threads FOLDER CORPUS [--layer LAYER] [--tokens N] [--rounds N]

Seconds of wall time for tokenised texts, the model in memory, in turn on one thread and in both
ways on two; cores should be idle, and the least of the rounds counts.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from pathlib import Path
from unittest import mock

import torch

from benchmarks.machine import machine
from pytest_crossdiff.engine.activations import shard_reading
from pytest_crossdiff.engine.activations.shard_reading import Reading
from pytest_crossdiff.engine.corpus import documents
from pytest_crossdiff.engine.corpus.sampling import sample
from pytest_crossdiff.engine.models.loaded import load
from pytest_crossdiff.engine.models.two_at_once import two_at_once
from pytest_crossdiff.results.result import layer_name
from pytest_crossdiff.settings import fields

IN_TURN = functools.partial(two_at_once, allowed=False)
WAYS = {
    "one thread": (1, two_at_once),
    "products divided": (2, lambda views, **_: IN_TURN(views)),
    "two at once": (2, two_at_once),
}


def seconds(reading: Reading, way: str) -> float:
    """What reading all shards takes."""
    threads, how = WAYS[way]
    torch.set_num_threads(threads)
    with mock.patch.object(shard_reading, "two_at_once", how):
        began = time.perf_counter()
        for shard in reading.read([*reading.shards], lambda _: None):
            del shard
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("corpus")
    layer = next(field for field in fields() if field.name == "layer")
    parser.add_argument("--layer", type=layer.parse, default=0.5)
    parser.add_argument("--tokens", type=int, default=6_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    texts = documents.read(args.corpus)
    drawn = sample(texts, tokens=args.tokens, context=256, heldout=0.3, seed=0)
    loaded = load(args.folder, layer=args.layer, device="cpu")
    reading = Reading([loaded], list(drawn.pieces), "own", "model")
    rounds = [{way: round(seconds(reading, way), 2) for way in WAYS} for _ in range(args.rounds)]
    found = {
        "machine": machine(),
        "model": Path(args.folder).name,
        "layer": layer_name(loaded.layer, loaded.layers),
        "tokens": reading.tokens,
        "rounds": rounds,
        "least": {way: min(of[way] for of in rounds) for way in WAYS},
    }
    print(json.dumps(found, indent=1))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
