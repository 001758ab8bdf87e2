"""The peak memory of runs on more and more text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.machine import Peak
from pytest_crossdiff.engine.dictionary import training_inputs
from torture.runs import ended, measure
from torture.tally import Tally

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from torture.runs import Pair

TOKENS = 4_000, 32_000, 256_000
ALLOWED_GROWTH = 1.15
"""Of the peak, whatever the text."""


def peak_memory(pair: Pair, folder: Path, count: int, _: random.Random) -> Tally:
    """The peak of runs on 4,000 to 256,000 tokens: it shall grow by at most 15 %.

    Counted is memory that only swapping would free, not pages of mapped files; the inputs of the
    training, of which at most `MAX_CACHED_BYTES` are kept, are read from files.
    """
    tally = Tally("the peak of memory grows by 15 % at most")
    texts = folder / "texts.txt"
    with texts.open("w") as file:
        for i in range(12_000):
            file.write(f"{'It is in the room of the house, and to the end of it. ' * 2}{i}\n\n")
    peaks = []
    for tokens in TOKENS[:count]:
        settings = pair.settings(folder / str(tokens), tokens=tokens, corpus=str(texts))

        def peak(settings=settings):
            training_inputs.MAX_CACHED_BYTES = 0
            with Peak() as found:
                measure(settings)
            return found.kilobytes // 1024

        code, said = ended(peak)
        tally.tried += 1
        if code:
            tally.problems.append(said)
            return tally
        peaks.append(int(said))
        tally.note(f"MiB at {tokens} tokens", int(said))
    if any(peak > ALLOWED_GROWTH * peaks[0] for peak in peaks):
        tally.problems.append(f"the peak grows: {peaks} MiB")
    return tally
