"""What is left of a model's log-probabilities once its ability is removed (METHOD 7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def residuals(logp_ms: Array, tokens_ms: Array) -> Array:
    """What the other models and a model's own token count do not predict of its log-probabilities,
    in nats, shape (m, s).

    Least squares over spans: logp_m = a + b · mean of the other models' logp + c · tokens_m.
    Every model is treated alike, the judged one and the references: an exchange of two models
    exchanges their residuals and changes nothing else.  That is what makes the bound exact.

    logp_ms: log p of each span, nats.  tokens_ms: in how many tokens the model reads it.
    """
    count = len(logp_ms)
    if count < 2:
        raise ValueError("one model has no others to be compared with")
    mean_of_others_ms = (logp_ms.sum(0) - logp_ms) / (count - 1)
    return np.stack(
        [_residual(*of) for of in zip(logp_ms, mean_of_others_ms, tokens_ms, strict=True)]
    )


def _residual(logp_s: Array, others_s: Array, tokens_s: Array) -> Array:
    design_sx = np.stack((np.ones_like(logp_s), others_s, tokens_s), axis=1)
    coefficients_x, *_ = np.linalg.lstsq(design_sx, logp_s, rcond=None)
    residual_s: Array = logp_s - design_sx @ coefficients_x
    return residual_s
