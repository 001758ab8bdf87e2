"""What a difference does to its model's output (METHOD 4): taken away, and added.

Its contribution to the residual stream is c = Σ f_i d_i over its features, without any bias.

Axes: n held-out pairs, q features of a difference, k places in a text, d model width, v vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pytest_crossdiff.engine.activations.passages import Passages
from pytest_crossdiff.engine.explanation.intervention import record, replay
from pytest_crossdiff.engine.explanation.steering import generate_steered, promoted, readable_tokens
from pytest_crossdiff.engine.models.reading.predictions import Predictions, token_signs
from pytest_crossdiff.errors import ActivationError
from pytest_crossdiff.results.difference import Effect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations.pairs import Scale, SideActivations
    from pytest_crossdiff.engine.activations.passages import Batch
    from pytest_crossdiff.engine.corpus.sampling import Piece
    from pytest_crossdiff.engine.explanation.intervention import Recording
    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.settings.default_layers import Head

PIECES = 8
"""Pieces of text in which a difference is taken away, at most."""
TOKEN_BUDGET_SHARE = 0.06
"""Tokens read here, as a share of those harvested; a pass that runs again from the hook point
counts for as much of its blocks as it runs."""
PEAKS, STEERING_FACTOR = 5, 2.0
"""A difference is added as it is, on average, at so many of its strongest places, so many times."""
AT_ONCE = 64
"""Places whose distributions are compared at once."""


class DifferenceFeatures(NamedTuple):
    """A difference in its owner: its features' activations, shape (n, q), and their directions,
    shape (q, d), in normalised units (see `activations.Scale`).
    """

    f_nq: NDArray[np.float32]
    directions_qd: Tensor

    @property
    def fires_n(self) -> NDArray[np.bool_]:
        return np.asarray((self.f_nq > 0).any(1))

    @property
    def size_n(self) -> NDArray[np.float32]:
        """Σ f_i ‖d_i‖ of each pair, shape (n,)."""
        lengths_q = self.directions_qd.float().norm(dim=1).cpu().numpy()
        return np.asarray(self.f_nq @ lengths_q, dtype=np.float32)


class MeasuredEffect(NamedTuple):
    """The effect of a difference, None where it wasn't measured, and the tokens that its direction
    makes likelier and less likely.
    """

    effect: Effect | None
    promoted: tuple[str, ...]
    suppressed: tuple[str, ...]


def measure(
    loaded: LoadedModel,
    owner: SideActivations,
    heldout_n: NDArray[np.int64],
    pieces: Sequence[Piece],
    differences: Sequence[DifferenceFeatures],
    *,
    chat_template: str,
    label: str,
    progress: Progress,
) -> list[MeasuredEffect]:
    """The effects of `differences` of one model, the strongest first, on held-out text.

    loaded: that model, with its head where it has one.  owner, heldout_n: its part of the pairs and
    which of them (n) the activations belong to.  label: of the model, for the
    progress bar.  Raises `ActivationError` on output that is NaN or infinite.
    """
    rows_n = owner.rows_n[heldout_n]
    text = Passages(loaded, pieces, owner, rows_n, chat_template)
    fires_dn = [difference.fires_n for difference in differences]
    share = 1 - (loaded.layer + 1) / loaded.layers  # of a pass that runs again
    plan = choose(
        owner.harvest.piece_n[rows_n],
        [fires_n & text.readable_n for fires_n in fires_dn],
        text.order,
        budget=TOKEN_BUDGET_SHARE * len(owner.harvest),
        share=share,
    )
    sums = [_ChangeSums() for _ in differences]
    batches = [
        (batch, sorted({number for piece in batch.pieces for number in plan[piece]}))
        for batch in text.batches(plan)
    ]
    total = sum(len(numbers) for _, numbers in batches)
    with progress.phase(f"effects in the {label}", total, "text") as bar:
        for batch, numbers in batches:
            recorded = record(loaded, batch.ids_bp, batch.mask_bp)
            for number in numbers:
                difference_features = differences[number]
                for change, fires_k in _ablate(
                    difference_features, loaded, recorded, batch, owner.scale
                ):
                    sums[number].add(change, fires_k)
                bar.advance()
    peaks = [_peak(difference) / owner.scale.factor for difference in differences]
    prompt, plain, written = generate_steered(
        loaded, text, [STEERING_FACTOR * peak for peak in peaks]
    )
    return [
        MeasuredEffect(of.effect(loaded, prompt, plain, steered), *likely)
        for of, steered, likely in zip(sums, written, promoted(loaded, peaks), strict=True)
    ]


def prediction_effects(
    words: Sequence[str], owner: SideActivations, differences: Sequence[DifferenceFeatures]
) -> list[MeasuredEffect]:
    """Of differences of what a model predicts: which `words` each makes likelier and less likely.

    There is nothing behind them that they could have an effect on.
    """
    predictions = Predictions(words, token_signs(words))
    peaks = [_peak(difference) / owner.scale.factor for difference in differences]
    return [
        MeasuredEffect(
            None, predictions.promoted_tokens(peak_d), predictions.promoted_tokens(-peak_d)
        )
        for peak_d in peaks
    ]


def choose(
    piece_n: NDArray[np.int32],
    fires_dn: Sequence[NDArray[np.bool_]],
    order: NDArray[np.int32],
    *,
    budget: float,
    share: float,
) -> dict[int, list[int]]:
    """In which pieces of text which differences are taken away.

    Each difference in turn, the strongest first, gets a piece in which it fires, until it has
    `PIECES` or the budget of tokens is spent: of the pieces in `order` the first that serves most
    of the others, too.  share: what a pass costs that runs again from the hook point.
    """
    lengths = dict(zip(*np.unique(piece_n, return_counts=True), strict=True))
    in_order = [np.isin(order, piece_n[fires_n]) for fires_n in fires_dn]
    has = [0] * len(fires_dn)
    plan: dict[int, list[int]] = {}
    for turn in range(1, PIECES + 1):
        for number, within in enumerate(in_order):
            free = within & ~np.isin(order, list(plan))
            if has[number] >= turn or not free.any():
                continue
            wanting = [i for i in range(len(has)) if has[i] < turn]
            at = int((np.sum([in_order[i] for i in wanting], axis=0) * free).argmax())
            chosen = [i for i in wanting if in_order[i][at]]
            budget -= lengths[order[at]] * (1 + share * len(chosen))
            if budget < 0 and plan:
                return plan
            plan[int(order[at])] = chosen
            for i in chosen:
                has[i] += 1
    return plan


class _OutputChange(NamedTuple):
    """How a model's output changes when a difference is taken away: how far at each place, and by
    how much each token's probability falls, summed over the places, each for as much as is taken
    away there; None without a head.
    """

    divergence_k: Tensor
    probability_drop_v: Tensor | None


def _ablate(
    difference_features: DifferenceFeatures,
    loaded: LoadedModel,
    recorded: Recording,
    batch: Batch,
    scale: Scale,
) -> Iterator[tuple[_OutputChange, NDArray[np.bool_]]]:
    """For each piece of a batch in which a difference fires: the change when it is taken away, and
    at which of the places it fires.
    """
    removed = [
        _contribution(difference_features, pairs_k) / scale.factor for _, pairs_k in batch.places
    ]
    change_bpd = torch.zeros(*batch.ids_bp.shape, loaded.width)
    for row, (at_k, _) in enumerate(batch.places):
        change_bpd[row, at_k] = -removed[row]
    out_bpx = replay(loaded, recorded, change_bpd)
    for row, (at_k, pairs_k) in enumerate(batch.places):
        fires_k = difference_features.fires_n[pairs_k]
        if fires_k.any():
            plain_kx, weight_k = recorded.out[row, at_k], removed[row].norm(dim=1)
            yield _compare(plain_kx, out_bpx[row, at_k], weight_k, loaded.head), fires_k


def _contribution(difference_features: DifferenceFeatures, pairs_k: NDArray[np.int64]) -> Tensor:
    """Σ f_i d_i at the given pairs, shape (k, d)."""
    return (
        torch.from_numpy(difference_features.f_nq[pairs_k])
        @ difference_features.directions_qd.float().cpu()
    )


def _peak(difference_features: DifferenceFeatures) -> Tensor:
    """The mean contribution at the strongest places, shape (d)."""
    d_qd = difference_features.directions_qd.float().cpu().numpy()
    squares_n = ((difference_features.f_nq @ (d_qd @ d_qd.T)) * difference_features.f_nq).sum(1)
    return _contribution(difference_features, np.argsort(-squares_n, kind="stable")[:PEAKS]).mean(0)


class _ChangeSums:
    """Running sums of a change, where a difference fires and elsewhere."""

    def __init__(self) -> None:
        self._sum, self._count = [0.0, 0.0], [0, 0]
        self._probability_drop_v: Tensor | None = None

    def add(self, change: _OutputChange, fires_k: NDArray[np.bool_]) -> None:
        where = torch.from_numpy(fires_k)
        for i, part in enumerate((change.divergence_k[where], change.divergence_k[~where])):
            self._sum[i] += float(part.sum(dtype=torch.float64))
            self._count[i] += len(part)
        if change.probability_drop_v is not None:
            before = 0.0 if self._probability_drop_v is None else self._probability_drop_v
            self._probability_drop_v = before + change.probability_drop_v

    def effect(self, loaded: LoadedModel, prompt: str, plain: str, steered: str) -> Effect | None:
        if not self._count[0]:
            return None
        firing, elsewhere = (
            total / max(1, count) for total, count in zip(self._sum, self._count, strict=True)
        )
        if not np.isfinite(firing + elsewhere):
            raise ActivationError("the model's output is NaN or infinite without a difference")
        return Effect(
            measure="kl" if loaded.head else "output",
            firing=firing,
            elsewhere=elsewhere,
            firing_tokens=self._count[0],
            elsewhere_tokens=self._count[1],
            raised=()
            if self._probability_drop_v is None
            else readable_tokens(loaded, self._probability_drop_v),
            lowered=()
            if self._probability_drop_v is None
            else readable_tokens(loaded, -self._probability_drop_v),
            prompt=prompt,
            plain=plain,
            steered=steered,
        )


def _compare(plain_kx: Tensor, changed_kx: Tensor, weight_k: Tensor, head: Head) -> _OutputChange:
    """The change from `plain_kx` to `changed_kx`, on the CPU.

    With a head x are logits, and its size is KL(plain ‖ changed) in nats; else it is
    ‖changed - plain‖ / ‖plain‖.
    """
    divergences: list[Tensor] = []
    probability_drop_v = torch.zeros(plain_kx.shape[-1]) if head else None
    for at in range(0, len(plain_kx), AT_ONCE):
        plain, changed = (x[at : at + AT_ONCE].float() for x in (plain_kx, changed_kx))
        if probability_drop_v is None:
            divergences.append((changed - plain).norm(dim=-1) / plain.norm(dim=-1).clamp(min=1e-30))
            continue
        log_p, log_q = plain.log_softmax(-1), changed.log_softmax(-1)
        p, q = log_p.exp(), log_q.exp()
        divergences.append(torch.where(p == 0.0, 0.0, p * (log_p - log_q)).sum(-1).clamp(min=0.0))
        probability_drop_v += (weight_k[at : at + AT_ONCE].to(p.device) @ (p - q)).cpu()
    return _OutputChange(torch.cat(divergences).cpu(), probability_drop_v)
