"""After a test run: which differences fire in the tests that one model passes and the other fails.

The entry for what the plugin recorded; it loads both models once for each measured layer.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder, entries_of
from pytest_crossdiff.engine.explanation.recorded_texts import (
    explain_outcomes,
    firing_on,
    paired_tests,
    readable,
)
from pytest_crossdiff.engine.isolation import undisturbed
from pytest_crossdiff.engine.models.loading.load import load_tokenizer
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.errors import CrossDiffError
from pytest_crossdiff.settings.kinds import OUTPUT
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from transformers import PreTrainedTokenizerBase

    from pytest_crossdiff.engine.explanation.recorded_texts import Firing
    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.results.result import ModelFacts, Result
    from pytest_crossdiff.results.tests import RecordedRun, RecordedText, TestsAtRisk
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.settings.kinds import Layer
    from pytest_crossdiff.sides import Side
    from pytest_crossdiff.store.cache import Store

NO_RESULT = (
    "no measurement of these two models is known in this run: add a test with `crossdiff`, or "
    "`--crossdiff`"
)


def find_tests_at_risk(
    runs: Iterable[RecordedRun],
    results: Iterable[Result],
    settings: Settings,
    store: Store,
    progress: Progress,
) -> TestsAtRisk | None:
    """The tests that one model passes and the other fails; None where there is none.

    results: what was measured; those of other models are left out.  settings: of the session.
    What keeps us from reading the texts is the `reason` of what is returned: the list of tests
    stands without it.
    """
    tests = paired_tests(runs)
    if not any(test.apart for test in tests):
        return None
    texts = list(dict.fromkeys(text for test in tests for text in test.texts))
    firings: list[Firing] = []
    unread: list[str] = []
    reason = _reason(tests_with_texts=bool(texts), settings=settings)
    if not reason:
        try:
            references = {
                side: resolve(getattr(settings, side), store, source=f"crossdiff_{side}")
                for side in SIDES
            }
            own = [result for result in results if _is_of(result, references)]
            with undisturbed():
                tokenizers = _tokenizers(settings, references) if own else []
                template = _chat_template(settings, tokenizers)
                texts, unread = readable(texts, tokenizers, template)
                reason = "" if own else NO_RESULT
                for result in own if texts else ():
                    firings += _firings(
                        texts, result, settings, references, store, progress, template
                    )
        except CrossDiffError as error:
            firings, reason = [], error.what
    found = explain_outcomes(tests, texts, firings, settings.fdr)
    return dataclasses.replace(found, reason=reason, unread=tuple(unread))


def _reason(*, tests_with_texts: bool, settings: Settings) -> str:
    if not tests_with_texts:
        return "the tests recorded no texts: use `reply()` or `crossdiff_record`"
    if settings.train == "never":
        return "crossdiff_train = never: the texts are not read"
    return ""


def _is_of(result: Result, references: Mapping[Side, ModelReference]) -> bool:
    return all(result.model(side).digest == references[side].digest for side in SIDES)


def _firings(
    texts: Sequence[RecordedText],
    result: Result,
    settings: Settings,
    references: Mapping[Side, ModelReference],
    store: Store,
    progress: Progress,
    chat_template: str,
) -> list[Firing]:
    if not result.differences:
        return []
    at_layer = settings.with_values(
        layer=_layer(result.baseline),
        baseline_layer=None,
        candidate_layer=_layer(result.candidate),
    )
    entries = entries_of(result.key, result.training.seeds, store)
    return firing_on(
        texts,
        result,
        at_layer,
        references,
        lambda seed: TrainedCrosscoder.load(entries[seed]),
        progress,
        chat_template,
    )


def _layer(facts: ModelFacts) -> Layer:
    return OUTPUT if facts.predictions else facts.layer


def _tokenizers(
    settings: Settings, references: Mapping[Side, ModelReference]
) -> list[PreTrainedTokenizerBase]:
    return [
        load_tokenizer(
            references[side],
            trust_remote_code=settings.trust_remote_code,
            source=f"crossdiff_{side}",
        )
        for side in SIDES
    ]


def _chat_template(settings: Settings, tokenizers: Iterable[PreTrainedTokenizerBase]) -> str:
    """As it is set; plain where a model has none, as it is then asked without one, too."""
    return settings.chat_template if all(t.chat_template for t in tokenizers) else "plain"
