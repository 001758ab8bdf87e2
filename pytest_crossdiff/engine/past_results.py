"""The results that the cache has of one baseline, whatever has become of their candidates.

Imports neither torch nor numpy: nothing is measured here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.engine.corpus import documents
from pytest_crossdiff.engine.corpus.prompts import prompts
from pytest_crossdiff.engine.corpus.sampling import sample
from pytest_crossdiff.engine.metrics.stored import metrics_at
from pytest_crossdiff.engine.models.sources.archived import resolve_or_archived
from pytest_crossdiff.engine.plan import comparison_key, metrics_key
from pytest_crossdiff.engine.replies.stored import replies_at
from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.results.result import Result
from pytest_crossdiff.settings.parsing import parse
from pytest_crossdiff.settings.resolution import require
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_crossdiff.engine.corpus.documents import Corpus
    from pytest_crossdiff.engine.corpus.sampling import Sample
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side
    from pytest_crossdiff.store.cache import Store

RESULT = "result.json"
_OF_SAMPLE = ("tokens", "context", "heldout")
_OF_READING = (*_OF_SAMPLE, "dtype", "chat_template")


class PastResult(NamedTuple):
    """A result with the output metrics and the replies that the cache has beside it.

    measured: when, in seconds since 1970, as far as the file system says.
    """

    result: Result
    measured: float


class PastResults(NamedTuple):
    """What the cache has of a baseline on the same texts, the oldest first, and how many further
    results it has on other texts.
    """

    results: tuple[PastResult, ...]
    on_other_texts: int


def past_results(settings: Settings, store: Store, note: Callable[[str], None]) -> PastResults:
    """All results of the baseline and the corpus that `settings` name, at whatever layer.

    Models are known by their digests, so a candidate whose folder has other weights by now keeps
    its result.  note: told of a result that can't be read.  Raises `ModelError` and `CorpusError`
    for a baseline or a corpus that isn't here.
    """
    require(settings, "baseline")
    source = f"{settings.sources.get('baseline', 'default')} = {settings.baseline}"
    baseline = resolve_or_archived(settings.baseline, store, source=source)
    own = [past for past in _all(store, note) if past.result.baseline.digest == baseline.digest]
    own.sort(key=lambda past: (past.measured, past.result.key))
    if not own:
        return PastResults((), 0)
    corpus = documents.read(settings.corpus, settings.corpus_column)
    same = [past for past in own if past.result.corpus.digest == corpus.digest]
    beside = _Beside(settings, store, corpus)
    found = tuple(past._replace(result=beside.added_to(past.result)) for past in same)
    return PastResults(found, len(own) - len(same))


def _all(store: Store, note: Callable[[str], None]) -> Iterator[PastResult]:
    for info in store.list():
        if info.kind != "result" or not info.complete:
            continue
        try:
            data = store.entry(info.kind, info.key).read_bytes(RESULT)
            yield PastResult(Result.from_json(data.decode()), info.mtime)
        except StoreError as error:
            note(f"the result {info.key[:12]} is left out: {error.what}")


class _Beside:
    """Finds what stands beside results on the texts of `corpus`; each sample is drawn once."""

    def __init__(self, settings: Settings, store: Store, corpus: Corpus) -> None:
        self._settings, self._store, self._corpus = settings, store, corpus
        self._samples: dict[tuple[object, ...], Sample] = {}
        self._prompts = prompts(corpus) if settings.replies else []

    def added_to(self, result: Result) -> Result:
        written = {name: result.settings[name] for name in _OF_READING if name in result.settings}
        values = {name: parse(name, raw, "the result") for name, raw in written.items()}
        settings = self._settings.with_values(**values)
        models: dict[Side, str] = {side: result.model(side).digest for side in SIDES}
        if settings.metrics:
            key = metrics_key(settings, self._sample(settings), models)
            if (metrics := metrics_at(self._store, key)) is not None:
                result = metrics.added_to(result)
        if self._prompts:
            key = comparison_key(settings, self._prompts, models)
            if (replies := replies_at(self._store, key)) is not None:
                result = replies.added_to(result)
        return result

    def _sample(self, settings: Settings) -> Sample:
        drawn = tuple(getattr(settings, name) for name in _OF_SAMPLE)
        if drawn not in self._samples:
            tokens, context, heldout = drawn
            self._samples[drawn] = sample(
                self._corpus, tokens=tokens, context=context, heldout=heldout, seed=0
            )
        return self._samples[drawn]
