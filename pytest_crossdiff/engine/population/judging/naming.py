"""The features in which a judged model deviates, as a report names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_crossdiff.engine.population.judging.deviations import counts_of, root_of
from pytest_crossdiff.engine.population.judging.features import explaining, overlaps
from pytest_crossdiff.results.population import PopulationFeature

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_crossdiff.engine.population.judging.deviations import Indices, WrittenWords
    from pytest_crossdiff.engine.population.judging.judge import Judgement
    from pytest_crossdiff.engine.population.judging.weightings import Weightings
    from pytest_crossdiff.engine.population.writing import Written

NAMED = 3
"""Features that are named, however small."""


class Words(NamedTuple):
    """The words judged.  own: what the judged model wrote.  others: what the references wrote."""

    judged: WrittenWords
    own: Written
    others: Sequence[Written]

    @property
    def names(self) -> list[str]:
        return [f"writes {word!r}" for word in self.judged.words]


def named_features(
    found: Judgement, texts: Weightings, group_s: Indices, words: Words | None
) -> Iterator[PopulationFeature]:
    """Those that explain most, then the significant ones, each with the features that repeat it.

    texts: the features of the texts, the first of `found`.  group_s: the document of each span.
    words: the others.
    """
    features = texts if words is None else texts.with_own_spans(words.names)
    chosen = _chosen(found, features)
    repeated = overlaps(features, chosen)
    for f in chosen:
        if f in repeated:
            continue
        if words is not None and f >= texts.size:
            facts = _facts_of_word(found, words, f, f - texts.size)
        else:
            facts = _facts_of_texts(found, texts, group_s, f)
        yield PopulationFeature(
            name=features.names[f],
            z=float(found.deviations.z_mf[0, f]),
            p_value=float(found.p_f[f]),
            significant=bool(found.significant_f[f]),
            also=tuple(features.names[g] for g in chosen if repeated.get(g) == f),
            **facts,
        )


def _chosen(found: Judgement, features: Weightings) -> list[int]:
    z_f = found.deviations.z_mf[0]
    first = explaining(features, found.deviations.shift_mf[0], found.deviations.scale_mf[0], NAMED)
    ranked = [*first, *(f for f in np.argsort(-np.abs(z_f), kind="stable") if f not in first)]
    return [
        int(f)
        for place, f in enumerate(ranked)
        if place < NAMED
        or found.significant_f[f]
        or (found.flagged and abs(z_f[f]) > found.threshold)
    ]


def _facts_of_texts(
    found: Judgement, texts: Weightings, group_s: Indices, f: int
) -> dict[str, Any]:
    own = texts.span_i[texts.feature_i == f]
    return {
        "shift": float(found.deviations.shift_mf[0, f]),
        "smallest_flagged": float(found.smallest_flagged_f()[f]),
        "spans": len(own),
        "documents": len(np.unique(group_s[own])),
    }


def _facts_of_word(found: Judgement, words: Words, f: int, at: int) -> dict[str, Any]:
    """at: the number of the word, whose feature is `f`."""
    word, factor = words.judged.words[at], float(words.judged.factor_m[0])
    written = words.own.continuations.get(word, 0)
    share = written / words.own.made
    of_references = float(
        np.mean([of.continuations.get(word, 0) / max(of.made, 1) for of in words.others])
    )
    # The deviations are those of roots: what the references' mean and the least shift make.
    others = root_of(np.float64(written * factor)) - found.deviations.shift_mf[0, f]
    least = float(counts_of(others + found.smallest_flagged_f()[f])) / factor / words.own.made
    return {
        "shift": share - of_references,
        "smallest_flagged": min(least, 1.0) - of_references,
        "spans": written,
        "documents": written,
        "share": share,
        "references_share": of_references,
    }
