"""Both models' replies as texts of the comparison: the prompts of the corpus as they were answered.

Imported at every cached run, so it imports neither torch nor numpy.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_crossdiff.engine.corpus.prompts import NO_PROMPTS, with_replies
from pytest_crossdiff.errors import CorpusError, SettingsError
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.store.cache import DamagedEntry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_crossdiff.engine.corpus.documents import Corpus
    from pytest_crossdiff.engine.corpus.prompts import Prompt
    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side
    from pytest_crossdiff.store.cache import Store


def answered_corpus(
    settings: Settings,
    store: Store,
    references: Mapping[Side, ModelReference],
    corpus: Corpus,
    asked: Sequence[Prompt],
    keys: Mapping[Side, str],
) -> Corpus:
    """The corpus with the replies of both models where both are in the cache, under `keys`; else as
    it is.  Raises `SettingsError` or `CorpusError` where there can be none.
    """
    _require_replies(settings, references, asked)
    written = {side: _written_texts(store, keys[side]) for side in SIDES}
    return with_replies(corpus, asked, written.items()) if all(written.values()) else corpus


def _require_replies(
    settings: Settings, references: Mapping[Side, ModelReference], asked: Sequence[Prompt]
) -> None:
    """Raise `SettingsError` or `CorpusError` where no replies can be compared."""
    source = settings.sources.get("compare_replies", "crossdiff_compare_replies")
    if not settings.replies:
        raise SettingsError(
            "replies can't be compared where none are written",
            source=f"{source}, {settings.sources.get('replies', 'crossdiff_replies')} = 0",
            remedy="set crossdiff_replies to a number of tokens, e.g. 64",
        )
    if archived := [side for side in SIDES if references[side].archived]:
        raise SettingsError(
            f"the {archived[0]}'s weights are gone, so it can't read the other model's replies",
            source=source,
            remedy="set crossdiff_compare_replies = false",
        )
    if not asked:
        raise CorpusError(
            NO_PROMPTS,
            source=source,
            remedy="give conversations, or records with a prompt, or set "
            "crossdiff_compare_replies = false",
        )


def _written_texts(store: Store, key: str) -> list[str]:
    """The replies that are kept under `key`, in the order of the prompts; [] where there are
    none.
    """
    entry = store.entry("replies", key)
    try:
        manifest = entry.read_manifest()
        batches = [entry.read_bytes(name) for name in sorted(manifest.files)] if manifest else []
    except DamagedEntry as damage:
        entry.set_aside(damage.what)
        return []
    return [reply["text"] for batch in batches for reply in json.loads(batch)]
