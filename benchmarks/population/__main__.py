"""Build the population, read it, judge it, write the page.

    python -m benchmarks.population build [HALF]   tokenizers, models, fine-tunes and their checks

HALF is development or reporting.  CROSSDIFF_POPULATION names the folder where models are kept
instead of the user's cache folder.
"""

from __future__ import annotations

import sys

import torch

from benchmarks.population.bases import COUNTS, bases
from benchmarks.population.family import Family
from benchmarks.population.fine_tunes import fine_tunes


def main(arguments: list[str]) -> None:
    """Run the step asked for."""
    torch.set_num_threads(1)
    step, *halves = arguments
    family = Family()
    if step == "build":
        for half in halves or COUNTS:
            for base in bases(half):
                family.base(base)
            for fine_tune in fine_tunes(half):
                family.fine_tune(fine_tune)


if __name__ == "__main__":
    main(sys.argv[1:])
