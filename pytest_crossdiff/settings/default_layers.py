"""Which layers are compared where no setting says so: the middle block, and what both models
predict where they predict the same kind of thing.

A model is known by its `config.json` alone, so that this costs nothing when pytest collects.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pytest_crossdiff.settings.kinds import OUTPUT
from pytest_crossdiff.sides import SIDES

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
SECONDS = 10.0
"""For which the hub's answer is waited for."""


_WORDS: dict[Head, str] = {
    "": "has no head that predicts",
    "causal": "predicts the next token",
    "masked": "predicts the token at a place",
    "tags": "predicts tags",
}


class Chosen(NamedTuple):
    """Where two models are compared, and why.  known: whether anything is known of either here."""

    layers: Layers
    why: str
    known: bool


def default_layers(baseline: str, candidate: str) -> Layers:
    """`0.5, output` where both models predict tokens, or both tags; else 0.5."""
    return choose_layers(baseline, candidate).layers


def choose_layers(baseline: str, candidate: str, *, fetch: bool = True) -> Chosen:
    """The same with the reason.

    A model of which nothing is known here, such as one whose weights are gone and whose archive is
    read instead, has what the other has.  fetch: whether a configuration may come from the hub.
    """
    models = dict(zip(SIDES, (baseline, candidate), strict=True))
    found = {side: of for side in SIDES if (of := _predicts(models[side], fetch)) is not None}
    if not found:
        return Chosen(BLOCK, "nothing is known of either model here", known=False)
    unknown = "".join(
        f"; the {side} can't be read here, and is taken to be of the same kind"
        for side in SIDES
        if side not in found
    )
    if len(heads := {of.head for of in found.values()}) == 1 and "" not in heads:
        said = f"both models {_WORDS[heads.pop()].replace('predicts', 'predict')}{unknown}"
        return Chosen((BLOCK, OUTPUT), said, known=True)
    said = "; ".join(f"the {side} {_WORDS[of.head]} ({of.named})" for side, of in found.items())
    why = f"the middle block, and not what the models predict: {said}{unknown}"
    return Chosen(BLOCK, why, known=True)


class _Predictor(NamedTuple):
    """head: what a model predicts.  named: its class, or what tells it."""

    head: Head
    named: str


@functools.cache  # what pytest collects and what it runs then are the same tests
def _predicts(model: str, fetch: bool) -> _Predictor | None:
    """What `model` predicts; None where that can't be told."""
    if not model:
        return None
    if model.lower().endswith(".gguf") and not Path(model).is_dir():
        return _Predictor("causal", "a GGUF file")
    for _ in range(MOST_BASES):
        adapter = _json(model, "adapter_config.json")
        base = adapter.get("base_model_name_or_path") if adapter else None
        if not isinstance(base, str):
            break
        beside = Path(model) / base
        model = str(beside) if beside.exists() else base
    config = _json(model, "config.json") or (fetch and _json(model, "config.json", fetch=True))
    named = config.get("architectures") if config else None
    if not isinstance(named, list) or not named:
        return None
    ends = (
        _Predictor(head, str(name))
        for end, head in HEADS.items()
        for name in named
        if str(name).endswith(end)
    )
    return next(ends, _Predictor("", str(named[0])))


def _json(model: str, file: str, *, fetch: bool = False) -> dict[str, Any] | None:
    """What a JSON file of a model says; None where there is none that can be read.

    fetch: whether it may be fetched from the hub, if it isn't on this machine.
    """
    folder = Path(model)
    try:
        path = folder / file if folder.is_dir() else _of_the_hub(model, file, fetch=fetch)
        # To open a pipe would wait for ever.
        found = json.loads(path.read_text("utf-8")) if path and path.is_file() else None
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
        # One question first: a download that nobody answers is tried again for half a minute.
        url = huggingface_hub.hf_hub_url(name, file, revision=revision or None)
        huggingface_hub.get_hf_file_metadata(url, timeout=SECONDS)
        return Path(huggingface_hub.hf_hub_download(name, file, revision=revision or None))
    except Exception:  # noqa: BLE001  the measurement itself says what is wrong with a model
        return None
