"""One set: a baseline, eight references, and fine-tunes of other bases; every model's features read
by every other model.

Axes: n places, p features, m models.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.inside import ablating
from benchmarks.inside.covariance import covariance_z, expanded
from benchmarks.inside.dictionary import found
from benchmarks.inside.places import of_plant, places_of
from benchmarks.inside.readability import Reader
from pytest_crossdiff.engine.population.judging.ability import residuals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from benchmarks.inside.activations import World
    from benchmarks.population.fine_tunes import FineTune
    from benchmarks.records import Record

REFERENCES = 8
BLOCK = 1
"""The last of two: behind the first, hardly anything of a plant shows."""
ORACLE_DENSITY = 2.0
"""An oracle fires on so many times as many places as the plant has."""


@dataclass(frozen=True)
class Choice:
    """Which models a set is made of."""

    baseline: str
    references: tuple[str, ...]
    tuned: tuple[FineTune, ...]


def choices(world: World, sets: int) -> Iterator[Choice]:
    """Baselines and references drawn by chance; the fine-tunes are those of all other bases."""
    draw = random.Random(f"{world.half} inside")
    for baseline in draw.sample(world.bases, sets):
        others = [base for base in world.bases if base != baseline]
        references = draw.sample(others, REFERENCES)
        tuned = [t for t in world.tuned if t.base not in (baseline, *references)]
        yield Choice(baseline.name, tuple(r.name for r in references), tuple(tuned))


@dataclass
class Model:
    """One model's features as the set needs them; kind: of each, dictionary or oracle."""

    name: str
    f_np: Tensor
    oracle_p: NDArray[np.bool_]
    r2_mp: dict[str, NDArray[np.float64]]
    z_p: NDArray[np.float64] | None = None
    rank_p: NDArray[np.float64] | None = None


def measure(world: World, choice: Choice) -> Iterator[Record]:
    """A record for each feature of each reference and fine-tune."""
    models = [_features(world, choice, name) for name in choice.references]
    models += [_features(world, choice, tuned.name, tuned) for tuned in choice.tuned]
    _read_by_all(world, choice, models)
    _test_covariance(world, choice, models)
    plants = {t.plant.name: t.plant for t in world.tuned if t.plant is not None}
    at = {name: places_of(plant, world.places) for name, plant in plants.items()}
    for model in models:
        tuned = next((t for t in choice.tuned if t.name == model.name), None)
        on = {name: of_plant(model.f_np, at_n) for name, at_n in at.items()}
        for p in range(model.f_np.shape[1]):
            yield {
                "baseline": choice.baseline,
                "model": model.name,
                "plant": tuned.plant.name if tuned and tuned.plant else "",
                "kind": (tuned.plant.kind if tuned.plant else "benign") if tuned else "reference",
                "oracle": bool(model.oracle_p[p]),
                "on": [name for name, on_p in on.items() if on_p[p]],
                "fires": round(float((model.f_np[:, p] > 0).float().mean()), 5),
                "r2": {n: round(float(r2_p[p]), 4) for n, r2_p in model.r2_mp.items()},
                "z": None if model.z_p is None else round(float(model.z_p[p]), 2),
                "rank": None if model.rank_p is None else _number(model.rank_p[p]),
            }


def _number(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None


def _features(world: World, choice: Choice, name: str, tuned: FineTune | None = None) -> Model:
    pairs = world.pair(choice.baseline, name, BLOCK)
    of = found(pairs)
    oracles_np = torch.zeros(len(pairs.group_n), 0)
    if tuned is not None:
        plants = (
            [tuned.plant]
            if tuned.plant
            else [t.plant for t in {t.plant.name: t for t in world.tuned if t.plant}.values()]
        )
        oracles_np = torch.stack(
            [oracle(world, tuned, places_of(plant, world.places)) for plant in plants if plant], 1
        )
    rank_p = None
    if tuned is not None:
        own, shared = (
            ablating.effects(world, name, BLOCK, features) for features in (of.exclusive, of.shared)
        )
        rank_p = np.append(
            ablating.shares_above(of.exclusive, own, of.shared, shared),
            np.full(oracles_np.shape[1], np.nan),
        )
    f_np = torch.cat([of.exclusive.f_np, oracles_np], 1)
    oracle_p = np.arange(f_np.shape[1]) >= of.exclusive.f_np.shape[1]
    print(name, f_np.shape[1], "features", flush=True)
    return Model(name, f_np, oracle_p, {}, rank_p=rank_p)


def oracle(world: World, tuned: FineTune, at_n: NDArray[np.bool_]) -> Tensor:
    """What a perfect dictionary would find: how far the fine-tune's vectors lie in the direction in
    which the fine-tune moved its base at these places (of the training texts), shape (n,).
    """
    after, before = (world.vectors(name, BLOCK) for name in (tuned.name, tuned.base.name))
    moved_nd = after - before
    training = torch.from_numpy(at_n & ~world.places.held_n)
    direction_d = moved_nd[training].mean(0) - moved_nd.mean(0)
    along_n = after @ (direction_d / direction_d.norm())
    density = min(0.5, ORACLE_DENSITY * float(at_n.mean()))
    f_n: Tensor = (along_n - along_n.quantile(1 - density)).relu()
    return f_n


def _read_by_all(world: World, choice: Choice, models: list[Model]) -> None:
    places, every_np = world.places, torch.cat([m.f_np for m in models], 1)
    ends = np.cumsum([m.f_np.shape[1] for m in models])
    for name in (choice.baseline, *(m.name for m in models)):
        x_nd = expanded(world.vectors(name, BLOCK))
        reader = Reader(x_nd, places.piece_n.astype(np.int32), places.held_n)
        for model, r2_p in zip(models, np.split(reader.r2(every_np), ends[:-1]), strict=True):
            if name in (choice.baseline, model.name, *choice.references) or (
                model.name in choice.references
            ):
                model.r2_mp[name] = r2_p


def _test_covariance(world: World, choice: Choice, models: list[Model]) -> None:
    places = world.places
    said_n = np.isfinite(places.logp_mn[0])
    group_n, held_n = places.piece_n[said_n].astype(np.int32), places.held_n[said_n]
    x_nd = expanded(world.vectors(choice.baseline, BLOCK))[torch.from_numpy(said_n)]
    reader = Reader(x_nd, group_n, held_n)
    for model in models:
        names = [model.name, *(r for r in choice.references if r != model.name)]
        rows = [places.row[name] for name in names]
        said = residuals(places.logp_mn[rows][:, said_n], places.tokens_mn[rows][:, said_n])[0]
        y_n = torch.from_numpy(said).float()
        f_np = model.f_np[torch.from_numpy(said_n)]
        model.z_p = covariance_z(reader, f_np, y_n, group_n, held_n)
