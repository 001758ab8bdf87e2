"""How much two predictions differ at each position, from both full distributions.

Axes: n rows of a model, m matched positions, t positions of a block, v shared outputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.metrics.final_states import FinalStates
    from pytest_crossdiff.engine.metrics.matching import MatchedTokens, SharedWords
    from pytest_crossdiff.progress import Phase

AT_ONCE = 2**24
"""Logits of a model that are in memory at once."""
FITTED, STEPS, CLOSE = 256, 20, 1e-3
"""Positions at least by which the temperature is found, steps at most, and the relative change to
stop at: Newton's steps, so the last one leaves far less.
"""
TEMPERATURES = 0.05, 20.0
LEAST_LOGIT = -1e4
"""Below the largest one: an output that a model excludes has a logit of -inf, and 0 times that is
no number.
"""


class Divergences(NamedTuple):
    """At each matched position, arrays of length m.

    kl_m: KL(baseline || candidate) in nats.  tempered_m: the same with the candidate's predictions
    brought to `temperature`.  logp_a, logp_b: log p of the actual token.  top_a, top_b: the most
    likely output, with its probability p_top_a, p_top_b; same_top: whether both have the same text.
    temperature: at which the candidate's predictions are nearest to the baseline's, one number for
    all positions; above 1 where the candidate is the more confident one.
    """

    kl_m: NDArray[np.float64]
    tempered_m: NDArray[np.float64]
    logp_a: NDArray[np.float64]
    logp_b: NDArray[np.float64]
    top_a: NDArray[np.int64]
    top_b: NDArray[np.int64]
    p_top_a: NDArray[np.float64]
    p_top_b: NDArray[np.float64]
    same_top: NDArray[np.bool_]
    temperature: float


class _Distribution(NamedTuple):
    """Logits less their maximum, shape (t, v), and the log of the sum of their exponentials, fp64,
    shape (t,): log p = shifted - log_sum.  The shift keeps the fp32 logits' digits, and the fp64
    sum those of the normaliser, on which a small KL hangs.
    """

    shifted_tv: Tensor
    log_sum_t: Tensor

    @classmethod
    def of(cls, logits_tv: Tensor) -> _Distribution:
        shifted_tv = logits_tv - logits_tv.max(1, keepdim=True).values
        return cls(shifted_tv, shifted_tv.exp().sum(1, dtype=torch.float64).log())

    def log_p(self, column_t: Tensor) -> Tensor:
        """The log p of an output at each position, fp64."""
        return self.shifted_tv.gather(1, column_t[:, None])[:, 0].double() - self.log_sum_t

    def at(self, temperature: float) -> _Distribution:
        """The distribution with its logits divided by `temperature`."""
        return _Distribution.of(self.shifted_tv / temperature)

    def restricted(self, columns_v: Tensor) -> _Distribution:
        """The distribution over some of the outputs alone, normalised over those."""
        return _Distribution.of(self.shifted_tv[:, columns_v])


class _Compared(NamedTuple):
    """Two models and the outputs that they share, as columns of either."""

    a: FinalStates
    b: FinalStates
    columns_a: Tensor
    columns_b: Tensor
    in_order: bool

    @classmethod
    def of(
        cls, a: FinalStates, b: FinalStates, words: SharedWords, device: torch.device
    ) -> _Compared:
        columns_a, columns_b = (torch.from_numpy(c).to(device) for c in words)
        all_a, all_b = len(columns_a) == len(a.words), len(columns_b) == len(b.words)
        in_order = all_a and all_b and bool((columns_a == columns_b).all())
        return cls(a, b, columns_a, columns_b, in_order)

    def wanted(self, p: _Distribution) -> _Distribution:
        """The baseline's distribution, over the shared outputs."""
        return p if self.in_order else p.restricted(self.columns_a)

    def shared(self, q: _Distribution) -> Tensor:
        """The candidate's shifted logits of the shared outputs."""
        return q.shifted_tv if self.in_order else q.shifted_tv[:, self.columns_b]


@torch.inference_mode()
def divergences(
    a: FinalStates, b: FinalStates, matched: MatchedTokens, device: torch.device, bar: Phase
) -> Divergences:
    """Compare the predictions at the matched rows.

    Outputs that only one model has: the baseline's distribution is taken over the shared ones, the
    candidate's over all of its own, so probability that it moves to new outputs counts.
    """
    a, b = _on(a, device), _on(b, device)
    compared = _Compared.of(a, b, matched.words, device)
    size = max(1, AT_ONCE // max(len(a.words), len(b.words)))
    temperature = _temperature(compared, matched, size)
    blocks = []
    for at in range(0, len(matched.rows_a), size):
        rows_a, rows_b = matched.rows_a[at : at + size], matched.rows_b[at : at + size]
        full_p, q = _distribution(a, rows_a), _distribution(b, rows_b)
        p, tempered_q = compared.wanted(full_p), q.at(temperature)
        blocks.append(
            (
                _kl(p, compared.shared(q), q.log_sum_t),
                _kl(p, compared.shared(tempered_q), tempered_q.log_sum_t),
                full_p.log_p(_ids(a, rows_a, device)),
                q.log_p(_ids(b, rows_b, device)),
                full_p.shifted_tv.argmax(1),
                q.shifted_tv.argmax(1),
                (-full_p.log_sum_t).exp(),  # the shifted logit of the most likely one is 0
                (-q.log_sum_t).exp(),
            )
        )
        bar.advance(len(rows_a))
    columns = [torch.cat(column).cpu().numpy() for column in zip(*blocks, strict=True)]
    words_a, words_b = np.array(a.words, dtype=object), np.array(b.words, dtype=object)
    top_a, top_b = columns[4:6]
    same = top_a == top_b if compared.in_order else words_a[top_a] == words_b[top_b]
    return Divergences._make([*columns, np.asarray(same, dtype=bool), temperature])


@torch.inference_mode()
def actual_log_probabilities(
    of: FinalStates, device: torch.device, bar: Phase
) -> NDArray[np.float64]:
    """The log p of each row's actual token, shape (n,)."""
    of = _on(of, device)
    rows = np.arange(len(of.ids_n))
    size = max(1, AT_ONCE // len(of.words))
    found = []
    for at in range(0, len(rows), size):
        block = rows[at : at + size]
        found.append(_distribution(of, block).log_p(_ids(of, block, device)).cpu().numpy())
        bar.advance(len(block))
    return np.concatenate(found)


def _temperature(compared: _Compared, matched: MatchedTokens, size: int) -> float:
    """The temperature of the candidate that makes the mean KL smallest (Guo et al. 2017), on
    positions spread evenly over the text: the minimum of a convex function of 1 / temperature.
    """
    rows = np.arange(0, len(matched.rows_a), -(-len(matched.rows_a) // max(FITTED, size)))
    blocks, wanted = [], 0.0
    for at in range(0, len(rows), size):
        chosen = rows[at : at + size]
        p = compared.wanted(_distribution(compared.a, matched.rows_a[chosen]))
        q = _distribution(compared.b, matched.rows_b[chosen])
        p_tv = (p.shifted_tv - p.log_sum_t[:, None].float()).exp()
        z_tv = q.shifted_tv.clamp_min(LEAST_LOGIT)
        shared_tv = z_tv if compared.in_order else z_tv[:, compared.columns_b]
        wanted += float((p_tv * shared_tv).sum(dtype=torch.float64))
        blocks.append(z_tv)
    low, high = (1 / t for t in reversed(TEMPERATURES))
    inverse = 1.0
    for _ in range(STEPS):
        slope, curvature = -wanted, 0.0
        for z_tv in blocks:
            weight_tv = (inverse * z_tv).softmax(1)
            mean_t = (weight_tv * z_tv).sum(1, dtype=torch.float64)
            square_t = (weight_tv * z_tv.square()).sum(1, dtype=torch.float64)
            slope += float(mean_t.sum())
            curvature += float((square_t - mean_t.square()).sum())
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        step = inverse - slope / curvature if curvature > 0 else inverse
        nearer = step if low < step < high else (low + high) / 2
        if abs(nearer - inverse) < CLOSE * inverse:
            return 1 / nearer
        inverse = nearer
    return 1 / inverse


def _kl(p: _Distribution, shifted_q_tv: Tensor, log_sum_q_t: Tensor) -> Tensor:
    """Σ p log(p / q), fp64, shape (t,).  An output that p excludes adds nothing."""
    difference_tv = torch.where(p.shifted_tv == -torch.inf, 0.0, p.shifted_tv - shifted_q_tv)
    summed_t = (p.shifted_tv.exp() * difference_tv).sum(1, dtype=torch.float64)
    mean_t = summed_t / p.log_sum_t.exp()
    return (mean_t - p.log_sum_t + log_sum_q_t).clamp_min(0.0)  # negative by rounding alone


def _distribution(of: FinalStates, rows: NDArray[np.int64]) -> _Distribution:
    states = of.states_nd[torch.from_numpy(rows)].to(of.head.weight_vd.device)
    return _Distribution.of(of.head.logits(states)[:, : len(of.words)])


def _ids(of: FinalStates, rows: NDArray[np.int64], device: torch.device) -> Tensor:
    return torch.from_numpy(of.ids_n[rows].astype(np.int64)).to(device)


def _on(of: FinalStates, device: torch.device) -> FinalStates:
    head = of.head
    moved = head._replace(
        weight_vd=head.weight_vd.to(device),
        bias_v=None if head.bias_v is None else head.bias_v.to(device),
    )
    return of._replace(head=moved)
