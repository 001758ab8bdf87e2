"""How far two predictions are apart at each position, from both full distributions.

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
    from pytest_crossdiff.engine.metrics.matching import MatchedTokens
    from pytest_crossdiff.progress import Phase

AT_ONCE = 2**24
"""Logits of a model that are in memory at once."""


class Divergences(NamedTuple):
    """At each matched position, arrays of length m.

    kl_m: KL(baseline || candidate) in nats.  logp_a, logp_b: log p of the actual token.  top_a,
    top_b: the most likely output, with its probability p_top_a, p_top_b; same_top: whether both
    have the same text.
    """

    kl_m: NDArray[np.float64]
    logp_a: NDArray[np.float64]
    logp_b: NDArray[np.float64]
    top_a: NDArray[np.int64]
    top_b: NDArray[np.int64]
    p_top_a: NDArray[np.float64]
    p_top_b: NDArray[np.float64]
    same_top: NDArray[np.bool_]


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

    def restricted(self, columns_v: Tensor) -> _Distribution:
        """The distribution over some of the outputs alone, normalised over those."""
        return _Distribution.of(self.shifted_tv[:, columns_v])


@torch.inference_mode()
def divergences(
    a: FinalStates, b: FinalStates, matched: MatchedTokens, device: torch.device, bar: Phase
) -> Divergences:
    """Compare the predictions at the matched rows.

    Outputs that only one model has: the baseline's distribution is taken over the shared ones, the
    candidate's over all of its own, so probability that it moves to new outputs counts.
    """
    a, b = _on(a, device), _on(b, device)
    columns_a, columns_b = (torch.from_numpy(c).to(device) for c in matched.words)
    all_a, all_b = len(columns_a) == len(a.words), len(columns_b) == len(b.words)
    in_order = bool((columns_a == columns_b).all()) and all_a and all_b
    size = max(1, AT_ONCE // max(len(a.words), len(b.words)))
    blocks = []
    for at in range(0, len(matched.rows_a), size):
        rows_a, rows_b = matched.rows_a[at : at + size], matched.rows_b[at : at + size]
        p, q = (_distribution(x, rows) for x, rows in ((a, rows_a), (b, rows_b)))
        full_p, shifted_q = p, q.shifted_tv
        if not in_order:
            p, shifted_q = p.restricted(columns_a), shifted_q[:, columns_b]
        top_a, top_b = full_p.shifted_tv.argmax(1), q.shifted_tv.argmax(1)
        blocks.append(
            (
                _kl(p, shifted_q, q.log_sum_t),
                full_p.log_p(_ids(a, rows_a, device)),
                q.log_p(_ids(b, rows_b, device)),
                top_a,
                top_b,
                (-full_p.log_sum_t).exp(),  # the shifted logit of the most likely one is 0
                (-q.log_sum_t).exp(),
            )
        )
        bar.advance(len(rows_a))
    columns = [torch.cat(column).cpu().numpy() for column in zip(*blocks, strict=True)]
    words_a, words_b = np.array(a.words, dtype=object), np.array(b.words, dtype=object)
    same = columns[3] == columns[4] if in_order else words_a[columns[3]] == words_b[columns[4]]
    return Divergences._make([*columns, np.asarray(same, dtype=bool)])


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
