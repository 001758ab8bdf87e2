"""The peak memory of runs on more and more text."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from torture.runs import ended, measure
from torture.tally import Tally

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from torture.runs import Pair

TOKENS = 4_000, 32_000, 256_000
ALLOWED_GROWTH = 1.15


def peak_memory(pair: Pair, folder: Path, count: int, _: random.Random) -> Tally:
    """The peak of runs on 4,000 to 256,000 tokens, which must stay within 15 %."""
    tally = Tally("the peak of memory does not grow with the corpus (4k to 256k tokens, 15 %)")
    texts = folder / "texts.txt"
    with texts.open("w") as file:
        for i in range(12_000):
            file.write(f"{'It is in the room of the house, and to the end of it. ' * 2}{i}\n\n")
    peaks = []
    for tokens in TOKENS[:count]:
        settings = pair.settings(folder / str(tokens), tokens=tokens, corpus=str(texts))

        def peak(settings=settings):
            measure(settings)
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

        code, said = ended(peak)
        tally.tried += 1
        if code:
            tally.problems.append(said)
            return tally
        peaks.append(int(said))
        tally.note(f"MiB at {tokens} tokens", int(said))
    if max(peaks) > ALLOWED_GROWTH * peaks[0]:
        tally.problems.append(f"the peak grows: {peaks} MiB")
    return tally
