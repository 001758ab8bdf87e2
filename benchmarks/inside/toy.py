"""Worlds with known answers for the readability and the covariance measure: models that were made
apart, without a dictionary in between, so that a criterion that fails here fails for itself.

Every model writes the concepts that it has, each in a direction of its own.  Some concepts are
encoded differently: a model writes them as they are, or multiplied by the sign of a carrier that
it writes too, so that the information is there but no linear probe reads it.  One concept is
planted: the candidate alone has it.  One is lost: all have it but the baseline.

Axes: n places, c concepts, d width, m models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.inside.covariance import covariance_z, expanded
from benchmarks.inside.readability import Readability, Reader, auc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from benchmarks.records import Record

SHARED, HIDDEN, PLANTED, LOST = 60, 20, 4, 4
MODELS, PLACES, DOCUMENTS, WIDTH = 10, 8_000, 100, 96
"""Baseline, candidate, eight references; fewer concepts than dimensions, so that what a probe
cannot read is not there, or not there linearly."""
DENSITY, NOISE, SAID_NOISE = 0.08, 0.05, 0.5
CHANCE_HIDDEN = 0.5
"""Of a concept that is encoded differently: that a model multiplies it by a carrier."""
LEVEL_Z = 1.6449
"""One-sided 5 %."""
KINDS = ("shared", "encoded differently", "planted", "lost")


@dataclass(frozen=True)
class World:
    """The concepts' activations, each model's vectors, and what each model says."""

    activation_nc: Tensor
    vectors_mnd: list[Tensor]
    said_mn: list[Tensor]
    group_n: NDArray[np.int32]
    held_n: NDArray[np.bool_]
    hidden_mc: NDArray[np.bool_]


def make(seed: int, places: int = PLACES) -> World:
    """Draw a world."""
    g = torch.Generator().manual_seed(seed)
    total = SHARED + HIDDEN + PLANTED + LOST
    kind_c = kinds()
    fires_nc = torch.rand(places, total, generator=g) < DENSITY
    f_nc = fires_nc * (0.5 + torch.rand(places, total, generator=g))
    sign_nc = (torch.rand(places, HIDDEN, generator=g) < 0.5).float() * 2 - 1
    differs_c = torch.from_numpy(kind_c == KINDS.index("encoded differently"))
    hidden_mc = torch.zeros(MODELS, total, dtype=torch.bool)
    hidden_mc[:, differs_c] = torch.rand(MODELS, HIDDEN, generator=g) < CHANCE_HIDDEN
    hidden_mc[1] = False  # the candidate writes its concepts as they are
    weight_c = 0.5 + torch.rand(total, generator=g)
    vectors, said = [], []
    for model in range(MODELS):
        has_c = torch.ones(total)
        has_c[kind_c == KINDS.index("planted")] = float(model == 1)
        has_c[kind_c == KINDS.index("lost")] = float(model != 0)
        written_nc = f_nc * has_c
        carried_n = hidden_mc[model][differs_c]
        written_nc[:, differs_c] *= torch.where(carried_n, sign_nc, torch.ones(()))
        carriers_nc = sign_nc * carried_n
        directions = torch.randn(total + HIDDEN, WIDTH, generator=g) / WIDTH**0.5
        x_nd = torch.cat([written_nc, carriers_nc], 1) @ directions
        vectors.append(x_nd + NOISE * torch.randn(places, WIDTH, generator=g))
        said.append((f_nc * has_c) @ weight_c + SAID_NOISE * torch.randn(places, generator=g))
    group_n = (np.arange(places) * DOCUMENTS // places).astype(np.int32)
    return World(f_nc, vectors, said, group_n, group_n % 10 < 3, hidden_mc.numpy())


def kinds() -> NDArray[np.int64]:
    """The kind of each concept, an index into `KINDS`."""
    return np.repeat(np.arange(len(KINDS)), (SHARED, HIDDEN, PLANTED, LOST))


def measured(seeds: int, places: int = PLACES) -> Iterator[Record]:
    """For each world and each concept that the baseline does not read linearly: g, how little the
    references read it, and the covariance measure with regressions that are linear, that have
    random hidden units, and that have among their inputs what the baseline encodes differently.
    """
    for seed in range(seeds):
        world, kind_c = make(seed, places), kinds()
        f_nc = world.activation_nc
        readers = [Reader(x_nd, world.group_n, world.held_n) for x_nd in world.vectors_mnd]
        r2_mc = np.stack([reader.r2(f_nc) for reader in readers])
        read = Readability(r2_mc[1], r2_mc[0], r2_mc[2:])
        curved = Reader(expanded(world.vectors_mnd[0]), world.group_n, world.held_n)
        known_nc = torch.cat([world.vectors_mnd[0], f_nc[:, kind_c == 1]], 1)
        exact = Reader(known_nc, world.group_n, world.held_n)
        z_kc = [
            covariance_z(reader, f_nc, world.said_mn[1], world.group_n, world.held_n)
            for reader in (readers[0], curved, exact)
        ]
        for c in np.flatnonzero(1 - r2_mc[0].clip(0) / r2_mc[1] > 0.5):
            yield {
                "seed": seed,
                "kind": KINDS[kind_c[c]],
                "gap": round(float(read.gap_p[c]), 3),
                "unread": round(float(read.unread_p[c]), 3),
                "curved": round(float(curved.r2(f_nc[:, [c]])[0]), 3),
                "z_linear": round(float(z_kc[0][c]), 2),
                "z_curved": round(float(z_kc[1][c]), 2),
                "z_exact": round(float(z_kc[2][c]), 2),
            }


def summary(records: list[Record]) -> Iterator[Record]:
    """Each kind: quartiles of g and of the share that no reference reads, and how often the
    covariance measure rejects; and how well each criterion tells planted concepts from others.
    """
    for kind in dict.fromkeys(r["kind"] for r in records):
        of = [r for r in records if r["kind"] == kind]
        yield {
            "kind": kind,
            "concepts": len(of),
            "gap": round(float(np.median([r["gap"] for r in of])), 2),
            "unread": round(float(np.median([r["unread"] for r in of])), 2),
            **{
                f"rejected_{how}": round(float(np.mean([r[f"z_{how}"] > LEVEL_Z for r in of])), 2)
                for how in ("linear", "curved", "exact")
            },
        }
    wanted = [r for r in records if r["kind"] in ("planted", "encoded differently")]
    planted = np.array([r["kind"] == "planted" for r in wanted])
    for name, sign in (
        ("gap", -1),
        ("unread", 1),
        ("z_linear", 1),
        ("z_curved", 1),
        ("z_exact", 1),
    ):
        score = sign * np.array([r[name] for r in wanted])
        yield {"criterion": name, "auc": round(auc(score, planted), 3)}
