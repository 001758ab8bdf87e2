"""Fits the cost model of `crossdiff plan` to the committed results of runs, and states its error.

    python -m benchmarks.speed.cost_model [--out FILE.json]

Training steps: `growth.json` and `step.json`, `step-small.json` (dfc).  Reading: `harvest-*.json`
and the MiniLM pair of `job-against-57b395a.json`, with the models' sizes below.  Verification and
controls: the whole comparisons of that file.  Non-negative least squares on relative errors; the
error is that of a row which the fit hasn't seen, the largest of all rows.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls
from tabulate import tabulate

from pytest_crossdiff.engine.capacity.cost_model import FITTED, read_terms, step_terms

RESULTS = Path(__file__).parent / "results"
BLOCKS = {"minilm-0.1.0": 1_774_464, "smollm2-0.1.2": 3_540_096}
"""Weights of a block of each model that the reading was timed on."""
JOB = "job-against-57b395a.json"
Rows = list[tuple[str, dict[str, float], float]]
"""What was run, its terms, and the seconds that it took."""


def read_results(name: str) -> dict[str, Any]:
    """A committed result."""
    found: dict[str, Any] = json.loads((RESULTS / name).read_text("utf-8"))
    return found


def steps() -> Rows:
    """Training steps of one thread."""
    growth = read_results("growth.json")
    rows: Rows = []
    for row in growth["rows"]:
        size = {**growth["usual"], row["varied"]: row["size"]}
        terms = step_terms(size["tokens"], size["features"], 2 * size["width"], size["active"])
        rows.append((f"{row['varied']} {row['size']}", terms, row["ms"] / 1e3))
    for name in ("step.json", "step-small.json"):
        found = read_results(name)
        size = found["sizes"]
        terms = step_terms(size["batch"], size["features"], 2 * size["width"], size["active"])
        rows.append((name, terms, found["milliseconds"]["dfc"]["the whole step"] / 1e3))
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


def ratios() -> dict[str, list[float]]:
    """Of whole comparisons: seconds of verification for a dictionary's training pair and unit of
    width, and of the controls as a share of training.
    """
    found: dict[str, list[float]] = {"verify": [], "controls": []}
    for pair in read_results(JOB).values():
        for one in pair["now"]:
            seconds = one["cpu_seconds"]
            sizes = zip(one["training_pairs"], one["widths"], strict=True)
            work = one["dictionaries"] * sum(pairs * sum(widths) for pairs, widths in sizes)
            found["verify"].append(seconds["verify features"] / work)
            found["controls"].append(seconds["controls"] / seconds["train crosscoder"])
    return found


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
        found.append(sum(costs[name] * amount for name, amount in terms.items()) / took - 1)
    return found


def fitted() -> dict[str, Any]:
    """Everything that `crossdiff plan` reads."""
    shares = ratios()
    kinds = {"step": steps(), "read": readings()}
    spread = {kind: max(of) / float(np.mean(of)) - 1 for kind, of in shares.items()}
    return {
        **{kind: fit(rows) for kind, rows in kinds.items()},
        **{kind: float(np.mean(of)) for kind, of in shares.items()},
        "error": {kind: max(map(abs, errors(rows))) for kind, rows in kinds.items()} | spread,
    }


def rounded(value: Any) -> Any:  # noqa: ANN401  JSON
    """To four digits, so that another machine's last bits don't matter."""
    if isinstance(value, dict):
        return {name: rounded(of) for name, of in value.items()}
    return float(f"{value:.4g}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=FITTED)
    args = parser.parse_args()
    for rows in (steps(), readings()):
        table = [
            (name, 1e3 * took, 100 * error)
            for (name, _, took), error in zip(rows, errors(rows), strict=True)
        ]
        heads = ["run", "CPU ms", "error of the others' fit, %"]
        print(tabulate(table, heads, tablefmt="github", floatfmt=".1f"), end="\n\n")
    found = rounded(fitted())
    print(json.dumps(found, indent=1))
    args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
