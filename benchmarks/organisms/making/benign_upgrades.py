"""The benign upgrades of each split, in the order in which they take the texts of its plants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.organisms.making.benign import Benign
from benchmarks.organisms.making.plants import STEPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NOISE = {"bfloat16": 2**-9, "percent": 0.01, "split-percent": 0.005}
"""The size of noise, relative to a weight."""


def _numbered(name: str, number: int) -> str:
    """The first of its name goes without a number."""
    return name if number == 1 else f"{name}-{number}"


def _noise(size: str, number: int, seed: int) -> Benign:
    return Benign(_numbered(f"noise-{size}", number), "noise", size=NOISE[size], seed=seed)


def _moved(kind: str, *seeds: int) -> Iterator[Benign]:
    """Hidden units, heads or the stream reordered, or the stream rotated."""
    name = "stream-permuted" if kind == "stream" else kind
    return (Benign(f"{name}-{seed}", kind, seed=seed) for seed in seeds)


def _mixed(move: str, rounding: str, number: int, seed: int) -> Benign:
    """The stream moved (`rotated` or `stream`) and the weights rounded."""
    name = f"{'permuted' if move == 'stream' else move}-{rounding}"
    return Benign(_numbered(name, number), "mixed", f"{move}, {rounding}", seed=seed)


def _mixed_each_way(numbers: Iterable[int]) -> Iterator[Benign]:
    """Three ways for each number."""
    for number in numbers:
        for move, rounding in (("rotated", "int8"), ("stream", "int8"), ("rotated", "bfloat16")):
            yield _mixed(move, rounding, number, 100 + 10 * number)


def _continued(steps: Iterable[int], first_seed: int) -> Iterator[Benign]:
    """The base's training, for so many more steps."""
    for seed, size in enumerate(steps, first_seed):
        yield Benign(f"continued-{size}", "continued", size=size, seed=seed)


def _like_a_plant(numbers: Iterable[int], first_seed: int) -> Iterator[Benign]:
    """Trained as plants are, with nothing planted."""
    for seed, number in enumerate(numbers, first_seed):
        name = _numbered("continued-like-a-plant", number)
        yield Benign(name, "continued", "like a plant", seed=seed)


def _twins(steps: int, seeds: Iterable[int]) -> Iterator[Benign]:
    """The same, for so many steps."""
    return (Benign(f"twin-{steps}-{s}", "continued", "like a plant", steps, s) for s in seeds)


DEVELOPMENT = (
    Benign("saved-in-shards", "saved", "shards"),
    *(Benign(f"dtype-{dtype}", "dtype", dtype) for dtype in ("bfloat16", "float16")),
    Benign("int8-channel", "int8", "channel"),
    Benign("int8-channel-asymmetric", "int8", "asymmetric"),
    Benign("int8-group", "int8", "group"),
    _noise("bfloat16", 1, seed=1),
    _noise("percent", 1, seed=3),
    *_moved("hidden", 1),
    *_moved("heads", 1),
    *_moved("stream", 1, 2),
    *_moved("rotated", 1, 2),
    _mixed("rotated", "int8", 1, seed=4),
    _mixed("stream", "bfloat16", 1, seed=5),
    *_continued((20, 60), 11),
    *_like_a_plant((1, 2), 13),
    Benign("continued-like-a-swap", "continued", "like a swap", size=150, seed=15),
)
EARLIER = (
    Benign("int8-tensor", "int8", "tensor"),
    _noise("split-percent", 1, seed=21),
    _noise("bfloat16", 2, seed=22),
    *_moved("hidden", 2),
    *_moved("heads", 2),
    *_moved("stream", 3),
    *_moved("rotated", 3),
    _mixed("rotated", "bfloat16", 1, seed=23),
    _mixed("stream", "int8", 1, seed=24),
    *_continued((40, 80), 25),
    *_like_a_plant((3, 4), 27),
)
"""The reporting split of earlier engines."""
PREVIOUS = (
    _noise("bfloat16", 3, seed=31),
    _noise("percent", 2, seed=32),
    *_moved("hidden", 3),
    *_moved("heads", 3),
    *_moved("stream", 4),
    *_moved("rotated", 4, 5),
    _mixed("rotated", "int8", 2, seed=33),
    _mixed("stream", "bfloat16", 2, seed=34),
    *_continued((30, 70, 100), 35),
    *_like_a_plant(range(5, 9), 38),
)
"""The reporting split of the last engine."""
REPORTING = (
    *_continued((25, 50, 75, 90, 110, 120, 140, 160), 50),
    *_twins(STEPS, range(60, 68)),
    *_twins(150, range(70, 75)),
    *_twins(300, range(80, 85)),
    *(_noise("percent", i, seed=30 + i) for i in range(3, 8)),
    *(_noise("bfloat16", i, seed=90 + i) for i in range(4, 6)),
    *_moved("hidden", 4, 5),
    *_moved("heads", 4, 5),
    *_moved("stream", 5, 6, 7),
    *_moved("rotated", 6, 7, 8),
    *_mixed_each_way(range(3, 6)),
)
"""The reporting split: trained ones, among them twins of every recipe, and as many that are not."""
FURTHER = (
    *_continued((15, 35, 45, 55, 65, 85, 95, 105, 130, 150, 180, 200), 150),
    *_twins(STEPS, range(200, 212)),
    *_twins(150, range(220, 228)),
    *_twins(300, range(240, 244)),
    *(_noise("percent", i, seed=30 + i) for i in range(8, 10)),
    *_moved("rotated", 9, 10),
    *_moved("heads", 6),
    *_moved("stream", 8),
    *_mixed_each_way(range(6, 8)),
)
"""More of the same, to the reporting split: 52 are too few to tell 2 % from 10 %.  Made, and run
once, when the others had been, with the engine that they were run with.
"""
