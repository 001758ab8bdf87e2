"""Is a p-value of exclusivity as often small as it says, and how often where something is there?

    python -m benchmarks.toy.p_values

Data sets whose true exclusivity is known by construction: at the threshold, where a p-value below
0.01 should come once in a hundred times, and far above it.  Features fire in more or fewer
documents, and the errors of the two probes vary alike from document to document, or one more.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pytest_crossdiff.engine.verification.exclusivity import MIN_DOCUMENTS, Sums, exclusivity

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = Path(__file__).parent / "results" / "p-values.json"
SETS = 10_000
LEVELS = (0.05, 0.01, 0.001)
DOCUMENTS = ((80, 80), (80, 24), (200, 20), (40, 8))
VARY = {"alike": (4.0, 4.0), "own more": (1.0, 8.0), "other more": (8.0, 1.0)}
"""Shape of the gamma distribution of the own and of the other model's errors: 1 varies most."""
OWN, AT_THRESHOLD, FAR_ABOVE, THRESHOLD = 0.2, 0.6, 0.9, 0.5
"""The share of a document's squares that the own model leaves; that which the other leaves where
exclusivity is at the threshold (0.5 = 1 - 0.4 / 0.8), and far above it (0.875)."""


def p_values(
    documents: int, fires_in: int, vary: tuple[float, float], other: float
) -> NDArray[np.float64]:
    """Those of `SETS` data sets."""
    random = np.random.default_rng(0)
    size = (documents, SETS)
    fires = (random.random(size) < fires_in / documents).astype(np.float64)
    yy = fires * random.gamma(4.0, 1.0, size) + 1e-4
    own_error, other_error = (
        share * yy * random.gamma(shape, 1 / shape, size)
        for share, shape in zip((OWN, other), vary, strict=True)
    )
    sums = Sums(other_error, own_error, np.zeros(size), yy, np.full(documents, 100.0), fires)
    found = exclusivity(sums, np.ones(SETS, bool), threshold=THRESHOLD, draws=2)
    return found.p_value[found.documents >= MIN_DOCUMENTS]


def main() -> None:
    """Measure, and write `FILE`."""
    rows = []
    for name, vary in VARY.items():
        for documents, fires_in in DOCUMENTS:
            at, above = (p_values(documents, fires_in, vary, o) for o in (AT_THRESHOLD, FAR_ABOVE))
            shares = [round(float((at <= level).mean()), 5) for level in LEVELS]
            found = round(float((above <= LEVELS[-1]).mean()), 3)
            rows.append([name, documents, fires_in, *shares, found])
            print(rows[-1], flush=True)
    FILE.write_text(json.dumps({"sets": SETS, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
