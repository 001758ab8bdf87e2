"""Which layers are compared where no setting says so: the middle block, and what both models
predict where they predict the same kind of thing.

A model is known by its `config.json` alone, so that this costs nothing when pytest collects.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pytest_crossdiff.settings.kinds import OUTPUT

if TYPE_CHECKING:
    from pytest_crossdiff.settings.kinds import Layers

Head = Literal["", "causal", "masked", "tags"]
"""What predicts on top of the blocks: the next token, the token at a place, or its tag; "" when
nothing does, or when its weights are lost. Whether a token head predicts the next token or the one
at its place is measured when the model is loaded: see `probing.sees_later_tokens`.
"""
HEADS: dict[str, Head] = {
    "ForCausalLM": "causal",
    "LMHeadModel": "causal",
    "ForMaskedLM": "masked",
    "ForTokenClassification": "tags",
}
"""By the end of a class's name."""
CAUSAL_SUFFIXES = tuple(end for end, head in HEADS.items() if head == "causal")
BLOCK = 0.5
MOST_BASES = 4
"""Adapters of adapters that are followed to their base."""


def default_layers(baseline: str, candidate: str) -> Layers:
    """`0.5, output` where both models predict tokens, or both tags; else 0.5.

    A model of which nothing is known here, such as one whose weights are gone and whose archive is
    read instead, has what the other has.
    """
    found = {head for model in (baseline, candidate) if (head := _head(model)) is not None}
    return (BLOCK, OUTPUT) if len(found) == 1 and "" not in found else BLOCK


@functools.cache  # what pytest collects and what it runs then are the same tests
def _head(model: str) -> Head | None:
    """What `model` predicts; "" none of these, None where that can't be told."""
    if not model:
        return None
    if model.lower().endswith(".gguf"):
        return "causal"
    for _ in range(MOST_BASES):
        adapter = _json(model, "adapter_config.json")
        base = adapter.get("base_model_name_or_path") if adapter else None
        if not isinstance(base, str):
            break
        beside = Path(model) / base
        model = str(beside) if beside.exists() else base
    config = _json(model, "config.json") or _json(model, "config.json", fetch=True)
    named = config.get("architectures") if config else None
    if not isinstance(named, list) or not named:
        return None
    ends = (head for end, head in HEADS.items() if any(str(name).endswith(end) for name in named))
    return next(ends, "")


def _json(model: str, file: str, *, fetch: bool = False) -> dict[str, Any] | None:
    """What a JSON file of a model says; None where there is none that can be read.

    fetch: whether it may be fetched from the hub, if it isn't on this machine.
    """
    folder = Path(model)
    try:
        path = folder / file if folder.is_dir() else _of_the_hub(model, file, fetch=fetch)
        found = json.loads(path.read_text("utf-8")) if path else None
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _of_the_hub(model: str, file: str, *, fetch: bool) -> Path | None:
    """A file of a model on the hub, from the cache of this machine or fetched."""
    name, _, revision = model.partition("@")
    if name.count("/") > 1 or Path(model).is_absolute():
        return None
    import huggingface_hub

    try:
        cached = huggingface_hub.try_to_load_from_cache(name, file, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
        if cached is not None or not fetch:  # it is known that there is none, or nobody asks
            return None
        return Path(huggingface_hub.hf_hub_download(name, file, revision=revision or None))
    except Exception:  # noqa: BLE001  the measurement itself says what is wrong with a model
        return None
