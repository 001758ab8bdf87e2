"""The ways to look for what one model has and the other lacks, on the toy world (METHOD 6).

Each trains one dictionary on a toy pair and reports features; `score` says how many of the planted
concepts they are, and how many are not there.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from benchmarks.dictionaries import ARCHITECTURES, partition
from benchmarks.toy.maps import Layered
from benchmarks.toy.world import Toy, pairs_of
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.dictionary.crosscoders import new_models
from pytest_crossdiff.engine.dictionary.training import Trainer, TrainingConfig, train
from pytest_crossdiff.engine.verification import clusters
from pytest_crossdiff.engine.verification.exclusivity import screen
from pytest_crossdiff.engine.verification.heldout import measure_heldout
from pytest_crossdiff.engine.verification.model_distance import model_distance
from pytest_crossdiff.engine.verification.verify import classify_features
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.store.cache import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.activations.pairs import Pairs

CPU = torch.device("cpu")
SETTINGS = Settings()
"""The thresholds are the product's own."""
RIDGE_R2 = 0.1
"""With a ridge probe alone: it reads even what is there with an R² of 0.2 to 0.4 in this world."""
COSINE = 0.8
"""A feature is a planted concept when its direction is this close to the concept's."""
FOLLOWS = 0.6
"""By the other criterion, when their held-out activations correlate above this."""
HALF = 0.5
"""A feature is not of what was planted when less of what concepts explain of it is."""


@dataclasses.dataclass(frozen=True)
class Method:
    """A dictionary and how its features are judged.

    architecture: a crosscoder's; or `difference`, a dictionary of the activations' differences;
    or `cascade`, `dfc` with three fifths of the features and `innovation` on what it leaves;
    or `innovation` with other maps: `curved` ones; those of `layered` read another layer of either
    model, and so do its probes; or `deeper`, where the probes alone do.
    judged: ridge, mlp (the test with that probe), partition (every live exclusive feature, as `dfc`
    was published), norms (decoder norms nine to one apart, as crosscoders were first compared),
    all (every live feature of a dictionary over the difference of the activations).
    """

    architecture: str
    judged: str
    features: int = 160
    k: int = 8
    steps: int = 1_000
    share: float = 0.05
    k_own: float = 1


class Reported(NamedTuple):
    """A reported feature: its side, how sure the method is of it, its direction in the owner's
    space, its held-out activations, and its R² from either model, own first.
    """

    is_b: bool
    confidence: float
    direction: NDArray[np.float32]
    f_n: NDArray[np.float32]
    r2: tuple[float, float] = (1.0, 0.0)


class Row(NamedTuple):
    """What a reported feature is.

    part: the difference that it belongs to.  cosine, activation: the planted concept that it is by
    its direction and by its activations, or -1.  planted: of the variance that the concepts
    account for, the share that those planted on its side do.
    """

    part: int
    confidence: float
    r2_own: float
    r2_other: float
    cosine: int
    activation: int
    planted: float


class Score(NamedTuple):
    """What a method reports, against the truth.

    found: planted concepts by direction.  false_positives: differences none of whose features is
    one.  found_activation, false_positives_activation: the same by activation.  unrelated:
    differences that are nothing of what was planted, not even several planted concepts in one.
    found_at_one_false_positive: found when the ranking by confidence is cut before the second false
    positive.
    """

    found: int
    false_positives: int
    found_activation: int
    false_positives_activation: int
    unrelated: int
    found_at_one_false_positive: int
    differences: int


def trained(
    pairs: Pairs, method: Method, seed: int, *, batch: int = 256, rate: float = 1e-3
) -> Crosscoder:
    """The dictionary, trained as the product trains it."""
    model = _untrained(pairs, method, seed)
    trainer = Trainer(model, TrainingConfig(method.steps, batch, rate))
    with tempfile.TemporaryDirectory() as folder:
        entry = Store(Path(folder)).entry("toy", "toy")
        with entry.lock():
            train([trainer], pairs, [entry], CPU, SilentProgress())
    return model


def _untrained(pairs: Pairs, method: Method, seed: int) -> Crosscoder:
    kind = {"difference": "dfc"}.get(method.architecture, method.architecture)
    kind = kind if kind in ARCHITECTURES else "innovation"
    a, b = pairs.a.harvest.width, pairs.b.harvest.width
    sizes = partition(method.architecture, method.features, method.share)
    if method.architecture == "difference":
        sizes = (0, 0, method.features)
    config = CrosscoderConfig(kind, a, b, *sizes, method.k, method.k_own)
    if method.architecture == "layered":
        return Layered(config, pairs, seed)
    curved = method.architecture == "curved"
    (model,) = new_models({seed: config}, pairs, curved=curved)
    return model


def report(t: Toy, method: Method, model: Crosscoder, seed: int) -> list[Reported]:
    """What `method` says of the trained dictionary."""
    if method.judged in {"ridge", "mlp"}:
        network = method.judged == "mlp"
        settings = SETTINGS if network else SETTINGS.with_values(min_r2=RIDGE_R2)
        with torch.no_grad():
            screened = screen(t.pairs, model, CPU)
            settings = settings.with_values(probe=method.judged)
            distance = model_distance(model, t.pairs, settings)
            (held,) = measure_heldout([model], t.pairs, [screened], distance, settings, CPU)
        return [
            _reported(
                model, f.index, f.side == "candidate", f.exclusivity_low, held.f_np[:, p]
            )._replace(r2=(f.r2_own, f.r2_other))
            for p, f in enumerate(classify_features(held, distance, seed, settings))
            if f.verified
        ]
    f_nm = _heldout_activations(model, t.pairs)
    live = np.flatnonzero((f_nm > 0).any(0))
    size_m = (f_nm * model.decoder_norms().detach().numpy()).mean(0)
    if method.judged == "norms":
        a, b = (
            model.directions(torch.arange(method.features), candidate=c).norm(dim=1).detach()
            for c in (False, True)
        )
        ratio_m = (b / (a + b)).numpy()
        confidence_m = np.maximum(ratio_m, 1 - ratio_m)
        return [
            _reported(model, i, ratio_m[i] > 0.5, confidence_m[i], f_nm[:, i])
            for i in live
            if confidence_m[i] > 0.9
        ]
    shared = model.config.shared_slice
    return [
        _reported(model, i, i >= shared.stop, size_m[i], f_nm[:, i])
        for i in live
        if not shared.start <= i < shared.stop
    ]


@torch.no_grad()
def _heldout_activations(model: Crosscoder, pairs: Pairs) -> NDArray[np.float32]:
    blocks = [model.encode(a, b) for _, a, b in pairs.blocks(pairs.heldout())]
    return np.asarray(torch.cat(blocks).numpy())


@torch.no_grad()
def _reported(
    model: Crosscoder, index: int, is_b: bool, confidence: float, f_n: NDArray[np.float32]
) -> Reported:
    direction = model.directions(torch.tensor([index]), candidate=bool(is_b))[0]
    return Reported(bool(is_b), float(confidence), (direction / direction.norm()).numpy(), f_n)


def difference_toy(t: Toy) -> Toy:
    """The pair whose candidate is the difference of the two models' normalised vectors."""
    every = np.arange(len(t.pairs.group_n))
    x_a, x_b = t.pairs.batch(every)
    made = pairs_of(x_a, x_b - x_a, t.pairs.group_n)
    return dataclasses.replace(t, pairs=made._replace(heldout_n=t.pairs.heldout_n))


@torch.no_grad()
def residual_toy(t: Toy, model: Crosscoder) -> Toy:
    """The pair of what a dictionary doesn't explain, for the next one of a cascade; its probes read
    the models themselves besides.
    """
    x_a, x_b = t.pairs.batch(np.arange(len(t.pairs.group_n)))
    inputs = model.inputs(x_a, x_b)
    errors = model.errors(model.encode(x_a, x_b), inputs)
    left = pairs_of(errors.a_ta, errors.b_tb, t.pairs.group_n)
    extra_layers = (t.pairs.a,), (t.pairs.b,)
    return dataclasses.replace(
        t, pairs=left._replace(heldout_n=t.pairs.heldout_n, extra_layers=extra_layers)
    )


def rows(t: Toy, reported: Sequence[Reported], *, signed: bool = False) -> list[Row]:
    """Compare with the truth.  signed: a feature's sign, not its side, says whose it is."""
    truth_nc = t.activation_nc[torch.from_numpy(t.pairs.heldout())].numpy()
    part_of: dict[int, int] = {}
    for is_b in (False, True):
        members = [i for i, r in enumerate(reported) if r.is_b == is_b]
        f_nq = np.stack([reported[i].f_n for i in members], 1) if members else np.zeros((1, 0))
        fires = (f_nq > 0).astype(np.float64)
        for group in clusters.cluster(
            clusters.correlation(f_nq.T @ f_nq, f_nq.sum(0), len(f_nq)), fires.T @ fires
        ):
            number = len(set(part_of.values()))
            part_of |= {members[q]: number for q in group}
    made = []
    for i, r in enumerate(reported):
        own = list(t.only_b if r.is_b else t.only_a)
        planted = _explained(r.f_n, truth_nc[:, own]) / max(_explained(r.f_n, truth_nc), 1e-6)
        cosine, activation = _by_direction(t, r, signed), _by_activation(t, r, truth_nc, signed)
        values = (round(v, 3) for v in (r.confidence, *r.r2))
        made.append(Row(part_of[i], *values, cosine, activation, round(planted, 3)))
    return made


def score(rows: Sequence[Row], least_r2: float = 0.0) -> Score:
    """Count, leaving out features that their own model reads worse than `least_r2`."""
    parts: dict[int, list[Row]] = {}
    for row in sorted(rows, key=lambda row: -row.confidence):
        if row.r2_own >= least_r2:
            parts.setdefault(row.part, []).append(row)
    at_one, false_positives = set[int](), 0
    for part in parts.values():  # the surest first
        hits = {row.cosine for row in part} - {-1}
        false_positives += not hits
        if false_positives > 1:
            break
        at_one |= hits
    counts = []
    for name in ("cosine", "activation"):
        hits_of = [{getattr(row, name) for row in part} - {-1} for part in parts.values()]
        counts += [len(set[int]().union(*hits_of)), sum(not hits for hits in hits_of)]
    unrelated = sum(max(row.planted for row in part) < HALF for part in parts.values())
    return Score(*counts, unrelated, len(at_one), len(parts))


def _explained(f_n: NDArray[np.float32], truth_nq: NDArray[np.float32]) -> float:
    """R² of a feature's activations from those of concepts."""
    f = f_n - f_n.mean()
    if not truth_nq.shape[1] or not f.any():
        return 0.0
    x = truth_nq - truth_nq.mean(0)
    left = f - x @ np.linalg.lstsq(x, f, rcond=None)[0]
    return float(1 - left @ left / (f @ f))


def _by_direction(t: Toy, r: Reported, signed: bool) -> int:
    """The planted concept whose direction a feature has, or -1."""
    direction_d = torch.from_numpy(r.direction)
    of: dict[int, float] = {}
    if signed or r.is_b:
        of |= {i: float(t.direction_cb[i] @ direction_d) for i in t.only_b}
    if signed or not r.is_b:
        sign = -1 if signed else 1
        of |= {i: sign * float(t.direction_ca[i] @ direction_d) for i in t.only_a}
    best = max(of, key=of.__getitem__, default=-1)
    return best if best >= 0 and of[best] > COSINE else -1


def _by_activation(t: Toy, r: Reported, truth_nc: NDArray[np.float32], signed: bool) -> int:
    """The planted concept with whose activations a feature's correlate most, or -1."""
    planted = [*t.only_a, *t.only_b] if signed else list(t.only_b if r.is_b else t.only_a)
    found = followed_concept(r.f_n, truth_nc)
    return found if found in planted else -1


def followed_concept(f_n: NDArray[np.float32], truth_nc: NDArray[np.float32]) -> int:
    """The concept, planted or shared, whose held-out activations correlate most with a feature's,
    or -1 where none does by more than `FOLLOWS`.
    """
    with np.errstate(invalid="ignore"):  # what never fires has no correlation
        found = np.nan_to_num(np.corrcoef(np.column_stack([f_n, truth_nc]).T)[0, 1:])
    best = int(found.argmax())
    return best if found[best] > FOLLOWS else -1
