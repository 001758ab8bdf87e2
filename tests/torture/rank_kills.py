"""Ranks of a run that are killed, and what any number of ranks makes of what they left."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import socket
import time
from functools import partial
from typing import TYPE_CHECKING

from pytest_crossdiff.engine.dictionary.sharded import training as sharded
from pytest_crossdiff.engine.ranks import group as group_of_ranks
from pytest_crossdiff.engine.ranks.fill import fill
from pytest_crossdiff.engine.ranks.group import joined
from pytest_crossdiff.progress import SilentProgress
from torture.runs import KILLED, Child, ended, kept, measure
from torture.tally import Tally

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from pytest_crossdiff.settings import Settings
    from torture.runs import Pair

SECONDS_OF_A_RUN = 2.5
SECONDS_TO_NOTICE = 20
"""Within which the other ranks end."""


def killed_ranks(pair: Pair, folder: Path, count: int, chance: random.Random) -> Tally:
    """A random rank of two or three is killed at a random moment; the others end, and one to three
    ranks go on.  Dictionaries are whole, or in two shards, in turn.
    """
    tally = Tally("when a rank is killed all end, and any number of ranks goes on to the same bits")
    wanted, settings = [], []
    for shards in (1, 2):
        others = {"seeds": 2, "dictionary_shards": shards}
        code, said = ended(
            partial(measure, pair.settings(folder / f"undisturbed{shards}", **others))
        )
        if code:
            tally.problems.append(f"the undisturbed run failed: {said}")
            return tally
        wanted.append(kept(folder / f"undisturbed{shards}"))
        settings.append(pair.settings(folder / f"killed{shards}", **others))
    for attack in range(count):
        which = attack % 2
        shutil.rmtree(folder / f"killed{which + 1}", ignore_errors=True)
        problem = _attack(settings[which], chance, tally)
        tally.tried += 1
        found = kept(folder / f"killed{which + 1}")
        if not problem and found != wanted[which]:
            every = found.keys() | wanted[which]
            odd = sorted(key for key in every if found.get(key) != wanted[which].get(key))
            problem = f"other bits: {odd[:3]}"
        if problem:
            tally.problems.append(f"attack {attack}: {problem}")
    return tally


def _attack(settings: Settings, chance: random.Random, tally: Tally) -> str:
    """What went wrong, or ""."""
    ranks = _ranks(settings, chance.choice((2, 3)))
    victim = chance.randrange(len(ranks))
    time.sleep(chance.uniform(0.0, SECONDS_OF_A_RUN))
    ranks[victim].kill()
    killed = time.monotonic()
    ends = [rank.wait() for rank in ranks]
    if time.monotonic() - killed > SECONDS_TO_NOTICE:
        return f"the others ended after {time.monotonic() - killed:.0f} s"
    if ends[victim].code != -KILLED:
        tally.note("runs that ended before the kill")
    elif any("RankError" not in end.said for i, end in enumerate(ends) if i != victim and end.code):
        return f"another error than that of a lost rank: {[end.said for end in ends]}"
    else:
        tally.note(f"kills of rank {victim}")
    again = [rank.wait() for rank in _ranks(settings, chance.choice((1, 2, 3)))]
    if any(end.code for end in again):
        return f"going on failed: {[end.said for end in again]}"
    code, said = ended(partial(measure, settings))
    return f"the verdict failed: {said}" if code else ""


def _ranks(settings: Settings, count: int) -> list[Child]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [Child(partial(_work, settings, rank, count, port)) for rank in range(count)]


def _work(settings: Settings, rank: int, count: int, port: int) -> str:
    group = {"RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in group.items()})
    sharded.CHECKPOINT_SECONDS = 0.0
    group_of_ranks.JOINING = dt.timedelta(seconds=SECONDS_TO_NOTICE / 2)
    with joined() as ranks:
        fill(settings, ranks, SilentProgress())
        ranks.wait()
    return "filled"
