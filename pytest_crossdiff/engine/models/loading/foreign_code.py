"""Code that a model brings: its own runs where that is asked for, other repositories' never."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import transformers
from transformers.models.auto.tokenization_auto import get_tokenizer_config

from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from pytest_crossdiff.engine.models.sources.references import ModelReference


def must_run_only_own_code(reference: ModelReference) -> None:
    """Refuse a model or tokenizer that takes code from a repository whose revision isn't pinned.

    Its config counts also where the tokenizer alone is loaded, as of an adapter: from there
    transformers learns which tokenizer it is.  Raises `ModelError`.
    """
    tokenizer = get_tokenizer_config(reference.location, revision=reference.revision)
    for auto_map in (_config(reference).get("auto_map"), tokenizer.get("auto_map")):
        classes = auto_map.values() if isinstance(auto_map, dict) else [auto_map]
        foreign = [name for entry in classes for name in _flat(entry) if "--" in name]
        if foreign:
            raise ModelError(
                f"{reference.reference} would run code of another repository: {foreign[0]}",
                source="crossdiff_trust_remote_code",
                remedy="copy the code into the model's folder and name it in auto_map without '--'",
            )


def _config(reference: ModelReference) -> dict[str, Any]:
    """The content of its config.json, {} where it has none."""
    try:
        found, _ = transformers.PretrainedConfig.get_config_dict(
            reference.location, revision=reference.revision
        )
    except OSError:
        return {}
    return dict(found)


def _flat(entry: object) -> list[str]:
    return [str(name) for name in entry] if isinstance(entry, (list, tuple)) else [str(entry)]
