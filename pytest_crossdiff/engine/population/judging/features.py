"""Features of the texts that a verdict over references looks at: words, what follows a word, and
slices of the corpus.

They depend on the texts alone.  A feature that was learnt from one of the judged models, such as
those of a crosscoder, treats that model differently from the references, and the bound of `judge`
would not hold for it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pytest_crossdiff.engine.population.judging.weightings import Weightings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_crossdiff.engine.population.judging.spans import Spans
    from pytest_crossdiff.engine.population.judging.weightings import Array

Indices = NDArray[np.int64]
MIN_SPANS, MIN_DOCUMENTS = 30, 6
"""A feature on fewer has no standard error that means anything.  With 6 documents instead of 15
slices are features in small corpora, too: on the development half as many models are flagged,
planted and not, and 39 of 72 plants are named instead of 27 (by 16 references, 185 documents)."""
MAX_SHARE = 0.5
"""A feature on more of the spans is the model's ability, which is removed."""
EXPECTED = 2.0
"""Standard deviations that need no explanation."""
CANDIDATES = 60
"""Features of the largest |z| that may be named."""


def text_features(
    spans: Spans, texts: Mapping[int, str], group_s: Indices, slice_s: Sequence[str]
) -> Weightings:
    """The features of the texts that are frequent enough.

    texts: of each piece.  group_s, slice_s: the document, and the part of the corpus, of each span.
    """
    found: dict[str, list[int]] = defaultdict(list)
    words = _words(spans, texts)
    for s, (word, before) in enumerate(zip(words, _words_before(spans, words), strict=True)):
        if word:
            found[f"on {word!r}"].append(s)
        if before:
            found[f"after {before!r}"].append(s)
        if slice_s[s]:
            found[f"in {slice_s[s]}"].append(s)
    return weightings_of(
        {
            name: np.array(of)
            for name, of in found.items()
            if len(of) >= MIN_SPANS
            and len(of) <= MAX_SHARE * spans.size
            and len(np.unique(group_s[of])) >= MIN_DOCUMENTS
        }
    )


def weightings_of(spans_of: Mapping[str, Indices]) -> Weightings:
    """Features that weigh each of their spans alike."""
    names = tuple(spans_of)
    sizes = [len(spans_of[name]) for name in names]
    return Weightings(
        np.repeat(np.arange(len(names)), sizes),
        np.concatenate([spans_of[name] for name in names]) if names else np.zeros(0, np.int64),
        np.ones(sum(sizes)),
        names,
    )


def _words(spans: Spans, texts: Mapping[int, str]) -> list[str]:
    """The text of each span, without the space around it."""
    places = zip(spans.piece_s.tolist(), spans.start_s.tolist(), spans.end_s.tolist(), strict=True)
    return [texts[piece][start:end].strip() for piece, start, end in places]


def _words_before(spans: Spans, words: Sequence[str]) -> Iterator[str]:
    """The text of the span right before each, "" where there is none."""
    for s in range(len(words)):
        follows = (
            s > 0
            and spans.piece_s[s] == spans.piece_s[s - 1]
            and spans.start_s[s] == spans.end_s[s - 1]
        )
        yield words[s - 1] if follows else ""


def overlaps(weightings: Weightings, strongest: Sequence[int]) -> dict[int, int]:
    """Of the features in `strongest`, those that mostly weigh the spans of an earlier one: each
    with the feature that it repeats.
    """
    spans = {f: set(weightings.span_i[weightings.feature_i == f].tolist()) for f in strongest}
    kept: list[int] = []
    repeated: dict[int, int] = {}
    for f in strongest:
        shared = Counter({g: len(spans[f] & spans[g]) for g in kept}).most_common(1)
        if shared and 2 * shared[0][1] > len(spans[f]):
            repeated[f] = shared[0][0]
        else:
            kept.append(f)
    return repeated


def explaining(weightings: Weightings, shift_f: Array, scale_f: Array, count: int) -> list[int]:
    """`count` features, each of which explains most of what the earlier ones leave: those to name.

    A model that learnt one kind of text deviates in its slice and in every word that is frequent
    there, in some of these by more standard deviations.  The slice explains the words, but no word
    explains the slice.

    A feature explains the squares of |z| in excess of `EXPECTED` that vanish, over all features,
    when its shift is taken from the spans that it shares with them.  Where nothing is in excess,
    the feature with the largest |z| comes first.
    """
    left_f = shift_f.copy()
    candidates = np.argsort(-np.abs(_z(left_f, scale_f)), kind="stable")[:CANDIDATES]
    shares_cf = np.stack([weightings.shares_in(f) for f in candidates.tolist()])
    free_c = np.ones(len(candidates), dtype=bool)
    found: list[int] = []
    for _ in range(min(count, len(candidates))):
        taken_cf = shares_cf * left_f[candidates][:, None]
        explained_c = _excess(left_f, scale_f) - _excess(left_f - taken_cf, scale_f)
        own_c = np.abs(_z(left_f, scale_f))[candidates]
        best = int(np.lexsort((own_c, np.maximum(explained_c, 0.0), free_c))[-1])
        free_c[best] = False
        found.append(int(candidates[best]))
        left_f = left_f - taken_cf[best]
    return found


def _z(shift_f: Array, scale_f: Array) -> Array:
    found: Array = shift_f / np.where(shift_f == 0, 1.0, scale_f)
    return found


def _excess(shift_f: Array, scale_f: Array) -> Array:
    found: Array = np.square(np.maximum(np.abs(_z(shift_f, scale_f)) - EXPECTED, 0.0)).sum(-1)
    return found
