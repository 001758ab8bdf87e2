"""Out-of-distribution texts of a model: it predicts them worse than token frequencies do.

What two models predict there hangs on nothing that either has learnt, and hardly any training
leaves it as it was: an upgrade that was trained a little longer on English, with nothing planted,
predicted something else behind the letters of Spanish, which neither model knows.  So where
predictions are compared, texts that are so for both models are left out.  A language that only one
of them has learnt is in distribution for that one, and stays.

Axes: n content tokens of a harvest, u different tokens, s texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_JUDGED_TOKENS = 8
"""Tokens that have to be predicted of a text before it is judged."""


def out_of_distribution(
    text_n: NDArray[np.int64], ids_n: NDArray[np.int64], nll_n: NDArray[np.float32]
) -> NDArray[np.int64]:
    """The texts that the model behind `nll_n`, -log p of each token in nats, NaN where nothing
    precedes it, predicts worse on average than how often the other texts have each token.

    text_n: the text of each token.  Returns texts, sorted, each once.
    """
    judged_n = np.isfinite(nll_n)
    if not judged_n.any():  # a block was read, or what is predicted isn't the next token
        return np.zeros(0, dtype=np.int64)
    texts, text_n = np.unique(text_n, return_inverse=True)
    different, ids_n = np.unique(ids_n, return_inverse=True)
    kinds = len(different)
    total_u, length_s = np.bincount(ids_n), np.bincount(text_n)
    _, in_text_n, own = np.unique(text_n * kinds + ids_n, return_inverse=True, return_counts=True)
    elsewhere_n = total_u[ids_n] - own[in_text_n]
    # one more of each, so that what only this text has is not impossible
    counted_n = np.log((len(ids_n) - length_s[text_n] + kinds) / (elsewhere_n + 1))
    worse_s = np.bincount(text_n[judged_n], (nll_n - counted_n)[judged_n], minlength=len(texts))
    enough_s = np.bincount(text_n[judged_n], minlength=len(texts)) >= MIN_JUDGED_TOKENS
    found: NDArray[np.int64] = texts[enough_s & (worse_s > 0)]
    return found
