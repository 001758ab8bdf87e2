"""The maps between two models that tell what one has and the other doesn't predict (METHOD 2).

They are linear.  Where linear maps leave much, the models may have the same concepts in another
layout, of which a linear map tells little; on request a hidden layer tells more, and what it leaves
is nearer to what only one model has (docs/evidence/toy-world.md).

Axes: n training pairs, a baseline width, b candidate width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from pytest_crossdiff.engine.regression.networks import BATCH, HIDDEN, Mlp, fit_mlp
from pytest_crossdiff.engine.regression.ridge import (
    Folds,
    LinearMap,
    fit_map,
    fold_masks,
    squared_error,
    total,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder

LINEAR_MAX_UNMAPPED = 0.2
"""Maps stay linear where linear ones leave at most this share of either's variance. With an eighth
left, of a toy world's 32 planted concepts 30 were found with linear maps and 27 with curved ones;
with a quarter left 30 and 31, with two fifths 20 and 31."""
TRIAL_STEPS, FIT_STEPS = 400, 2_400
"""Steps in which a hidden layer learns at first, and where that helps, of `MOST_EPOCHS` at most. It
learns longer than a probe's, and from more mixtures: the map is read all through training."""
MOST_EPOCHS, MIXTURES = 24, 1_024
MIN_GAIN = 0.02
"""The least share of what a linear map leaves of left-out text that a hidden layer has to explain.
Between MiniLM and its fine-tune it is 0.003, between two architectures 0.06 to 0.1, between toy
models whose concepts lie in another layout 0.3."""
SAMPLE = 8_192
"""Training pairs that the models' variance is estimated from."""


class Fitted(NamedTuple):
    """A map into a model, and the mean square that it leaves of a number."""

    map: LinearMap | Mlp
    mean_square: float


class Maps(NamedTuple):
    """The maps into the baseline and into the candidate, and what linear ones leave."""

    to_a: Fitted
    to_b: Fitted
    linear: tuple[float, float]

    @property
    def units(self) -> int:
        """Of the hidden layer, 0 where the maps are linear."""
        return HIDDEN if isinstance(self.to_a.map, Mlp) else 0


def fit_maps(pairs: Pairs, *, curved: bool = False) -> Maps:
    """The maps fitted on the training documents: linear, or `curved` where linear ones leave much
    and it helps.
    """
    linear = fit_linear(pairs)
    if (
        not curved
        or pairs.same_vocabulary
        or max(unexplained_shares(linear.linear, pairs)) <= LINEAR_MAX_UNMAPPED
    ):
        return linear
    return with_hidden_layer(linear, pairs)


def unexplained_shares(mean_squares: Sequence[float], pairs: Pairs) -> tuple[float, float]:
    """What these mean squares of a number of either model are of its variance."""
    rows = pairs.training()
    sample = pairs.batch(rows[:: -(-len(rows) // SAMPLE)])
    a, b = (
        left * x_nd.shape[1] / float(x_nd.square().sum(1).mean())
        for left, x_nd in zip(mean_squares, sample, strict=True)
    )
    return a, b


@torch.no_grad()
def fit_linear(pairs: Pairs) -> Maps:
    """Linear maps, whether or not the models are related."""
    if pairs.same_vocabulary:
        return _scaled_identity_maps(pairs)
    a, b = pairs.a.harvest.width, pairs.b.harvest.width
    forward, backward = Folds(a, b), Folds(b, a)
    for block, x_a, x_b in pairs.blocks(pairs.training()):
        forward.add(x_a, x_b, pairs.group_n[block])
        backward.add(x_b, x_a, pairs.group_n[block])
    to_a, to_b = (_fitted(folds, len(pairs.training())) for folds in (backward, forward))
    return Maps(to_a, to_b, (to_a.mean_square, to_b.mean_square))


def _scaled_identity_maps(pairs: Pairs) -> Maps:
    """The maps between two models' predictions in the same words: each word stays itself.

    A map that is fitted would learn which word one model says for another, and nothing would be
    left of a word that was swapped.
    """
    width = pairs.a.harvest.width
    aa = bb = ab = 0.0
    for _, x_a, x_b in pairs.blocks(pairs.training()):
        aa += float(x_a.square().sum(dtype=torch.float64))
        bb += float(x_b.square().sum(dtype=torch.float64))
        ab += float((x_a * x_b).sum(dtype=torch.float64))

    def fitted(xx: float, yy: float) -> Fitted:
        left = (yy - ab**2 / xx) / (len(pairs.training()) * width)
        return Fitted(LinearMap(torch.eye(width) * (ab / xx), torch.zeros(width)), max(left, 1e-6))

    to_a, to_b = fitted(bb, aa), fitted(aa, bb)
    return Maps(to_a, to_b, (to_a.mean_square, to_b.mean_square))


def _fitted(folds: Folds, count: int) -> Fitted:
    linear = fit_map(folds.moments)
    left = squared_error(linear, total(folds.moments)) / (count * len(linear.bias_p))
    # Equal models leave only rounding, which may bring the sum below 0.
    return Fitted(linear, max(left, 1e-6))


@torch.no_grad()
def with_hidden_layer(linear: Maps, pairs: Pairs) -> Maps:
    """The same, with what a hidden layer adds to them, or as they are where that is little."""
    rows, _ = pairs.thinned()
    x_na, x_nb = (torch.cat(x) for x in zip(*(x for _, *x in pairs.blocks(rows)), strict=True))
    left_out_n = fold_masks(x_na, pairs.group_n[rows])[0]

    def fitted(steps: int) -> list[tuple[Fitted, float]]:
        return [
            fit_nonlinear_map(of.map, x, y, left_out_n, steps)
            for of, x, y in zip(linear[:2], (x_nb, x_na), (x_na, x_nb), strict=True)
        ]

    if max(helped for _, helped in fitted(TRIAL_STEPS)) < MIN_GAIN:
        return linear
    (to_a, _), (to_b, _) = fitted(FIT_STEPS)
    return Maps(to_a, to_b, linear.linear)


@torch.no_grad()
def fit_nonlinear_map(
    linear: LinearMap | Mlp, x_nd: Tensor, y_no: Tensor, left_out_n: Tensor, steps: int = FIT_STEPS
) -> tuple[Fitted, float]:
    """A linear map from x to y, with what a hidden layer learns to add to it in so many steps, as
    far as the pairs in `left_out_n` confirm it; and the share that this is of what it left there.
    """
    assert isinstance(linear, LinearMap)
    epoch = -(-max(1, int((~left_out_n).sum())) // BATCH)
    epochs = min(MOST_EPOCHS, -(-steps // epoch))
    made = fit_mlp(x_nd, y_no, left_out_n, linear, epochs=epochs, mixtures=MIXTURES)
    # where no document was left out, it learns nothing, and all of them tell
    judged = left_out_n if left_out_n.any() else ~left_out_n
    x_td, y_to = x_nd[judged], y_no[judged]
    before, after = (float((y_to - of(x_td)).square().sum()) for of in (linear, made))
    return Fitted(made, max(after / y_to.numel(), 1e-6)), 1.0 - after / max(before, 1e-12)


@torch.no_grad()
def set_maps(model: Crosscoder, maps: Maps) -> None:
    """Put the maps into `model`, with the scale that brings each innovation to unit variance."""
    both = (model.to_a, maps.to_a), (model.to_b, maps.to_b)
    for i, (into, fitted) in enumerate(both):
        into.set(fitted.map)
        model.innovation_scale[i] = fitted.mean_square**0.5
        model.linear_scale[i] = maps.linear[i] ** 0.5


@torch.no_grad()
def copy_maps(model: Crosscoder, maps_from: Crosscoder) -> None:
    """Give `model` the maps of a dictionary of the same pairs."""
    maps = {k: v for k, v in maps_from.named_buffers() if k != "threshold"}
    model.load_state_dict(maps, strict=False)
