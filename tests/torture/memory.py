"""The peak memory of runs on more and more text."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_crossdiff.engine.dictionary import training_inputs
from torture.runs import ended, measure
from torture.tally import Tally

if TYPE_CHECKING:
    import random

    from torture.runs import Pair

TOKENS = 4_000, 32_000, 256_000
ALLOWED_GROWTH = 1.15
"""Of the peak, whatever the text."""
BYTES_A_TOKEN = 512
"""What longer texts may need beyond that: the places of tokens, their pairs, and the activations
that are not 0.  The vectors themselves take 384 bytes a token in these models, and kilobytes in
real ones.
"""


def peak_memory(pair: Pair, folder: Path, count: int, _: random.Random) -> Tally:
    """The peak of runs on 4,000 to 256,000 tokens: it grows by at most 15 %, or by as much as may
    be kept of each token, whatever the width of the models.

    Counted is memory that only swapping would free, not pages of mapped files; the inputs of the
    training, of which at most `MAX_CACHED_BYTES` are kept, are read from files.
    """
    tally = Tally(f"the peak of memory grows by 15 % or {BYTES_A_TOKEN} bytes a token at most")
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
    kept = [BYTES_A_TOKEN * (tokens - TOKENS[0]) / 2**20 for tokens in TOKENS]
    allowed = [max(ALLOWED_GROWTH * peaks[0], peaks[0] + more) for more in kept]
    if any(peak > most for peak, most in zip(peaks, allowed, strict=False)):
        tally.problems.append(f"the peak grows: {peaks} MiB")
    return tally


class Peak:
    """The largest anonymous memory of this process, looked at 200 times a second."""

    def __enter__(self) -> Peak:  # noqa: PYI034  nothing is derived from it
        self.kilobytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.005):
            lines = Path("/proc/self/status").read_text("ascii").splitlines()
            (now,) = (int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
            self.kilobytes = max(self.kilobytes, now)
