"""Does a 95 % interval of exclusivity cover the true value 95 % of the time?

    python -m benchmarks.toy.coverage [FILE]

Twice over, with the plain percentiles of the bootstrap beside the intervals in use.  On sums whose
true exclusivity is known by construction, for features that fire in more or fewer documents.  And
on the toy world: a dictionary and its ridge probes are kept; thousands of further documents of the
same pair give every feature's true exclusivity under them and, dealt out into held-out sets of the
usual size, as many intervals.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.toy.methods import CPU, SETTINGS, Method, trained
from benchmarks.toy.world import BASE, World, make
from pytest_crossdiff.engine.verification.exclusivity import (
    MIN_DOCUMENTS,
    Sums,
    SumsBuilder,
    exclusivity,
    ratio,
    screen,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder
    from pytest_crossdiff.engine.verification.exclusivity import ScreeningResult

    Booleans = NDArray[np.bool_]
    Numbers = NDArray[np.float64]

FILE = Path(__file__).parent / "results" / "coverage.json"
WORLD = dataclasses.replace(BASE, shared=160, own=6, width_a=48, width_b=48, topics=1.0)
METHOD = Method("innovation", "ridge", share=0.2)
WORLDS_OF_DOCUMENTS = 12
HELD_OUT = (30, 72)
SPANS = ((0.02, 0.3), (0.3, 0.7), (0.7, 0.98))
DRAWS = 1_000
TRUE = 0.625


def constructed_sums(documents: int, fires_in: int, features: int = 1_500) -> Sums:
    """Sums of `features` independent data sets whose exclusivity is `TRUE`: in the mean the other
    model leaves 0.7 of a document's squares and its own model 0.2.
    """
    random = np.random.default_rng(0)
    size = (documents, features)
    fires = (random.random(size) < fires_in / documents).astype(np.float64)
    yy = fires * random.gamma(4.0, 1.0, size) + 1e-4
    other, own = (share * yy * random.gamma(4.0, 1 / 4, size) for share in (0.7, 0.2))
    return Sums(other, own, np.zeros(size), yy, np.full(documents, 100.0), fires)


@torch.no_grad()
def documents(w: World, model: Crosscoder, probes: ScreeningResult) -> Sums:
    """Sums of every feature over each of many more documents."""
    home, parts = make(w).pairs, []
    for draw in range(1, WORLDS_OF_DOCUMENTS + 1):
        pairs = make(dataclasses.replace(w, draw=draw)).pairs
        pairs = pairs._replace(
            a=pairs.a._replace(scale=home.a.scale), b=pairs.b._replace(scale=home.b.scale)
        )
        builder = SumsBuilder(w.documents, model.config.features)
        for block, x_a, x_b in pairs.blocks(np.arange(w.tokens)):
            group = torch.from_numpy(pairs.group_n[block]).long()
            builder.add(group, model.encode(x_a, x_b), probes.from_a(x_a), probes.from_b(x_b))
        parts.append(builder.sums())
    return Sums(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def both(sums: Sums, is_b: Booleans, seed: int) -> tuple[Numbers, Booleans]:
    """Ends of the plain and of the used intervals, shape (4, p), and which are to be counted."""
    found = exclusivity(sums, is_b, threshold=TRUE, draws=DRAWS, seed=seed)
    groups = len(sums.count_g)
    weights = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), DRAWS)
    r2_a, r2_b = sums.r2(weights.astype(np.float64))
    drawn = ratio(np.where(is_b, r2_b, r2_a), np.where(is_b, r2_a, r2_b))
    plain = np.quantile(drawn, (0.025, 0.975), axis=0)
    usable = (found.documents >= MIN_DOCUMENTS) & (found.r2_own >= SETTINGS.min_r2)
    return np.stack([*plain, found.low, found.high]), usable


def line(name: str, true: Numbers, ends: Numbers) -> dict[str, object]:
    """How often either kind covers, and how often its lower end is above the truth."""
    made: dict[str, object] = {"of": name, "intervals": len(true)}
    for kind, (low, high) in (("plain", ends[:2]), ("used", ends[2:])):
        covers, above = ((low <= true) & (true <= high)).mean(), (low > true).mean()
        made |= {f"{kind}_covers": round(float(covers), 4), f"{kind}_low": round(float(above), 4)}
    print(made, flush=True)
    return made


def toy_lines() -> list[dict[str, object]]:
    """The intervals of one dictionary's features."""
    pairs = make(WORLD).pairs
    model = trained(pairs, METHOD, 0)
    with torch.no_grad():
        sums = documents(WORLD, model, screen(pairs, model, CPU))
    groups, is_b = len(sums.count_g), model.owner_is_candidate().numpy()
    r2_a, r2_b = (r2[0] for r2 in sums.r2(np.ones((1, groups))))
    own = np.where(is_b, r2_b, r2_a)
    true = ratio(own, np.where(is_b, r2_a, r2_b))
    order = np.random.default_rng(0).permutation(groups)
    made = []
    for size in HELD_OUT:
        trues, ends = [], []
        for start in range(0, groups - size + 1, size):
            part = Sums(*(column[order[start : start + size]] for column in sums))
            found, usable = both(part, is_b, start)
            usable &= own >= SETTINGS.min_r2
            trues.append(true[usable])
            ends.append(found[:, usable])
        all_true, all_ends = np.concatenate(trues), np.concatenate(ends, axis=1)
        for low, high in SPANS:
            within = (all_true >= low) & (all_true < high)
            name = f"toy, {size} held-out documents, true value {low} to {high}"
            made.append(line(name, all_true[within], all_ends[:, within]))
    return made


def main(path: str = str(FILE)) -> None:
    """Measure, print and write."""
    torch.set_num_threads(1)
    made = []
    for total, fires_in in ((80, 80), (80, 24), (80, 8), (200, 60), (200, 20), (40, 12), (40, 6)):
        is_b = np.ones(1_500, dtype=bool)
        ends, usable = both(constructed_sums(total, fires_in), is_b, 0)
        name = f"by construction, {total} documents, fires in about {fires_in}"
        made.append(line(name, np.full(int(usable.sum()), TRUE), ends[:, usable]))
    made += toy_lines()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
