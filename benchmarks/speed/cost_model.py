"""Fits the cost model of `crossdiff plan` to the committed results of runs, and states its error.

    python -m benchmarks.speed.cost_model [--out FILE.json]

Training steps: `growth*.json` and `step*.json` (without the maps, which are read once for all
dictionaries).  Reading: `harvest-*.json` and the MiniLM pair of the whole comparisons.
Verification: `verification-varied.json` and the whole comparisons.  Non-negative least squares on
relative errors; the error is that of a row which the fit hasn't seen, the largest of all rows.
What a training of the whole comparisons takes over its steps is a mean, its error the spread; their
controls aren't fitted, and their error is that of what training and verification predict.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import nnls
from tabulate import tabulate

from benchmarks.dictionaries import partition
from benchmarks.speed.growth import config
from benchmarks.speed.verification import USUAL
from pytest_crossdiff.engine.capacity.cost_model import (
    FITTED,
    read_terms,
    seconds,
    step_terms,
    verify_terms,
)
from pytest_crossdiff.engine.dictionary.crosscoder import CrosscoderConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

RESULTS = Path(__file__).parent / "results"
BLOCKS = {"minilm-0.1.0": 1_774_464, "smollm2-0.1.2": 3_540_096}
"""Weights of a block of each model that the reading was timed on."""
JOB = "job-7784914-against-57b395a.json"
BATCH, K, HELDOUT = 256, 24, 0.3
"""Of the whole comparisons, which have the settings' defaults."""
Rows = list[tuple[str, dict[str, float], float]]
"""What was run, its terms, and the seconds that it took."""
Times = tuple[float, float]


def read_results(name: str) -> dict[str, Any]:
    """A committed result."""
    found: dict[str, Any] = json.loads((RESULTS / name).read_text("utf-8"))
    return found


def steps() -> Rows:
    """Training steps of one thread."""
    rows: Rows = []
    for name in ("growth.json", "growth-exclusive.json"):
        growth, exclusive = read_results(name), "exclusive" in name
        for row in growth["rows"]:
            size = {**growth["usual"], row["varied"]: row["size"]}
            tokens = size.pop("tokens")
            terms = step_terms(tokens, config(**size, exclusive=exclusive))
            label = f"{row['varied']} {row['size']}"
            rows.append((f"exclusive {label}" if exclusive else label, terms, row["ms"] / 1e3))
    for name in ("step.json", "step-small.json"):
        found = read_results(name)
        size = found["sizes"]
        for architecture in ("dfc", "innovation"):
            parts = partition(architecture, size["features"])
            of = CrosscoderConfig(
                architecture, size["width"], size["width"], *parts, size["active"]
            )
            ms = found["milliseconds"][architecture]
            took = ms["the whole step"] - ms["maps (what the other model predicts)"]
            terms = step_terms(size["batch"], of)
            rows.append((f"{name} {architecture}", terms, took / 1e3))
    return rows


def readings() -> Rows:
    """Harvests with the model in memory, and whole phases, which load it, too."""
    rows: Rows = []
    for name in ("harvest-minilm.json", "harvest-smollm2.json"):
        found = read_results(name)
        run = int(found["layer"].partition(" ")[0]) * BLOCKS[found["model"]]
        rows.append((name, read_terms(found["tokens"], run), found["ours_cpu_s"]))
    job = next(of for pair, of in read_results(JOB).items() if pair.startswith("MiniLM"))
    for one in job["now"]:
        run = (one["layers"][0] + 1) * BLOCKS["minilm-0.1.0"]
        for phase in ("read baseline", "read candidate"):
            rows.append((phase, read_terms(one["tokens"], run), one["cpu_seconds"][phase]))
    return rows


def verifications() -> Rows:
    """Of the toy world in several sizes, and of whole comparisons."""
    rows: Rows = []
    for row in read_results("verification-varied.json")["rows"]:
        own = round(0.2 * row["features"])
        sizes = (row["features"] - 2 * own, own, own)
        of = CrosscoderConfig("innovation", row["width"], row["width"], *sizes, 8)
        terms = verify_terms(row["training"], row["heldout"], [of] * row["dictionaries"])
        varied = ", ".join(f"{row[name]} {name}" for name in USUAL)
        rows.append((varied, terms, row["cpu_s"]))
    for name, job in comparisons():
        verified = (verify_terms(pairs, held, of) for pairs, held, _, of in layers(job))
        rows.append((name, _sum(verified), job["cpu_seconds"]["verify features"]))
    return rows


def comparisons() -> list[tuple[str, dict[str, Any]]]:
    """The whole comparisons, by their names."""
    found = read_results(JOB)
    return [(name.partition(",")[0], one) for name, pair in found.items() for one in pair["now"]]


def layers(job: dict[str, Any]) -> list[tuple[int, int, int, list[CrosscoderConfig]]]:
    """Of each layer of a comparison: training and held-out pairs, steps, and the dictionaries."""
    found = []
    for pairs, widths, parts, made in zip(
        job["training_pairs"], job["widths"], job["dictionary"], job["steps"], strict=True
    ):
        whole = CrosscoderConfig("innovation", *widths, *parts, K)
        others = [whole.exclusive_only()] * (job["dictionaries"] - 1)
        found.append((pairs, int(pairs * HELDOUT / (1 - HELDOUT)), made, [whole, *others]))
    return found


def whole(fits: dict[str, dict[str, float]]) -> list[tuple[str, Times, Times, float]]:
    """Of each whole comparison the seconds of its training and of one dictionary's of each control,
    by the steps alone and as measured, and those of the controls' verification.
    """
    found = []
    for name, job in comparisons():
        train = control = verified = 0.0
        for pairs, held, made, configs in layers(job):
            of = [made * seconds(fits["step"], step_terms(BATCH, config)) for config in configs]
            train, control = train + sum(of), control + 2 * of[1]
            terms = verify_terms(pairs, held, configs[1:2])
            verified += 2 * seconds(fits["verify"], terms)
        took = job["cpu_seconds"]
        times = (train, took["train crosscoder"]), (control, took["controls"])
        found.append((name, *times, verified))
    return found


def _sum(terms: Iterable[dict[str, float]]) -> dict[str, float]:
    rows = [*terms]
    return {name: sum(row[name] for row in rows) for name in rows[0]}


def fit(rows: Rows) -> dict[str, float]:
    """Seconds of a unit of each term."""
    terms = np.array([[*terms.values()] for _, terms, _ in rows])
    took = np.array([seconds for _, _, seconds in rows])
    scale = np.abs(terms).max(0)
    found, _ = nnls(terms / scale / took[:, None], np.ones(len(took)))
    return dict(zip(rows[0][1], (found / scale).tolist(), strict=True))


def errors(rows: Rows) -> list[float]:
    """Of each row the relative error of what the others predict."""
    found = []
    for i, (_, terms, took) in enumerate(rows):
        costs = fit(rows[:i] + rows[i + 1 :])
        found.append(seconds(costs, terms) / took - 1)
    return found


def kinds() -> dict[str, Rows]:
    """What is fitted, and to what."""
    return {"step": steps(), "read": readings(), "verify": verifications()}


def fitted() -> dict[str, Any]:
    """Everything that `crossdiff plan` reads."""
    rows = kinds()
    fits = {kind: fit(of) for kind, of in rows.items()}
    largest = {kind: max(map(abs, errors(of))) for kind, of in rows.items()}
    jobs = whole(fits)
    over = [took / by_steps for _, (by_steps, took), _, _ in jobs]
    training = float(np.mean(over))
    largest["training"] = max(abs(training / of - 1) for of in over)
    largest["controls"] = max(
        abs((training * by_steps + verified) / took - 1)
        for _, _, (by_steps, took), verified in jobs
    )
    return {**fits, "training": training, "error": largest}


def rounded(value: Any) -> Any:  # noqa: ANN401  JSON
    """To four digits, so that another machine's last bits don't matter."""
    if isinstance(value, dict):
        return {name: rounded(of) for name, of in value.items()}
    return float(f"{value:.4g}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=FITTED)
    args = parser.parse_args()
    for rows in kinds().values():
        table = [
            (name, 1e3 * took, 100 * error)
            for (name, _, took), error in zip(rows, errors(rows), strict=True)
        ]
        heads = ["run", "CPU ms", "error of the others' fit, %"]
        print(tabulate(table, heads, tablefmt="github", floatfmt=".1f"), end="\n\n")
    found = rounded(fitted())
    table = [
        (name, *train, found["training"] * controls + verified, took)
        for name, train, (controls, took), verified in whole(found)
    ]
    heads = ["comparison", "its steps alone", "training", "controls, predicted", "measured"]
    print(tabulate(table, heads, tablefmt="github", floatfmt=".1f"), end="\n\n")
    print(json.dumps(found, indent=1))
    args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
