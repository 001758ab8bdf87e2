"""Packages that some kinds of models need, and that come with extras of this one."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import transformers

from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from pytest_crossdiff.engine.models.sources.references import ModelReference

_EXTRAS = {"gguf": ("gguf", "accelerate"), "peft": ("peft",)}


def require_extra(extra: str, reference: ModelReference, source: str) -> None:
    """Raise `ModelError` when the packages of an extra aren't there."""
    absent = [name for name in _EXTRAS[extra] if importlib.util.find_spec(name) is None]
    if absent:
        raise ModelError(
            f"{reference.reference} can't be loaded without {' and '.join(absent)}",
            source=source,
            remedy=f"pip install 'pytest-crossdiff[{extra}]'",
        )
    if extra == "gguf" and not hasattr(transformers, "GgufConfig"):  # new in 5.17
        raise ModelError(
            f"{reference.reference} can't be loaded with transformers {transformers.__version__}, "
            "which does not turn GGUF files into plain numbers",
            source=source,
            remedy=f"pip install 'pytest-crossdiff[{extra}]'",
        )
