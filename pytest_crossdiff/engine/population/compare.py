"""From the readings of all models to what the references say of either model of the pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.population.judging.deviations import written_words
from pytest_crossdiff.engine.population.judging.features import text_features
from pytest_crossdiff.engine.population.judging.judge import Judgement, judge
from pytest_crossdiff.engine.population.judging.membership import (
    character_entropy,
    same_tokens,
    units,
)
from pytest_crossdiff.engine.population.judging.naming import Words, named_features
from pytest_crossdiff.engine.population.judging.spans import common_spans
from pytest_crossdiff.errors import InsufficientData
from pytest_crossdiff.results.population import (
    JudgedModel,
    Population,
    ReferenceModel,
)
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_crossdiff.engine.population.judging.membership import Units
    from pytest_crossdiff.engine.population.judging.spans import Spans
    from pytest_crossdiff.engine.population.readings import Observed, Reading
    from pytest_crossdiff.sides import Side

MIN_REFERENCES = 2
"""Fewer have no variance."""
MIN_SPANS = 200
OUTLYING = 2.0
"""How many times the largest deviation of the others that of one reference is, when it is named."""


class HeldOutTexts(NamedTuple):
    """The held-out pieces that are read, by their number: text, document and slice of each."""

    texts: Mapping[int, str]
    groups: Mapping[int, int]
    slices: Mapping[int, str]


class Candidates(NamedTuple):
    """References by name; of some that were left out beforehand, the reason."""

    observed: Mapping[str, Observed]
    left_out: Mapping[str, str]


def compare(
    pair: Mapping[Side, Observed], references: Candidates, held: HeldOutTexts, fdr: float
) -> Population:
    """Judge the candidate and the baseline by the references: by the texts, and by the words that
    the models write where that is known of all of them.

    Raises `InsufficientData` where the pair itself cannot be read, or the models share no spans.
    """
    names = [*references.observed]
    losses = {name: _loss(of.reading) for name, of in references.observed.items()}
    chance = character_entropy([*held.texts.values()])
    for side in SIDES:
        if (loss := _loss(pair[side].reading)) >= chance:
            raise InsufficientData(
                f"the {side} predicts the texts no better than the frequencies of single "
                f"characters: {loss:.2f} nats a character against {chance:.2f}",
                remedy="compare models on texts that they can read",
            )
    unable = {
        name: f"predicts the texts no better than the frequencies of single characters: "
        f"{loss:.2f} nats a character against {chance:.2f}"
        for name, loss in losses.items()
        if loss >= chance
    }
    kept = {name: of for name, of in references.observed.items() if name not in unable}
    models = [*(pair[side] for side in SIDES), *kept.values()]
    spans = common_spans([of.reading for of in models], held.texts)
    if spans.size < MIN_SPANS:
        raise InsufficientData(
            f"the models have {spans.size} spans of text in common, {MIN_SPANS} are needed",
            remedy="read more text, or leave out references whose tokenizers are unlike others",
        )
    found = _Judged(pair, kept, spans, held, fdr)
    return found.population(
        losses, {**references.left_out, **unable}, [*names, *references.left_out]
    )


class _Judged:
    """Both models of the pair, each judged by the references that count for it."""

    def __init__(
        self,
        pair: Mapping[Side, Observed],
        references: Mapping[str, Observed],
        spans: Spans,
        held: HeldOutTexts,
        fdr: float,
    ) -> None:
        self.pair, self.references, self.spans = pair, references, spans
        self.names = [*references]
        pieces = spans.piece_s.tolist()
        self.group_s = np.array([held.groups[piece] for piece in pieces], dtype=np.int64)
        slices = [held.slices[piece] for piece in pieces]
        self.weightings = text_features(spans, held.texts, self.group_s, slices)
        written = [of.written for of in (*(pair[side] for side in SIDES), *references.values())]
        called = [*(f"the {side}" for side in SIDES), *(f"the reference {n}" for n in references)]
        self.units: dict[Side, Units] = {}
        self.judgements: dict[Side, Judgement] = {}
        self.words: dict[Side, Words] = {}
        self.lacking: dict[Side, list[str]] = {}
        for at, side in enumerate(SIDES):
            rows = [at, *range(2, 2 + len(references))]
            self.units[side] = units(spans.logp_ms[rows])
            chosen = [at, *(rows[row] for row in self.units[side].rows)]
            if len(chosen) <= MIN_REFERENCES or not self.weightings.size:
                continue
            known = [of for row in chosen if (of := written[row]) is not None]
            if len(known) == len(chosen) and known[0].made:
                self.words[side] = Words(written_words(known), known[0], known[1:])
            elif any(written):
                self.lacking[side] = [called[row] for row in chosen if written[row] is None]
            self.judgements[side] = judge(
                spans.logp_ms[chosen],
                spans.tokens_ms[chosen],
                self.weightings,
                self.group_s,
                fdr,
                self.words[side].judged if side in self.words else None,
            )

    def population(
        self, losses: Mapping[str, float], left_out: Mapping[str, str], names: Sequence[str]
    ) -> Population:
        return Population(
            references=tuple(
                self._reference(name, losses.get(name), left_out.get(name, "")) for name in names
            ),
            spans=self.spans.size,
            documents=len(np.unique(self.group_s)),
            features=self.weightings.size,
            judged=tuple(
                JudgedModel(
                    side=side,
                    references=found.references,
                    largest=found.largest,
                    threshold=found.threshold,
                    features=tuple(
                        named_features(found, self.weightings, self.group_s, self.words.get(side))
                    ),
                )
                for side, found in reversed(self.judgements.items())
            ),
            warnings=tuple(self._warnings()),
            words=max((len(of.judged.words) for of in self.words.values()), default=0),
            continuations=max((of.own.made for of in self.words.values()), default=0),
        )

    def _reference(self, name: str, loss: float | None, left_out: str) -> ReferenceModel:
        if left_out or name not in self.references:
            return ReferenceModel(name, left_out, loss=loss)
        found, row = self.units["candidate"], self.names.index(name) + 1
        largest = None
        if "candidate" in self.judgements and row in found.rows:
            place = found.rows.index(row) + 1
            largest = float(self.judgements["candidate"].deviations.largest_m[place])
        twin = found.same_as.get(row)
        same_as = "" if twin is None else "the candidate" if twin < 0 else self.names[twin - 1]
        reading = self.references[name].reading
        shared = tuple(side for side in SIDES if same_tokens(reading, self.pair[side].reading))
        return ReferenceModel(name, "", same_as, largest, loss, shared)

    def _warnings(self) -> Iterator[str]:
        for side, found in self.judgements.items():
            largest = found.deviations.largest_m[1:]
            rows = self.units[side].rows
            first, second = np.sort(largest)[::-1][:2]
            if first > OUTLYING * second:
                name = self.names[rows[int(largest.argmax())] - 1]
                yield (
                    f"the reference {name} deviates {first / second:.1f} times as much as any "
                    f"other and decides the threshold for the {side}; leave it out if it is "
                    "not acceptable for the job, but not for this figure alone"
                )
        if self.lacking:
            names = dict.fromkeys(name for names in self.lacking.values() for name in names)
            yield (
                f"{' and '.join(f'the {side}' for side in self.lacking)}: judged by the texts "
                "alone, not by the words that models write, because it is not known what "
                f"{' and '.join(names)} would write; read it again from its weights "
                "(`crossdiff references add`)"
            )


def _loss(reading: Reading) -> float:
    """Nats a character of the text that is predicted."""
    characters = int((reading.ends_n - reading.starts_n).sum())
    return float(-reading.logp_n.sum() / max(characters, 1))
