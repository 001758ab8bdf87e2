"""Caches that many processes share, that are full, or that can only be read."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from typing import TYPE_CHECKING

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.errors import StoreError
from torture.runs import Child, ended, kept, measure
from torture.tally import Tally

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from torture.runs import Ended, Pair

NOBODY = 65534


def shared(pair: Pair, folder: Path, count: int, chance: random.Random) -> Tally:
    """Processes start at the same time on one empty cache: one trains, all get its answer."""
    tally = Tally("of processes that start together one computes and all get its answer")
    cache, together = folder / "shared", 6
    while tally.tried < count:
        shutil.rmtree(cache, ignore_errors=True)
        settings = pair.settings(cache)
        runs = [Child(lambda settings=settings: measure(settings)) for _ in range(together)]
        ends = [run.wait() for run in runs]
        tally.tried += together
        if any(end.code for end in ends):
            tally.problems.append(f"failed: {[end.said for end in ends if end.code][:1]}")
        if [end.said for end in ends].count("trained") != 1:
            tally.problems.append(f"trained: {[end.said for end in ends]}")
    return tally


def full_disks(pair: Pair, folder: Path, count: int, chance: random.Random) -> Tally:
    """No file may grow beyond a limit, which is what a full disk does to a writer: the error says
    what to do, and with room again the run ends in the same bits.
    """
    tally = Tally("a full disk is an error that says what to do and costs only the part at hand")
    undisturbed, cache = folder / "roomy", folder / "full"
    ended(lambda: measure(pair.settings(undisturbed)))
    wanted = kept(undisturbed)
    while tally.tried < count:
        shutil.rmtree(cache, ignore_errors=True)
        settings, limit = pair.settings(cache), int(10 ** chance.uniform(2.0, 6.0))

        def cramped(settings=settings, limit=limit):
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            return measure(settings)

        code, said = ended(cramped)
        tally.tried += 1
        tally.note("runs that the limit stopped" if code else "runs that fitted")
        if code and not ("StoreError" in said and "make room there" in said):
            tally.problems.append(f"at {limit} bytes: {said}")
        code, said = ended(lambda settings=settings: measure(settings))
        if code or kept(cache) != wanted:
            tally.problems.append(f"with room again: {said or 'other bits'}")
    return tally


def read_only(pair: Pair, folder: Path, count: int, chance: random.Random) -> Tally:
    """A cache that can't be written answers what it holds; else the error says what to set."""
    tally = Tally("a cache that can only be read answers, or says that it can't be written")
    cache = folder / "read-only"
    settings = pair.settings(cache)
    ended(lambda: measure(settings))
    for path in (folder, folder.parent):  # both are made by the harness
        path.chmod(path.stat().st_mode | 0o055)
    _change_modes(pair.baseline.parent, 0o755, 0o644)
    _change_modes(cache, 0o555, 0o444)

    def refused():
        try:
            measure(settings.with_values(seed=chance.randint(1, 1000)))
        except StoreError as error:
            return error.remedy
        return "nothing"

    for _ in range(count):
        tally.tried += 1
        code, said = _as_nobody(lambda: str(pipeline.cached(settings) is not None))
        if (code, said) != (0, "True"):
            tally.problems.append(f"the answer is not read: {said}")
        code, said = _as_nobody(refused)
        if code or "set crossdiff_cache_dir to a folder that can be written" not in said:
            tally.problems.append(f"another run: {said}")
    _change_modes(cache, 0o755, 0o644)
    return tally


def _change_modes(cache: Path, folders: int, files: int) -> None:
    for path in [cache, *cache.rglob("*")]:
        path.chmod(folders if path.is_dir() else files)


def _as_nobody(work: Callable[[], object]) -> Ended:
    """The end of `work` in a process that may write nothing."""

    def run() -> object:
        if os.geteuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        return work()

    return ended(run)
