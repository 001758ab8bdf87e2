"""In how many dictionaries a difference has to be found (METHOD 5, seed consensus)."""

from __future__ import annotations

import math


def majority(have: int, trained: int) -> bool:
    """Whether most of the dictionaries have it."""
    return 2 * have > trained


def majority_possible(have: float, trained: int) -> bool:
    """Whether most of very many dictionaries may have it: the upper end of the 80 % Wilson interval
    of the share that has it is not below one half.
    """
    p, n, z = have / trained, trained, 1.2816
    spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (p + z * z / (2 * n) + spread) / (1 + z * z / n) >= 0.5


def seeds_to_decide(have: int, trained: int) -> int:
    """How many dictionaries it takes, if the same share of them goes on to have it, until a
    majority is out of the question (an odd number, at most 99).
    """
    wanted = trained + 1 + trained % 2
    while majority_possible(have / trained * wanted, wanted) and wanted < 99:
        wanted += 2
    return wanted
