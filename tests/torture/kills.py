"""Processes that are killed, and what the next run makes of what they left."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from torture.runs import KILLED, Child, dying_before, ended, kept, measure
from torture.tally import Tally

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from torture.runs import Pair

CHANGES_OF_A_RUN = 450
SECONDS_OF_A_RUN = 1.5


def killed_runs(pair: Pair, folder: Path, count: int, chance: random.Random) -> Tally:
    """Runs are killed, before chosen operations on files and at random moments, until one ends;
    the cache must then hold the same bits as after an undisturbed run.
    """
    tally = Tally("a killed run goes on and ends in the same bits")
    undisturbed, cache = folder / "undisturbed", folder / "killed"
    code, said = ended(lambda: measure(pair.settings(undisturbed)))
    if code:
        tally.problems.append(f"the undisturbed run failed: {said}")
        return tally
    wanted = kept(undisturbed)
    settings = pair.settings(cache)
    while tally.tried < count:
        shutil.rmtree(cache, ignore_errors=True)
        code, most = -1, CHANGES_OF_A_RUN
        while code:
            if tally.tried == count:
                code, said = ended(lambda: measure(settings))
            elif chance.random() < 0.7:
                dying = dying_before(chance.randint(1, most), cache, lambda: measure(settings))
                code, said = ended(dying)
            else:
                run = Child(lambda: measure(settings))
                time.sleep(chance.uniform(0.0, SECONDS_OF_A_RUN))
                run.kill()
                code, said = run.wait()
            most = CHANGES_OF_A_RUN // 3  # less is left
            if code in (KILLED, -KILLED):
                tally.tried += 1
                how = "before an operation on a file" if code == KILLED else "at a random moment"
                tally.note(f"kills {how}")
            elif code:
                tally.problems.append(f"a run after {tally.tried} kills failed: {said}")
                break
        found = kept(cache)
        if found != wanted:
            odd = sorted(k for k in found.keys() | wanted if found.get(k) != wanted.get(k))
            tally.problems.append(f"after {tally.tried} kills other bits: {odd[:3]}")
        tally.note("caches compared")
    return tally


def killed_lock_holders(pair: Pair, folder: Path, count: int, chance: random.Random) -> Tally:
    """A process that computes is killed while others wait for it: one of them takes over."""
    tally = Tally("when the process that computes is killed, one that waits takes over")
    for _ in range(count):
        cache = folder / "holders"
        shutil.rmtree(cache, ignore_errors=True)
        settings = pair.settings(cache)
        holder = Child(lambda settings=settings: measure(settings))
        time.sleep(0.1)
        waiting = [Child(lambda settings=settings: measure(settings)) for _ in range(2)]
        time.sleep(chance.uniform(0.05, 0.6))
        holder.kill()
        holder.wait()
        ends = [child.wait() for child in waiting]
        tally.tried += 1
        if [end.code for end in ends] != [0, 0]:
            tally.problems.append(f"a waiting process failed: {[end.said for end in ends]}")
        elif [end.said for end in ends].count("trained") > 1:
            tally.problems.append("two waiting processes both trained")
    return tally
