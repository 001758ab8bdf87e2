"""The numerical self-check of a run's models, on texts of its corpus, kept in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import transformers

from pytest_crossdiff.engine.activations.rendering import tokenize
from pytest_crossdiff.engine.models.loaded import load_configured
from pytest_crossdiff.engine.models.reading.self_check import (
    TEXTS,
    TOKENS,
    SelfCheck,
    check,
    stricter,
)
from pytest_crossdiff.store.artefact import read_or_build
from pytest_crossdiff.store.digest import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side
    from pytest_crossdiff.store.entry import Entry

VERSION = 1
"""Raised when the check changes."""
CANDIDATES = 30
"""Texts of which the checked ones are taken."""


def checked(
    plan: Plan,
    settings: Settings,
    side: Side,
    note: Callable[[str], None],
    loaded: LoadedModel | None = None,
) -> SelfCheck:
    """The self-check of the model of `side` at its layer, from the cache or made now.

    loaded: that model, if it is in memory; its batches are set to what the check found.  Raises
    `ModelError` where the model is not read as it runs; a failed check is not kept.
    """

    def build(entry: Entry) -> None:
        model = loaded or load_configured(settings, side, plan.references[side])
        try:
            found = check(model, checked_texts(plan, model))
            named = {"model": model.reference.reference, "words": found.value_words()}
            with entry.checked_by(model.reference.must_be_unchanged):
                entry.complete({**named, "self_check": found._asdict()})
        finally:
            if loaded is None:
                model.unload()

    entry = plan.store.entry("self-check", _key(plan, settings, side))
    found = read_or_build(entry, build, _read, note)
    if loaded is not None:
        loaded.batching = stricter(loaded.batching, found.batching)
    return found


def _read(entry: Entry) -> SelfCheck:
    manifest = entry.read_manifest()
    assert manifest is not None, "it is complete"
    return SelfCheck(**manifest.meta["self_check"])


def _key(plan: Plan, settings: Settings, side: Side) -> str:
    return digest(
        {
            "version": VERSION,
            "model": plan.references[side].digest,
            "layer": settings.layer_of(side),
            "blocks": getattr(settings, f"{side}_blocks"),
            "dtype": settings.dtype,
            "device": settings.device,
            "packages": [torch.__version__, transformers.__version__],
        }
    )


def checked_texts(plan: Plan, model: LoadedModel) -> list[torch.Tensor]:
    """The shortest, the middle and the longest of a few texts, as the model reads them."""
    pieces = plan.sample.pieces[:: max(1, len(plan.sample.pieces) // CANDIDATES)]
    limit = min(model.max_length or TOKENS, TOKENS)
    encoded = [
        tokenize(
            piece,
            model.tokenizer,
            chat_template=plan.settings.chat_template,
            limit=limit,
            form=model.form,
        )
        for piece in pieces
    ]
    ids = sorted((e.input_ids for e in encoded if e.content.any()), key=len)
    chosen = [ids[i] for i in np.linspace(0, len(ids) - 1, TEXTS).round().astype(int)]
    return [torch.as_tensor(np.asarray(one, dtype=np.int64))[None] for one in chosen]
