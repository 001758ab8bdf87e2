"""Quantised checkpoints: dequantised where transformers can, named where they can't be loaded."""

from __future__ import annotations

import contextlib
import inspect
import re
from typing import TYPE_CHECKING, Any

from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch

    from pytest_crossdiff.engine.models.sources.references import ModelReference

_DEVICE = re.compile(r"\b(GPU|XPU|CUDA device|mps devices?)\b")
_PACKAGE = re.compile(r"\binstall\b|\bis not available\. Please|\bNo module named\b")
_INSTALL = re.compile(r"pip install [^`)]+")


def quantisation(config: Mapping[str, Any]) -> str:
    """By which method the weights of a config.json are quantised; "" where they aren't."""
    settings = config.get("quantization_config")
    return str(settings.get("quant_method", "")) if isinstance(settings, dict) else ""


def dequantising(config: Mapping[str, Any], device: torch.device | None) -> dict[str, Any]:
    """Options for `from_pretrained` that bring the weights back to plain numbers where the machine
    has no kernels for them; none where the method has no such option.

    Raises `ValueError` for a method that transformers would pass over in silence.
    """
    method = quantisation(config)
    if not method:
        return {}
    if not any(name.startswith(method) for name in AUTO_QUANTIZATION_CONFIG_MAPPING):
        raise ValueError("transformers doesn't know this method")
    kind: Any = AUTO_QUANTIZATION_CONFIG_MAPPING.get(method)
    can = kind is not None and "dequantize" in inspect.signature(kind.__init__).parameters
    kernels = device is not None and device.type == "cuda"
    return {"quantization_config": kind(dequantize=True)} if can and not kernels else {}


@contextlib.contextmanager
def quantisation_errors(
    config: Mapping[str, Any], reference: ModelReference, source: str
) -> Iterator[None]:
    """Say of whatever goes wrong inside that the weights are quantised, and how."""
    method = quantisation(config)
    try:
        yield
    except Exception as error:
        if not method:
            raise
        said = error.what if isinstance(error, ModelError) else str(error).strip()
        if isinstance(error, KeyError):
            said = f"its settings lack {said}"
        raise ModelError(
            f"{reference.reference} is quantised ({method}) and can't be read here: "
            f"{said.partition(chr(10))[0]}",
            source=source,
            remedy=_remedy(error, said),
        ) from error


def _remedy(error: Exception, said: str) -> str:
    """What to do about an error of a quantiser, which says what it needs in its own words."""
    original = "give the model that it was quantised from"
    if _DEVICE.search(said):
        return f"run where there is such a device, or {original}"
    if isinstance(error, ImportError) or _PACKAGE.search(said):
        package = _INSTALL.search(said)
        return f"{package[0] if package else 'install the package that is named'}, or {original}"
    return original
