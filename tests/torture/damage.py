"""Files of the cache that are flipped, cut, removed and swapped."""

from __future__ import annotations

import dataclasses
import shutil
from typing import TYPE_CHECKING

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.store.cache import DamagedEntry, Store
from torture.runs import ended, kept, measure
from torture.tally import Tally

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from torture.runs import Pair

FULL_RUNS = 20
"""One attack in so many is followed by a run that needs every entry."""


def damaged_entries(pair: Pair, folder: Path, count: int, chance: random.Random) -> Tally:
    """After each attack reading everything names the damage, and the answer of the cache is the
    former one or none.
    """
    tally = Tally("a changed file of the cache is noticed and never answers")
    whole, cache = folder / "whole", folder / "damaged"
    settings = pair.settings(cache)
    for others in ({}, {"layer": 1}):  # two entries of each kind, to be swapped
        code, said = ended(lambda others=others: measure(pair.settings(whole, **others)))
        if code:
            tally.problems.append(f"the undisturbed run failed: {said}")
            return tally
    wanted = kept(whole)
    answer = pipeline.cached(pair.settings(whole))
    while tally.tried < count:
        shutil.rmtree(cache, ignore_errors=True)
        shutil.copytree(whole, cache)
        kind, attack = chance.choice([*ATTACKS.items()])
        if not attack(cache, chance):
            continue
        tally.tried += 1
        tally.note(kind)
        if not _noticed(cache):
            tally.problems.append(f"{kind}: reading everything notices nothing")
        found = pipeline.cached(settings)
        if found is not None and _plain(found) != _plain(answer):
            tally.problems.append(f"{kind}: another answer")
        if tally.tried % FULL_RUNS == 0:
            for path in cache.glob("result/*/*"):
                shutil.rmtree(path)
            code, said = ended(lambda: measure(settings))
            now = kept(cache)  # what the run had no need of may still be as the attack left it
            left = "damaged", "unfinished"
            wrong = [n for n, of in wanted.items() if now.get(n, of) not in (of, *left)]
            if code or wrong:
                tally.problems.append(f"{kind}: a run on what was left: {said}")
            tally.note("full runs on what was left")
    return tally


def _plain(outcome: pipeline.Outcome | None) -> object:
    return outcome and dataclasses.replace(outcome.result, seconds={})


def _noticed(cache: Path) -> bool:
    store = Store(cache)
    complete = 0
    for info in store.list():
        entry = store.entry(info.kind, info.key)
        try:
            manifest = entry.read_manifest()
            if manifest is None:
                return True  # an unfinished entry answers nothing
            complete += 1
            for name in manifest.files:
                entry.verified_path(name)
        except DamagedEntry:
            return True
    return False


def _files(cache: Path) -> list[Path]:
    return sorted(path for path in cache.glob("*/??/*/*") if path.is_file())


def _flip(cache: Path, chance: random.Random) -> bool:
    path = chance.choice(_files(cache))
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    return True


def _cut(cache: Path, chance: random.Random) -> bool:
    path = chance.choice(_files(cache))
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])
    return True


def _remove(cache: Path, chance: random.Random) -> bool:
    chance.choice(_files(cache)).unlink()
    return True


def _swap_files(cache: Path, chance: random.Random) -> bool:
    one, other = chance.sample(_files(cache), 2)
    before, after = one.read_bytes(), other.read_bytes()
    one.write_bytes(after)
    other.write_bytes(before)
    return before != after


def _swap_entries(cache: Path, chance: random.Random) -> bool:
    kind = chance.choice([path.name for path in cache.iterdir() if any(path.glob("??/*"))])
    folders = sorted(cache.glob(f"{kind}/??/*"))
    if len(folders) < 2:
        return False
    one, other = chance.sample(folders, 2)
    aside = cache / "aside"
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
    return True


ATTACKS: dict[str, Callable[[Path, random.Random], bool]] = {
    "flipped bits": _flip,
    "cut files": _cut,
    "removed files": _remove,
    "swapped files": _swap_files,
    "swapped entries": _swap_entries,
}
