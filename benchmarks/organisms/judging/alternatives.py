"""What one might use instead of the gate, each as one number: the larger, the more has changed.

All read the same texts as the gate, divided alike, and most of them its activations.

Axes: t tokens, d width, v vocabulary, m features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn.functional import kl_div
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.organisms.judging.gate import TOKENS
from benchmarks.organisms.judging.sae import trained
from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.activations.harvest import Harvest
from pytest_crossdiff.engine.activations.pairs import pair
from pytest_crossdiff.engine.regression.ridge import Folds, design, fit_jointly
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder
    from pytest_crossdiff.engine.plan import Plan

PUBLISHED_CUT = 0.1
"""A feature is exclusive when the other model has less than this share of its decoder norms."""
SAE_FEATURES, SAE_K, SAE_STEPS = 512, 8, 500


class Alternatives(NamedTuple):
    """One number for each way.

    output_kl: mean KL of the predictions, nats a token.  loss: change of the held-out loss, nats.
    accuracy: change of next-token accuracy.  norm_ratio: features that the published cut calls
    exclusive.  norm_extreme: how far the most one-sided living feature is from an even split, 0 to
    0.5.  difference_sae: the largest share of the candidate's variance that one feature of a
    difference-SAE stands for.  probe: share of the candidate's variance that a ridge map from the
    baseline doesn't predict.  cka: 1 - linear CKA.
    """

    output_kl: float
    loss: float
    accuracy: float
    norm_ratio: float
    norm_extreme: float
    difference_sae: float
    probe: float
    cka: float


def alternatives(baseline: Path, candidate: Path, corpus: Path, cache: Path) -> Alternatives:
    """Measure all of them on one pair; the gate's harvests are read from the cache."""
    settings = Settings(
        baseline=str(baseline),
        candidate=str(candidate),
        corpus=str(corpus),
        cache_dir=str(cache),
        tokens=TOKENS,
        architecture="standard",
        seeds=1,
        controls=False,
    )
    outcome = pipeline.run(settings)
    pairs = _pairs(outcome.plan)
    kl, loss, accuracy = _outputs(baseline, candidate, outcome.plan)
    ratio_m = _norm_ratios(pipeline.load_crosscoder(outcome), pairs)
    return Alternatives(
        kl,
        abs(loss),
        abs(accuracy),
        float(((ratio_m < PUBLISHED_CUT) | (ratio_m > 1 - PUBLISHED_CUT)).sum()),
        float((ratio_m - 0.5).abs().max()),
        _difference_sae(pairs),
        _unpredicted(pairs),
        _cka(pairs),
    )


def _pairs(planned: Plan) -> Pairs:
    harvests = [
        Harvest(planned.store.entry("harvest", planned.harvest_keys[side])) for side in SIDES
    ]
    return pair(*harvests, planned.sample.pieces, planned.piece_groups())


@torch.no_grad()
def _outputs(baseline: Path, candidate: Path, planned: Plan) -> tuple[float, float, float]:
    """KL, change of loss and of accuracy on the held-out pieces."""
    tokenizer = AutoTokenizer.from_pretrained(baseline)
    models = [
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        for folder in (baseline, candidate)
    ]
    sums = torch.zeros(4, dtype=torch.float64)
    for piece in planned.sample.pieces:
        if not piece.heldout or piece.text is None:
            continue
        ids = torch.tensor([tokenizer(piece.text).input_ids])
        if ids.shape[1] < 2:
            continue
        p, q = (m(input_ids=ids).logits[0, :-1].log_softmax(-1) for m in models)
        following = ids[0, 1:]
        at = torch.arange(len(following))
        sums += torch.stack(
            [
                kl_div(q, p, log_target=True, reduction="sum"),
                (p[at, following] - q[at, following]).sum(),
                ((p.argmax(-1) == following).float() - (q.argmax(-1) == following).float()).sum(),
                torch.tensor(float(len(following))),
            ]
        ).double()
    kl, loss, accuracy = (sums[:3] / sums[3]).tolist()
    return kl, loss, accuracy


@torch.no_grad()
def _norm_ratios(crosscoder: TrainedCrosscoder, pairs: Pairs) -> Tensor:
    """Candidate's share of the decoder norms of each feature that fires on held-out text."""
    model = crosscoder.model
    fires_m = torch.zeros(model.config.features, dtype=torch.bool)
    for _, x_a, x_b in pairs.blocks(pairs.heldout()):
        fires_m |= (model.encode(x_a, x_b) > 0).any(0)
    a, b = model.dec_a_pa.norm(dim=1), model.dec_b_pb.norm(dim=1)
    return (b / (a + b))[fires_m]


def _difference_sae(pairs: Pairs) -> float:
    """The largest share of the candidate's variance behind one feature of a sparse autoencoder of
    the plain difference of the two models' vectors.
    """
    width = pairs.b.harvest.width
    if pairs.a.harvest.width != width:
        return float("nan")

    def difference(rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        x_a, x_b = pairs.batch(rows)
        # In one unit, not each in its own, so that what is equal cancels.
        return x_b - x_a * (pairs.b.scale.factor / pairs.a.scale.factor), x_b

    training, _ = difference(pairs.training())
    unit = max(training.square().mean().sqrt().item(), 1e-6)
    model = trained(training / unit, SAE_FEATURES, SAE_K, SAE_STEPS, 0)
    with torch.no_grad():
        d_td, x_b = difference(pairs.heldout())
        f_tm = model.encode(d_td / unit) * unit
        power_m = (f_tm - f_tm.mean(0)).square().sum(0) * model.decoder_md.square().sum(1)
        return power_m.max().item() / (x_b - x_b.mean(0)).square().sum().item()


def _unpredicted(pairs: Pairs) -> float:
    """Cross-validated share of the candidate's variance that a ridge map doesn't predict."""
    folds = Folds(pairs.a.harvest.width, pairs.b.harvest.width)
    for block, x_a, x_b in pairs.blocks(pairs.training()):
        folds.add(x_a, x_b, pairs.group_n[block])
    found = fit_jointly(folds.moments, design(folds.moments))
    everything = sum(float(m.yy_p.sum()) for m in folds.moments)
    return found.error / everything


@torch.no_grad()
def _cka(pairs: Pairs) -> float:
    """1 - linear CKA of the two models' vectors on held-out text."""
    x_a, x_b = pairs.batch(pairs.heldout())
    x_a, x_b = (x - x.mean(0) for x in (x_a.double(), x_b.double()))
    cross = (x_a.T @ x_b).square().sum()
    return 1 - (cross / ((x_a.T @ x_a).norm() * (x_b.T @ x_b).norm())).item()
