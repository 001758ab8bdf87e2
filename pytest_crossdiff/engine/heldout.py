"""The held-out documents: what the features do there that one model may lack, and how well probes
read them from either model (METHOD 3).

Axes: n held-out pairs, t pairs of a block, m features, p candidates of one dictionary, q those of
all dictionaries, one dictionary after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pytest_crossdiff.engine import clusters
from pytest_crossdiff.engine.exclusivity import MIN_DOCUMENTS, Tally, sampled
from pytest_crossdiff.engine.learning import errors_of
from pytest_crossdiff.engine.probes import Probe, with_networks
from pytest_crossdiff.engine.rewriting import Writing
from pytest_crossdiff.engine.ridge import LinearMap, in_folds
from pytest_crossdiff.engine.strength import Ablation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.activations import Pairs
    from pytest_crossdiff.engine.crosscoder import Crosscoder
    from pytest_crossdiff.engine.exclusivity import Screen, Sums
    from pytest_crossdiff.options import Settings

WEAK = 0.5
"""A feature weaker than this share of the least strength of a difference isn't tested: it would
take several of its kind to be counted."""


class Candidates(NamedTuple):
    """The features of one dictionary that may be a difference.

    f_np: their held-out activations.  strength_p: of each by itself.  alone_p: whether ridge probes
    find it in one model alone, on training text.  partner_p: of these, the place of one of the
    other model that fires with it, or -1.  written_p: whether it may be rewritten (`rewriting.py`).
    open_p: whether nothing but the probes can rule it out.
    """

    index_p: NDArray[np.int64]
    own_is_b_p: NDArray[np.bool_]
    f_np: NDArray[np.float32]
    ablation: Ablation
    strength_p: NDArray[np.float64]
    alone_p: NDArray[np.bool_]
    partner_p: NDArray[np.int64]
    written_p: NDArray[np.bool_]
    open_p: NDArray[np.bool_]


class Heldout(NamedTuple):
    """Candidates and what probes read of them: other_np what the other model predicts, sums what
    either R² is made from; norm_p is the length of their directions in their own model.
    """

    index_p: NDArray[np.int64]
    own_is_b_p: NDArray[np.bool_]
    f_np: NDArray[np.float32]
    ablation: Ablation
    strength_p: NDArray[np.float64]
    alone_p: NDArray[np.bool_]
    partner_p: NDArray[np.int64]
    written_p: NDArray[np.bool_]
    open_p: NDArray[np.bool_]
    norm_p: NDArray[np.float64]
    other_np: NDArray[np.float32]
    sums: Sums


@torch.no_grad()
def measure(
    models: Sequence[Crosscoder],
    pairs: Pairs,
    screens: Sequence[Screen],
    settings: Settings,
    device: torch.device,
    *,
    rewritten: bool = False,
) -> list[Heldout]:
    """Choose each dictionary's features whose exclusivity on training text is above the setting's,
    and pass over the held-out pairs with them.

    rewritten: choose those of the exclusive parts, too, that may be rewritten.
    """
    found = [
        _candidates(*of, pairs, settings, device, rewritten=rewritten)
        for of in zip(models, screens, strict=True)
    ]
    probes = _probes(found, screens, pairs, device, network=settings.probe == "mlp")
    sums, other_nq = _read(found, probes, pairs, device)
    made, start = [], 0
    for c in found:
        part = slice(start, start + len(c.index_p))
        norm_p = c.ablation.direction_norms()
        made.append(Heldout(*c, norm_p, other_nq[:, part], sums.of(part)))
        start = part.stop
    return made


def _candidates(
    model: Crosscoder,
    screened: Screen,
    pairs: Pairs,
    settings: Settings,
    device: torch.device,
    *,
    rewritten: bool,
) -> Candidates:
    own_is_b_m = model.owner_is_candidate().cpu().numpy()
    alone_m = screened.exclusivity(own_is_b_m) > settings.exclusivity
    part_m = np.full(len(alone_m), fill_value=rewritten)
    part_m[model.config.shared_slice] = False
    index_p = np.flatnonzero(alone_m | part_m)
    chosen = torch.from_numpy(index_p).to(device)
    owner_p = torch.from_numpy(own_is_b_m[index_p]).to(device)
    ablation, writing, kept = Ablation(model, chosen, owner_p), Writing(model), []
    for _, x_a, x_b in pairs.blocks(pairs.heldout(), device):
        x = model.inputs(x_a, x_b)
        on = model.active(x)
        f_tp = on.columns(chosen)
        ablation.add(f_tp, x, errors_of(model, x, on))
        if rewritten:
            writing.add(on, x)
        kept.append(f_tp.cpu())
    f_np = torch.cat(kept).numpy()
    strength_p = ablation.strengths(own_is_b_m[index_p])
    unmapped_p = writing.unmapped()[index_p]
    written_p = part_m[index_p] & (unmapped_p > settings.exclusivity)
    written_p &= strength_p > WEAK * settings.min_strength
    worth_p = np.flatnonzero(alone_m[index_p] | written_p)
    index_p, strength_p, written_p = index_p[worth_p], strength_p[worth_p], written_p[worth_p]
    f_np, own_is_b_p, alone_p = f_np[:, worth_p], own_is_b_m[index_p], alone_m[index_p]
    partner_p = clusters.duplicates(correlation(f_np), own_is_b_p, alone_p)
    documents_p = _documents(f_np, pairs.group_n[pairs.heldout()])
    enough_p = (documents_p >= MIN_DOCUMENTS) & (strength_p > WEAK * settings.min_strength)
    return Candidates(
        index_p,
        own_is_b_p,
        f_np,
        ablation.only(worth_p),
        strength_p,
        alone_p,
        partner_p,
        written_p,
        enough_p & (alone_p & (partner_p < 0) | written_p),
    )


def _documents(f_np: NDArray[np.float32], group_n: NDArray[np.int32]) -> NDArray[np.int64]:
    """In how many documents each feature fires."""
    at_n, of_p = np.nonzero(f_np)
    both = np.unique(of_p.astype(np.int64) << 32 | group_n[at_n])
    return np.bincount(both >> 32, minlength=f_np.shape[1])


def _probes(
    found: Sequence[Candidates],
    screens: Sequence[Screen],
    pairs: Pairs,
    device: torch.device,
    *,
    network: bool,
) -> tuple[Probe, Probe]:
    """What reads the candidates of all dictionaries from the baseline and from the candidate."""
    linear = [
        LinearMap(
            torch.cat([of.weight_dp[:, c.index_p] for of, c in zip(maps, found, strict=True)], 1),
            torch.cat([of.bias_p[c.index_p] for of, c in zip(maps, found, strict=True)]),
        )
        for maps in ([s.from_a for s in screens], [s.from_b for s in screens])
    ]
    wanted = torch.from_numpy(np.flatnonzero(np.concatenate([c.open_p for c in found]))).to(device)
    if not network or not len(wanted):
        return Probe(linear[0], []), Probe(linear[1], [])
    open_m = [torch.from_numpy(c.index_p[c.open_p]).to(device) for c in found]
    y_nq = torch.cat([s.on.columns(of) for s, of in zip(screens, open_m, strict=True)], 1)
    rows, _ = sampled(pairs)
    blocks = [x for _, *x in pairs.blocks(rows, device)]
    left_out_n = in_folds(y_nq, pairs.group_n[rows])[0]
    with torch.enable_grad():
        a, b = (
            with_networks(of, wanted, torch.cat(x), y_nq, left_out_n)
            for of, x in zip(linear, zip(*blocks, strict=True), strict=True)
        )
    return a, b


def _read(
    found: Sequence[Candidates], probes: tuple[Probe, Probe], pairs: Pairs, device: torch.device
) -> tuple[Sums, NDArray[np.float32]]:
    """Pass over the held-out pairs with the probes; and what the other model predicts."""
    heldout = pairs.heldout()
    groups, group_n = np.unique(pairs.group_n[heldout], return_inverse=True)
    own_is_b_q = torch.from_numpy(np.concatenate([c.own_is_b_p for c in found])).to(device)
    tally, other, done = Tally(len(groups), len(own_is_b_q)), [], 0
    for _, x_a, x_b in pairs.blocks(heldout, device):
        part = slice(done, done + len(x_a))
        f_tq = torch.cat([torch.from_numpy(c.f_np[part]) for c in found], 1).to(device)
        from_a, from_b = probes[0](x_a), probes[1](x_b)
        tally.add(torch.from_numpy(group_n[part]), f_tq, from_a, from_b)
        other.append(torch.where(own_is_b_q, from_a, from_b).cpu())
        done = part.stop
    return tally.sums(), torch.cat(other).numpy()


def correlation(f_np: NDArray[np.float32]) -> NDArray[np.float64]:
    """Correlation of activations over the pairs, shape (p, p); 0 for a feature that never fires."""
    centred = f_np - f_np.mean(0)
    deviation = np.maximum(np.linalg.norm(centred, axis=0), 1e-12)
    return np.asarray((centred.T @ centred) / np.outer(deviation, deviation), dtype=np.float64)
