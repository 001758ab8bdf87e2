"""Weights out of int8 ONNX files, as fp32 arrays under the names that transformers uses.

Three quantisers wrote the files of this example, and all of them store a weight X as integers
`X_q` or `X_quantized` beside `X_scale` and perhaps `X_zero_point`:

    X = (integers - zero point) * scale

The exporter kept the names of embeddings, norms and biases, but gave the matrices of linear layers
names of its own (`val_49`, `onnx::MatMul_753`).  A linear layer ends in `Add(matmul, bias)`, so the
bias that a matrix product runs into tells which layer the matrix belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import numpy_helper

from example_suite.wheels import ExampleModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

_INTEGERS = ("_quantized", "_q")
_PRODUCTS = {"MatMul", "MatMulInteger"}
# What quantisers put between a matrix product and the bias; each carries the product as input 0.
_BETWEEN = {"Cast", "Mul", "QuantizeLinear", "DequantizeLinear"}


def read_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """Every fp32 or int8 weight of the ONNX file, dequantised; linear layers as (out, in)."""
    graph = onnx.load(path).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = _dequantised(stored)
    weights |= {name: x for name, x in stored.items() if name.endswith((".weight", ".bias"))}
    made_by = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type != "Add":
            continue
        bias = next((name for name in node.input if name.endswith(".bias")), None)
        if bias is None:
            continue
        product = made_by.get(next(name for name in node.input if name != bias))
        while product is not None and product.op_type in _BETWEEN:
            product = made_by.get(product.input[0])
        if product is not None and product.op_type in _PRODUCTS:
            matrix = weights[_matrix_name(product, made_by)]
            weights[bias.removesuffix("bias") + "weight"] = np.ascontiguousarray(matrix.T)
    return weights


def load_into(
    model: torch.nn.Module,
    weights: Mapping[str, NDArray[np.float32]],
    *,
    prefix: str = "",
    except_for: tuple[str, ...] = (),
) -> None:
    """Set every parameter of `model` from `weights[prefix + its name]`.

    Parameters whose name begins with one of `except_for` stay as they are.  Raises
    `ExampleModelError` when any other is missing or has another shape.
    """
    import torch

    wrong = []
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(except_for):
                continue
            found = weights.get(prefix + name)
            if found is None or found.shape != tuple(parameter.shape):
                wrong.append(f"{name} {tuple(parameter.shape)}: {_shape(found)}")
            else:
                parameter.copy_(torch.from_numpy(np.array(found)))
    if wrong:
        raise ExampleModelError("weights not found in the ONNX file:\n  " + "\n  ".join(wrong))


def _dequantised(stored: Mapping[str, NDArray]) -> dict[str, NDArray[np.float32]]:
    weights = {}
    for name, integers in stored.items():
        base = next((name.removesuffix(end) for end in _INTEGERS if name.endswith(end)), None)
        if base is None or f"{base}_scale" not in stored:
            continue
        zero = stored.get(f"{base}_zero_point", np.zeros((), np.float32)).astype(np.float32)
        weights[base] = (integers.astype(np.float32) - zero) * stored[f"{base}_scale"]
    return weights


def _matrix_name(product: onnx.NodeProto, made_by: Mapping[str, onnx.NodeProto]) -> str:
    """The base name of the weight that the matrix product reads as its second input."""
    name = product.input[1]
    if name in made_by and made_by[name].op_type == "DequantizeLinear":
        name = made_by[name].input[0]
    return name.removesuffix("_quantized")


def _shape(array: NDArray | None) -> str:
    return "missing" if array is None else f"has {array.shape}"
