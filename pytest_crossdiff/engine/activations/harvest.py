"""Run one model over the sampled pieces and keep its residual stream in shards.

Axes: n content tokens of the whole harvest, t tokens of a shard, d model width.
The pieces are sorted by length, so that a batch has hardly any padding; a shard is a run of
pieces; a killed harvest goes on after its last finished shard and ends in the same bits.
"""

from __future__ import annotations

import contextlib
import copy
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pytest_crossdiff.engine.activations.alignment import Tokens
from pytest_crossdiff.engine.activations.batches import tokens_in
from pytest_crossdiff.engine.activations.columns import StoredColumn, by_shard
from pytest_crossdiff.engine.activations.conversations import Place
from pytest_crossdiff.engine.activations.vocabularies import Vocabulary
from pytest_crossdiff.engine.models.reading.predictions import renaming
from pytest_crossdiff.engine.models.reading.source_and_target import TEXT, InputForm

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations.shard_reading import Reading
    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.store.cache import Entry

WORDS = "words.json"


class Harvest:
    """A finished harvest on disk: where each content token lies, and its residual vector.

    piece_n, ids_n, starts_n, ends_n: columns of length n.  place_n: a `Place` each.  Vectors of
    predictions are 0 in context, where they aren't compared.  Columns and vectors are read through
    memory maps, so that memory doesn't grow with the corpus.
    """

    _words: tuple[str, ...] = ()
    _renaming_dd: Tensor | None = None

    def __init__(self, entry: Entry) -> None:
        manifest = entry.read_manifest()
        assert manifest is not None, "a harvest is opened when it is complete"
        self.meta = manifest.meta
        names = sorted(name for name in manifest.files if name.startswith("shard-"))
        self._files: list[Any] = [safe_open(entry.verified_path(name), "pt") for name in names]
        self.piece_n, self.ids_n, self.starts_n, self.ends_n = map(self._column, _INDEX)
        self.place_n: StoredColumn | NDArray[np.int8]
        if self.meta.get("conversations"):
            self.place_n = self._column("place")
        else:
            self.place_n = _the_same(np.int8(Place.TEXT), len(self))
        if self.words:
            self._words = tuple(json.loads(entry.read_bytes(WORDS)))
        self._vectors = [f.get_tensor("activations") for f in self._files]  # mapped, not read
        self._starts = np.cumsum([0, *(v.shape[0] for v in self._vectors)])

    def __len__(self) -> int:
        return len(self.piece_n)

    @property
    def width(self) -> int:
        return int(self._vectors[0].shape[1])

    @property
    def said_n(self) -> NDArray[np.bool_]:
        """Of which tokens something was read: of predictions all but those of context."""
        found: NDArray[np.bool_] = (np.asarray(self.place_n) != Place.CONTEXT) | (not self.words)
        return found

    @property
    def nll_n(self) -> NDArray[np.float32]:
        """How little each token was expected, as `predictions.ModelReadout` has it; NaN where an
        answer or a text of it begins, whose token belongs to the template, and of context; all NaN
        where a block was read.
        """
        if not self.words:
            return _the_same(np.float32(np.nan), len(self))
        nll_n = np.asarray(self._column("surprise"))
        nll_n[np.asarray(self.place_n) >= Place.ANSWER_START] = np.nan
        return nll_n

    def _column(self, name: str) -> StoredColumn:
        return StoredColumn([file.get_tensor(name).numpy() for file in self._files])

    @property
    def form(self) -> InputForm:
        """What of each document the model read."""
        return InputForm(*self.meta.get("form", TEXT))

    @property
    def words(self) -> str:
        """The digest of what is predicted, "" where a block was read."""
        return str(self.meta["words"])

    @property
    def vocabulary(self) -> Vocabulary:
        """The words that are predicted, with the probability of each."""
        said_w = sum(f.get_tensor("said").double().numpy() for f in self._files)
        said_w /= np.count_nonzero(self.said_n)
        return Vocabulary(self._words, said_w, tags=self.meta["head"] == "tags")

    def renamed(self, names: Sequence[str]) -> Harvest:
        """The harvest as if the model's words, in their order, were `names`."""
        made = copy.copy(self)
        made._words, made._renaming_dd = tuple(names), renaming(self._words, names)
        return made

    def vectors(self, rows: NDArray[np.integer]) -> Tensor:
        """The residual vectors of `rows` (indices into n), fp32, shape (len(rows), d), in memory of
        their own.
        """
        found = torch.empty(len(rows), self.width)
        for i, inside, chosen in by_shard(self._starts, rows):
            stored, at = self._vectors[i], torch.from_numpy(chosen)
            if isinstance(inside, slice) and stored.dtype == found.dtype:
                torch.index_select(stored, 0, at, out=found[inside])
            else:
                found[inside] = stored[at].float()
        return found if self._renaming_dd is None else found @ self._renaming_dd

    def rows_by_piece(self) -> PieceRows:
        """Which rows are those of which piece."""
        piece_n = np.asarray(self.piece_n)
        order_n = np.argsort(piece_n, kind="stable").astype(row_kind(len(self)))
        pieces, starts = np.unique(piece_n[order_n], return_index=True)
        return PieceRows(pieces, order_n, np.append(starts, len(order_n)))

    def tokens(self, rows: NDArray[np.integer]) -> Tokens:
        """The tokens of `rows`."""
        content = np.ones(len(rows), dtype=bool)
        return Tokens(self.ids_n[rows], self.starts_n[rows], self.ends_n[rows], content)


class PieceRows(NamedTuple):
    """The rows of every piece's tokens, in three arrays: thousands of small ones would leave holes
    in memory.

    pieces: those that have any, rising.  order_n: the rows, one piece behind the other, each in
    reading order.  starts: where those of each piece begin, and the end.
    """

    pieces: NDArray[np.integer]
    order_n: NDArray[np.integer]
    starts: NDArray[np.integer]

    def of(self, number: int) -> NDArray[np.integer]:
        """The rows of the piece `pieces[number]`."""
        return self.order_n[self.starts[number] : self.starts[number + 1]]


_INDEX = ("piece", "ids", "starts", "ends")


def row_kind(count: int) -> type[np.integer]:
    """The smallest type of numbers that hold so many rows."""
    return np.int32 if count < 1 << 31 else np.int64


def _the_same(value: np.generic, count: int) -> NDArray[Any]:
    """`value` so many times, in the memory of one."""
    return np.broadcast_to(value, count)


def harvest(reading: Reading, entries: Sequence[Entry], *, label: str, progress: Progress) -> None:
    """Fill the entry of each view of `reading` with its activations; finished shards are kept.

    Raises `ActivationError` on NaN or infinite activations.
    """
    began = time.perf_counter()
    for entry in entries:
        entry.keep_only(reading.shards)
    # A shard is written while the next is read.
    with (
        progress.phase(f"read {label}", reading.tokens, "token") as bar,
        ThreadPoolExecutor(1) as writer,
    ):
        missing = []
        for name, shard in reading.shards.items():
            if all(entry.has(name) for entry in entries):
                bar.advance(tokens_in(shard), "kept")
            else:
                missing.append(name)
        written: Future[None] | None = None
        with contextlib.closing(reading.read(missing, bar.advance)) as shards:
            for name, columns in zip(missing, shards, strict=True):
                if written is not None:
                    written.result()
                written = writer.submit(_write, entries, name, columns)
        if written is not None:
            written.result()
    for view, entry in zip(reading.views, entries, strict=True):
        finish(entry, reading, view, time.perf_counter() - began)


def finish(entry: Entry, reading: Reading, view: LoadedModel, seconds: float) -> None:
    """Complete the entry of a view, which has all shards."""
    if view.predictions is not None:
        entry.write(WORDS, json.dumps(view.predictions.words).encode())
    entry.complete({**reading.facts(view), "seconds": seconds})


def _write(entries: Sequence[Entry], name: str, columns: Sequence[dict[str, Tensor]]) -> None:
    for entry, of_view in zip(entries, columns, strict=True):
        if not entry.has(name):
            with entry.writing(name) as temporary:
                save_file(of_view, temporary)
