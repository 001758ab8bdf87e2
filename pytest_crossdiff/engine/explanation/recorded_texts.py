"""Which differences fire on the texts that ordinary tests recorded, and in which tests more often.

Axes: n texts, t tests, d differences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.activations.rendering import tokenize
from pytest_crossdiff.engine.activations.shard_reading import MAX_PIECE_TOKENS
from pytest_crossdiff.engine.corpus.messages import Message
from pytest_crossdiff.engine.corpus.sampling import Piece
from pytest_crossdiff.engine.explanation.contexts import fires
from pytest_crossdiff.engine.explanation.reading import activations, paired_tokens
from pytest_crossdiff.engine.verification.association import association_p_values
from pytest_crossdiff.engine.verification.exclusivity import benjamini_hochberg
from pytest_crossdiff.errors import CorpusError
from pytest_crossdiff.results.tests import FiringShare, TestAtRisk, TestsAtRisk
from pytest_crossdiff.results.wording import describe_difference, describe_said
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

    from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder
    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.results.tests import RecordedRun, RecordedText
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side


class PairedTest(NamedTuple):
    """A test that ran on both models: whether each passes it, and what was recorded."""

    name: str
    passed: Mapping[Side, bool]
    texts: tuple[RecordedText, ...]

    @property
    def apart(self) -> bool:
        """Whether one model passes it and the other fails."""
        return self.passed["baseline"] != self.passed["candidate"]


class Firing(NamedTuple):
    """At how many of each text's tokens a difference fires.  layer: where it was found."""

    difference: Difference
    layer: str
    fired_n: NDArray[np.int64]
    tokens_n: NDArray[np.int64]


def paired_tests(runs: Iterable[RecordedRun]) -> list[PairedTest]:
    """The tests of which there is a run on each model alone, by name; of several runs on a model,
    such as re-runs, the last counts.
    """
    known: dict[str, dict[Side, RecordedRun]] = {}
    for run in runs:
        if run.passed is not None and len(run.sides) == 1:
            known.setdefault(run.name, {})[run.sides[0]] = run
    return [
        PairedTest(
            name,
            {side: bool(of[side].passed) for side in SIDES},
            tuple(dict.fromkeys(text for side in SIDES for text in of[side].texts)),
        )
        for name, of in sorted(known.items())
        if len(of) == len(SIDES)
    ]


def readable(
    texts: Sequence[RecordedText],
    tokenizers: Sequence[PreTrainedTokenizerBase],
    chat_template: str,
) -> tuple[list[RecordedText], list[str]]:
    """The texts that both models can read, and why each of the others can't be: nothing is said in
    it, or a chat template refuses it.
    """
    taken, refused = [], []
    for text in texts:
        piece = _piece(text)
        try:
            for tokenizer in tokenizers if piece.messages else ():
                tokenize(piece, tokenizer, chat_template=chat_template, limit=MAX_PIECE_TOKENS)
        except CorpusError as error:
            refused.append(error.what)
            continue
        if piece.messages:
            taken.append(text)
        else:
            refused.append("prompt and answer are empty")
    return taken, refused


def firing_on(
    texts: Sequence[RecordedText],
    result: Result,
    settings: Settings,
    references: Mapping[Side, ModelReference],
    dictionary: Callable[[int], TrainedCrosscoder],
    progress: Progress,
    chat_template: str,
) -> list[Firing]:
    """Read the texts with both models and say where the result's differences fire.

    chat_template: as the setting.  dictionary: gives that of a seed.  Raises `ModelError` and
    `CorpusError`.
    """
    pieces = [_piece(text) for text in texts]
    sides = paired_tokens(pieces, result, settings, references, progress, chat_template)
    piece_t = sides["baseline"].piece_t
    tokens_n = np.bincount(piece_t, minlength=len(texts))
    return [
        Firing(
            difference,
            result.model(difference.side).layer_name,
            np.bincount(piece_t[fires(activation_t, difference.peak)], minlength=len(texts)),
            tokens_n,
        )
        for difference, activation_t in activations(result.differences, dictionary, sides)
    ]


def explain_outcomes(
    tests: Sequence[PairedTest],
    texts: Sequence[RecordedText],
    firings: Sequence[Firing],
    fdr: float,
) -> TestsAtRisk:
    """The tests that one model passes and the other fails, each with the differences that fire on
    it, of those that fire more on such tests than on tests that agree.

    texts: those that `firings` are of.  A permutation test over the tests with texts, one-sided,
    with Benjamini and Hochberg's bound `fdr` over all differences.
    """
    number = {text: n for n, text in enumerate(texts)}
    of_test = [[number[text] for text in test.texts if text in number] for test in tests]
    with_texts = [t for t, found in enumerate(of_test) if found]
    rate_td = np.zeros((len(tests), len(firings)))
    for d, firing in enumerate(firings):
        for t in with_texts:
            total = int(firing.tokens_n[of_test[t]].sum())
            rate_td[t, d] = firing.fired_n[of_test[t]].sum() / max(1, total)
    apart_t = np.array([test.apart for test in tests], dtype=bool)
    p_value_d = association_p_values(rate_td[with_texts], apart_t[with_texts])
    chosen = np.flatnonzero(benjamini_hochberg(p_value_d, fdr)).tolist()
    found = []
    for t, test in enumerate(tests):
        if not test.apart:
            continue
        shares = [_share(firings[d], rate_td[t, d]) for d in chosen if rate_td[t, d] > 0]
        shares.sort(key=lambda share: -share.share)
        unexplained = (
            text
            for text in test.texts
            if text not in number or not any(_fires(firings[d], number[text]) for d in chosen)
        )
        passes: Side = "baseline" if test.passed["baseline"] else "candidate"
        found.append(TestAtRisk(test.name, passes, tuple(shares), tuple(unexplained)))
    return TestsAtRisk(tuple(found), len(tests), len(with_texts), len(firings))


def _piece(text: RecordedText) -> Piece:
    said = (*text.prompt, ("assistant", text.output))
    messages = tuple(Message(role, content) for role, content in said if content.strip())
    return Piece(0, 0, None, messages, heldout=True)


def _share(firing: Firing, share: float) -> FiringShare:
    difference = firing.difference
    what = describe_said(difference) or describe_difference(difference)
    return FiringShare(difference.id, difference.side, firing.layer, float(share), what)


def _fires(firing: Firing, text: int) -> bool:
    return bool(firing.fired_n[text])
