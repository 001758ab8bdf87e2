"""Measurements of a small pair in processes of their own, and what they leave in the cache."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.models.loading.load import silence_transformers
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.results.result import Result
from pytest_crossdiff.store.cache import DamagedEntry, Entry, Store
from support import planted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_crossdiff.settings import Settings

KILLED = 9
CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod", "os.truncate", "os.rmdir")
"""Operations on files, by the names of Python's audit events."""


class Pair(NamedTuple):
    """Two models on disk."""

    baseline: Path
    candidate: Path

    @classmethod
    def made(cls, folder: Path) -> Pair:
        with silence_transformers():
            return cls._made(folder)

    @classmethod
    def _made(cls, folder: Path) -> Pair:
        return cls(planted.plain(folder / "plain"), planted.merged(folder / "merged"))

    def settings(self, cache: Path, **others: Any) -> Settings:
        """A run that takes about a second."""
        small = {"tokens": 3_000, "steps": 40, "features": 128, "bootstrap": 200}
        small |= {"metrics": False, "effect": False, "replies": 0}
        return planted.quick(self.baseline, self.candidate, cache, **small | others)


class Ended(NamedTuple):
    """How a process ended.  code: as `subprocess` has it.  said: what it wrote."""

    code: int
    said: str


class Child:
    """`work` in a process of its own, which prints what it returns or the error that ended it."""

    def __init__(self, work: Callable[[], object]) -> None:
        reading, writing = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            code, said = 1, ""
            try:
                code, said = 0, str(work())
            except BaseException as error:  # noqa: BLE001  told to the parent
                said = f"{type(error).__name__}: {error}"
            finally:
                os.write(writing, said.encode()[:4_000])
                os._exit(code)
        os.close(writing)
        self._said = reading

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> Ended:
        with os.fdopen(self._said, "rb") as said:
            text = said.read().decode()
        return Ended(os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), text)


def ended(work: Callable[[], object]) -> Ended:
    """The end of `work` in a process of its own."""
    return Child(work).wait()


def measure(settings: Settings) -> str:
    """Run, and say `trained` or `cached`."""
    trained = []

    class Listening(SilentProgress):
        def phase(self, name: str, total: int, unit: str) -> Any:
            if name == "train dictionaries":
                trained.append(name)
            return super().phase(name, total, unit)

    pipeline.run(settings, progress=Listening())
    return "trained" if trained else "cached"


def dying_before(change: int, folder: Path, work: Callable[[], object]) -> Callable[[], object]:
    """`work`, ended without a word before the operation number `change` on a file in `folder`."""

    def run() -> object:
        seen = 0

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            if event in CHANGES and str(arguments[0]).startswith(str(folder)):
                seen += 1
                if seen == change:
                    os._exit(KILLED)

        sys.addaudithook(hook)
        return work()

    return run


def _parts(entry: Entry) -> dict[str, object]:
    """The parts of a complete entry, each checked."""
    manifest = entry.read_manifest()
    assert manifest is not None
    parts: dict[str, object] = dict(manifest.files)
    if "result.json" in parts:
        result = Result.from_json(entry.read_bytes("result.json").decode())
        parts["result.json"] = dataclasses.replace(result, seconds={})
    for name in manifest.files:
        entry.verified_path(name)
    return parts


def kept(cache: Path) -> dict[str, object]:
    """What a cache holds, less what differs from run to run: times."""
    store, found = Store(cache), {}
    for info in store.list():
        name = f"{info.kind} {info.path.name}"
        if info.state != "complete":
            found[name] = info.state
            continue
        try:
            found[name] = _parts(store.entry(info.kind, info.key))
        except DamagedEntry:
            found[name] = "damaged"
    temporary = [path.name for path in cache.rglob("*") if path.name.startswith(".tmp")]
    return found | dict.fromkeys(temporary, "temporary")
