"""From the readings of all models to what the references say of either model of the pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.population.features import explaining, overlaps, text_features
from pytest_crossdiff.engine.population.judge import Judgement, judge
from pytest_crossdiff.engine.population.membership import character_entropy, same_tokens, units
from pytest_crossdiff.engine.population.spans import common_spans
from pytest_crossdiff.errors import InsufficientData
from pytest_crossdiff.results.population import (
    JudgedModel,
    Population,
    PopulationFeature,
    ReferenceModel,
)
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_crossdiff.engine.population.membership import Units
    from pytest_crossdiff.engine.population.readings import Reading
    from pytest_crossdiff.engine.population.spans import Spans
    from pytest_crossdiff.engine.population.weightings import Weightings
    from pytest_crossdiff.sides import Side

MIN_REFERENCES = 2
"""Fewer have no variance."""
MIN_SPANS = 200
NAMED = 3
"""Features that are named, however small."""
OUTLYING = 2.0
"""How many times the largest deviation of the others that of one reference is, when it is named."""


class HeldOutTexts(NamedTuple):
    """The held-out pieces that are read, by their number: text, document and slice of each."""

    texts: Mapping[int, str]
    groups: Mapping[int, int]
    slices: Mapping[int, str]


class Candidates(NamedTuple):
    """References by name; of some that were left out beforehand, the reason."""

    readings: Mapping[str, Reading]
    left_out: Mapping[str, str]


def compare(
    pair: Mapping[Side, Reading], references: Candidates, held: HeldOutTexts, fdr: float
) -> Population:
    """Judge the candidate and the baseline by the references.

    Raises `InsufficientData` where the pair itself cannot be read, or the models share no spans.
    """
    names, readings = [*references.readings], [*references.readings.values()]
    losses = {name: _loss(reading) for name, reading in references.readings.items()}
    chance = character_entropy([*held.texts.values()])
    for side in SIDES:
        if _loss(pair[side]) >= chance:
            raise InsufficientData(
                f"the {side} predicts the texts no better than the frequencies of single "
                f"characters: {_loss(pair[side]):.2f} nats a character against {chance:.2f}",
                remedy="compare models on texts that they can read",
            )
    unable = {
        name: f"predicts the texts no better than the frequencies of single characters: "
        f"{loss:.2f} nats a character against {chance:.2f}"
        for name, loss in losses.items()
        if loss >= chance
    }
    kept = [i for i, name in enumerate(names) if name not in unable]
    spans = common_spans([*(pair[s] for s in SIDES), *(readings[i] for i in kept)], held.texts)
    if spans.size < MIN_SPANS:
        raise InsufficientData(
            f"the models have {spans.size} spans of text in common, {MIN_SPANS} are needed",
            remedy="read more text, or leave out references whose tokenizers are unlike others",
        )
    found = _Judged(pair, {names[i]: readings[i] for i in kept}, spans, held, fdr)
    return found.population(
        losses, {**references.left_out, **unable}, [*names, *references.left_out]
    )


class _Judged:
    """Both models of the pair, each judged by the references that count for it."""

    def __init__(
        self,
        pair: Mapping[Side, Reading],
        references: Mapping[str, Reading],
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
        self.units: dict[Side, Units] = {}
        self.judgements: dict[Side, Judgement] = {}
        for at, side in enumerate(SIDES):
            rows = [at, *range(2, 2 + len(references))]
            self.units[side] = units(spans.logp_ms[rows])
            chosen = [at, *(rows[row] for row in self.units[side].rows)]
            if len(chosen) > MIN_REFERENCES and self.weightings.size:
                self.judgements[side] = judge(
                    spans.logp_ms[chosen],
                    spans.tokens_ms[chosen],
                    self.weightings,
                    self.group_s,
                    fdr,
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
                    features=tuple(_features(found, self.weightings, self.group_s)),
                )
                for side, found in reversed(self.judgements.items())
            ),
            warnings=tuple(self._warnings()),
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
        reading = self.references[name]
        shared = tuple(side for side in SIDES if same_tokens(reading, self.pair[side]))
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
        for side in self.judgements:
            chosen = [self.names[row - 1] for row in self.units[side].rows]
            if not any(same_tokens(self.references[n], self.pair[side]) for n in chosen):
                yield f"no reference has the {side}'s tokenizer"


def _features(
    found: Judgement, weightings: Weightings, group_s: np.ndarray
) -> Iterator[PopulationFeature]:
    """Those that explain most, then the significant ones, each with the features that repeat it."""
    z_f, needed_f = found.deviations.z_mf[0], found.smallest_flagged_f()
    shift_f, scale_f = found.deviations.shift_mf[0], found.deviations.scale_mf[0]
    first = explaining(weightings, shift_f, scale_f, NAMED)
    ranked = [*first, *(f for f in np.argsort(-np.abs(z_f), kind="stable") if f not in first)]
    flagging = found.largest > found.threshold
    chosen = [
        f
        for place, f in enumerate(ranked)
        if place < NAMED or found.significant_f[f] or (flagging and abs(z_f[f]) > found.threshold)
    ]
    repeated = overlaps(weightings, chosen)
    for f in chosen:
        if f in repeated:
            continue
        own = weightings.span_i[weightings.feature_i == f]
        yield PopulationFeature(
            name=weightings.names[f],
            shift=float(shift_f[f]),
            z=float(z_f[f]),
            p_value=float(found.p_f[f]),
            significant=bool(found.significant_f[f]),
            smallest_flagged=float(needed_f[f]),
            spans=len(own),
            documents=len(np.unique(group_s[own])),
            also=tuple(weightings.names[g] for g in chosen if repeated.get(g) == f),
        )


def _loss(reading: Reading) -> float:
    """Nats a character of the text that is predicted."""
    characters = int((reading.ends_n - reading.starts_n).sum())
    return float(-reading.logp_n.sum() / max(characters, 1))
