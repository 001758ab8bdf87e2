"""Code that a model brings: its own runs where that is asked for, other repositories' never."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers.models.auto.tokenization_auto import get_tokenizer_config

from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_crossdiff.engine.models.sources.references import ModelReference


def must_run_only_own_code(reference: ModelReference, config: Mapping[str, Any]) -> None:
    """Refuse a model or tokenizer that takes code from a repository whose revision isn't pinned.

    config: the content of its config.json, {} where only its tokenizer is loaded.  Raises
    `ModelError`.
    """
    tokenizer = get_tokenizer_config(reference.location, revision=reference.revision)
    for auto_map in (config.get("auto_map"), tokenizer.get("auto_map")):
        classes = auto_map.values() if isinstance(auto_map, dict) else [auto_map]
        foreign = [name for entry in classes for name in _flat(entry) if "--" in name]
        if foreign:
            raise ModelError(
                f"{reference.reference} would run code of another repository: {foreign[0]}",
                source="crossdiff_trust_remote_code",
                remedy="copy the code into the model's folder and name it in auto_map without '--'",
            )


def _flat(entry: object) -> list[str]:
    return [str(name) for name in entry] if isinstance(entry, (list, tuple)) else [str(entry)]
