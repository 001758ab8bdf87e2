"""A model read by all ranks: each reads every so manieth shard, the first one keeps the entry."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, NamedTuple

from safetensors.torch import save_file

from pytest_crossdiff.engine.activations.batches import tokens_in
from pytest_crossdiff.engine.activations.harvest import finish
from pytest_crossdiff.engine.activations.shard_reading import Reading
from pytest_crossdiff.engine.model_reading import prepared_model, reader_of
from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.store.artefact import is_whole
from pytest_crossdiff.store.digest import content_digest
from pytest_crossdiff.store.files import sync

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.engine.ranks.group import Ranks
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.settings.kinds import Layer
    from pytest_crossdiff.sides import Side
    from pytest_crossdiff.store.entry import Entry


class _Written(NamedTuple):
    """A shard that a rank wrote: its part's name, the file's name, its digest, its tokens."""

    name: str
    file: str
    sha256: str
    tokens: int


def read_together(
    plan: Plan, layer: Layer, key: str, side: Side, ranks: Ranks, progress: Progress
) -> None:
    """Fill the harvest of `side` under `key`; finished shards are kept.

    Raises as `harvest` does, `RankError`, and `StoreError` where ranks don't share the cache.
    """
    entry = plan.store.entry("harvest", key)
    with contextlib.ExitStack() as stack:
        if ranks.is_first:
            stack.enter_context(entry.lock(progress.note))
        if ranks.share(ranks.is_first and is_whole(entry)):
            return
        began = time.perf_counter()
        model = prepared_model(plan, layer, side, progress, sampled=ranks.is_first)
        reader = None
        try:
            reader = reader_of(plan, model)
            pieces, template = plan.sample.pieces, plan.settings.chat_template
            reading = Reading([model], pieces, template, side, reader=reader)
            with entry.checked_by(model.reference.must_be_unchanged):
                _read_missing(entry, reading, ranks, progress, side)
                if ranks.is_first:
                    finish(entry, reading, model, time.perf_counter() - began)
        finally:
            if reader is not None:
                reader.close()
            model.unload()
        ranks.wait()


def _read_missing(
    entry: Entry, reading: Reading, ranks: Ranks, progress: Progress, label: str
) -> None:
    if ranks.is_first:
        entry.keep_only(reading.shards)
    kept = ranks.share([name for name in reading.shards if ranks.is_first and entry.has(name)])
    missing = [name for name in reading.shards if name not in kept]
    own = missing[ranks.rank :: ranks.count]
    with progress.phase(f"read {label}", reading.tokens, "token") as bar:
        for name in kept:
            bar.advance(tokens_in(reading.shards[name]), "kept")
        for turn in range(-(-len(missing) // ranks.count)):
            written = _write(entry, reading, own[turn]) if turn < len(own) else None
            for of_rank in ranks.gather(written):
                if of_rank is not None and ranks.is_first:
                    _take(entry, of_rank)
                    bar.advance(of_rank.tokens)


def _write(entry: Entry, reading: Reading, name: str) -> _Written:
    ((columns,),) = reading.read([name], lambda _: None)
    path: Path = entry.spare_path(name)
    save_file(columns, path)
    sync(path)
    reading.views[0].reference.must_be_unchanged()
    return _Written(name, path.name, content_digest(path), tokens_in(reading.shards[name]))


def _take(entry: Entry, written: _Written) -> None:
    path = entry.path / written.file
    if not path.exists():
        raise StoreError(
            f"what another rank wrote isn't in the cache folder of the first: {path}",
            source="crossdiff_cache_dir",
            remedy="give a folder on a file system that all ranks share",
        )
    entry.take(written.name, path, written.sha256)
