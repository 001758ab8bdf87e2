"""KL divergence of a GGUF pair: as read here, and by llama.cpp's own numbers.

    pip install xllamacpp gguf
    python -m benchmarks.llama_cpp FILE.gguf [--types Q8_0 Q5_0] [--out FILE.json]

FILE's weights are rounded once more to other GGUF types, and each file is also written with the
same weights as 32-bit numbers.  Both programs give all probabilities of the next token behind the
same beginnings of texts; KL(FILE || other) is in nats a token.

Axes: n beginnings, v vocabulary.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tabulate import tabulate

from pytest_crossdiff.engine.models.loaded import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

TEXTS = Path(__file__).parents[1] / "example_suite" / "texts" / "everyday.jsonl"
TEXTS_READ, SHORTEST, LONGEST, EVERY = 8, 8, 40, 4
"""Texts, and the lengths at which each of them is cut, in tokens."""


def rounded(source: Path, target: Path, kind: str | None) -> Path:
    """`source` with its quantised weights in another type, None: as 32-bit numbers."""
    import gguf

    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        if field.types[0] == gguf.GGUFValueType.ARRAY:
            writer.add_array(name, field.contents())
        else:
            writer.add_key_value(name, field.contents(), field.types[0])
    plain = (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16)
    wanted = gguf.GGMLQuantizationType[kind or "F32"]
    for tensor in reader.tensors:
        if tensor.tensor_type in plain:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
            continue
        weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        made = gguf.quants.quantize(weight, wanted) if kind else weight.astype(np.float32)
        writer.add_tensor(tensor.name, made, raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def beginnings(file: Path) -> list[list[int]]:
    """Token ids of the first words of some texts."""
    model = load(str(file), layer=1.0, with_head=True)
    rows = [json.loads(line)["text"] for line in TEXTS.read_text("utf-8").splitlines()]
    texts = [model.tokenizer(text).input_ids for text in rows[:TEXTS_READ]]
    lengths = range(SHORTEST, LONGEST + 1, EVERY)
    return [ids[:length] for ids in texts for length in lengths if length <= len(ids)]


def read_here(file: Path, texts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """The log probabilities behind each text as crossdiff reads the file, shape (n, v)."""
    model = load(str(file), layer=1.0, with_head=True)
    with torch.inference_mode():
        found = [
            model.model(input_ids=torch.tensor([ids])).logits[0, -1].double().log_softmax(-1)
            for ids in texts
        ]
    return np.stack([one_v.numpy() for one_v in found])


def read_by_llama_cpp(file: Path, texts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """The same by llama.cpp on a CPU."""
    import xllamacpp

    given = xllamacpp.CommonParams()
    given.model.path, given.n_ctx, given.n_parallel = str(file), 512, 1
    server, found = xllamacpp.Server(given), []
    for ids in texts:
        vocabulary = 1_000_000  # all of it
        asked = {
            "prompt": list(ids),
            "max_tokens": 1,
            "logprobs": vocabulary,
            "n_probs": vocabulary,
        }
        answer: Any = server.handle_completions(asked | {"temperature": 0.0, "cache_prompt": True})
        answer = json.loads(answer) if isinstance(answer, str) else answer
        listed = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        log_p_v = np.full(1 + max(token["id"] for token in listed), -np.inf)
        log_p_v[[token["id"] for token in listed]] = [token["logprob"] for token in listed]
        found.append(log_p_v - np.log(np.exp(log_p_v).sum()))
    return np.stack(found)


def kl(p_nv: NDArray[np.float64], q_nv: NDArray[np.float64]) -> float:
    """Mean KL(p || q) of log probabilities, nats."""
    return float((np.exp(p_nv) * (p_nv - q_nv)).sum(1).mean())


def compared(file: Path, kinds: Sequence[str], folder: Path) -> Iterator[dict[str, object]]:
    """A row for each type, and one for the file against its own weights as 32-bit numbers."""
    texts = beginnings(file)
    plain = rounded(file, folder / "plain.gguf", None)
    here, there, there_plain = (
        read_here(file, texts),
        read_by_llama_cpp(file, texts),
        read_by_llama_cpp(plain, texts),
    )
    yield {
        "other": "the same weights, 32 bits",
        "here": kl(read_here(plain, texts), here),
        "llama.cpp, 32 bits": 0.0,
        "llama.cpp": kl(there_plain, there),
    }
    for kind in kinds:
        other = rounded(file, folder / f"{kind}.gguf", kind)
        other_plain = rounded(other, folder / f"{kind}-plain.gguf", None)
        yield {
            "other": kind,
            "here": kl(here, read_here(other, texts)),
            "llama.cpp, 32 bits": kl(there_plain, read_by_llama_cpp(other_plain, texts)),
            "llama.cpp": kl(there, read_by_llama_cpp(other, texts)),
        }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--types", nargs="+", default=["Q8_0", "Q5_0"])
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = list(compared(given.file, given.types, Path(folder)))
    print(tabulate(rows, "keys", tablefmt="github", floatfmt=".5f"))
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
