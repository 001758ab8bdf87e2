"""A model and the pieces that it reads, tokenised and divided into shards: equal work, in an order
that depends on the pieces alone, so that any number of processes that share the shards make the
same.

Axes: t content tokens of a piece, w words.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch

from pytest_crossdiff.engine.activations.batches import (
    Job,
    batches,
    padded_tokens,
    shards,
    tokenised,
    tokens_in,
)
from pytest_crossdiff.engine.activations.columns import Found, columns_of
from pytest_crossdiff.engine.activations.conversations import Place, reads_clock
from pytest_crossdiff.engine.activations.rendering import template_for, tokenize
from pytest_crossdiff.engine.models.one_pass import read_layers
from pytest_crossdiff.engine.models.reading.predictions import ModelReadout
from pytest_crossdiff.engine.models.shared_prefix import SharedPrefix, read_prefix
from pytest_crossdiff.engine.models.two_at_once import two_at_once
from pytest_crossdiff.errors import ActivationError, CorpusError
from pytest_crossdiff.results.result import layer_name

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedModel

    from pytest_crossdiff.engine.corpus.sampling import Piece
    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.engine.models.readers.reader import Reader

BATCH_TOKENS = {"cpu": 2_048, "cuda": 16_384}
LOGITS = {"cpu": 2**27, "cuda": 2**30}
"""Numbers that a batch's predictions are at most, where those are read."""
LARGEST = 1e12
"""Of the numbers of an activation; models in use have 1e5 at most, and squares of 1e19 and more
can't be summed in single precision."""
MAX_PIECE_TOKENS = 4_096
"""Tokens of a conversation that are read at most, where the model itself would take more."""


class Listener(Protocol):
    """Takes more from the forward passes than what is read."""

    def listening(self, model: PreTrainedModel) -> AbstractContextManager[list[Tensor]]:
        """Inside, a pass of `model` is listened to; the list is what was heard."""

    def take(self, batch: Sequence[Job], heard: Sequence[Tensor], read_before: int) -> None:
        """Keep what was heard of the pass over `batch`, whose first so many positions were read
        before.
        """


class _Pass(NamedTuple):
    """A pass over a batch: what each view reads, and what the listener heard; the first so many
    positions were read before.
    """

    readouts: list[ModelReadout]
    heard: Sequence[Tensor] = ()
    read_before: int = 0


class Reading:
    """What is to be read, and how.

    views: one model at one or several layers, which `agree_in_one_pass`.  reader: what reads its
    one view instead of the model itself.  shards: the jobs of each
    shard by the name of its part.  jobs: all, the shortest first.  tokens: of all.  Raises
    `CorpusError` when no token is left or a chat template doesn't take the conversations.
    """

    def __init__(
        self,
        views: Sequence[LoadedModel],
        pieces: Sequence[Piece],
        chat_template: str,
        label: str,
        listener: Listener | None = None,
        reader: Reader | None = None,
    ) -> None:
        self.views, self._label, self._listener, self._reader = views, label, listener, reader
        model = views[0]
        template = template_for(model.tokenizer, chat_template, model.form)
        self._dated = reads_clock(pieces, model.tokenizer, template)
        self._conversations = any(piece.text is None for piece in pieces)
        limit = token_limit(model)
        encode = functools.partial(
            tokenize,
            tokenizer=model.tokenizer,
            chat_template=chat_template,
            limit=limit,
            form=model.form,
        )
        jobs = tokenised(enumerate(pieces), encode, lambda encoded: bool(encoded.content.any()))
        if not jobs:
            raise CorpusError(
                f"the {label}'s tokenizer leaves no token of the corpus", remedy="check the corpus"
            )
        jobs.sort(key=lambda job: (job.length, job.piece))
        self.jobs, self.tokens = jobs, tokens_in(jobs)
        divided = list(shards(jobs, self.tokens))
        self.shards: dict[str, list[Job]] = {
            f"shard-{i:05}-of-{len(divided):05}.safetensors": shard
            for i, shard in enumerate(divided)
        }

    def read(
        self, names: Sequence[str], advance: Callable[[int], object]
    ) -> Generator[list[dict[str, Tensor]]]:
        """Of each shard its vectors and index, of each view, as the tensors that are stored.

        advance: told of each batch's tokens.  Raises `ActivationError` on NaN or infinite ones.
        """
        divided = {name: list(batches(self.shards[name], self._budget)) for name in names}
        every = list(itertools.chain(*divided.values()))
        several = self._reader is None and len(every) > 1
        with two_at_once(self.views, allowed=several) as read:
            if several:
                _ = self._prefix  # is read before, on as many threads as what is read behind it
            passes = read(self._run, every)
            for name, of_shard in divided.items():
                yield self._columns(name, zip(of_shard, passes, strict=False), advance)

    def _columns(
        self,
        name: str,
        passes: Iterable[tuple[Sequence[Job], _Pass]],
        advance: Callable[[int], object],
    ) -> list[dict[str, Tensor]]:
        """Of a shard what is stored, from the passes over its batches."""
        parts: list[dict[int, Found]] = [{} for _ in self.views]
        said = [_nothing_said(view) for view in self.views]
        for batch, found in passes:
            if self._listener is not None:
                self._listener.take(batch, found.heard, found.read_before)
            for i, readout in enumerate(found.readouts):
                parts[i] |= _found(self.views[i], batch, readout, self._label)
                said[i] += readout.probability_w
            advance(tokens_in(batch))
        return [
            columns_of(
                self.shards[name],
                of_view,
                said_w if view.predictions else None,
                conversations=self._conversations,
            )
            for view, of_view, said_w in zip(self.views, parts, said, strict=True)
        ]

    def _run(self, views: Sequence[LoadedModel], batch: Sequence[Job]) -> _Pass:
        """views: those of the reading, or of a copy of their model."""
        ids_bp, mask_bp, counted_bp = padded(batch)
        if self._reader is not None:
            return _Pass([_read_by(self._reader, ids_bp, mask_bp, views[0].dtype)])
        device, listener, prefix = views[0].device, self._listener, self._prefix
        listening = listener.listening(views[0].model) if listener else contextlib.nullcontext([])
        with listening as heard:
            of_batch = views, ids_bp.to(device), mask_bp.to(device), counted_bp
            found = prefix.read(*of_batch) if prefix else read_layers(*of_batch)
        return _Pass(found, heard, prefix.length if prefix else 0)

    @functools.cached_property
    def _prefix(self) -> SharedPrefix | None:
        """What all jobs begin with, where it is worth reading once."""
        length = min(_shared(job, self.jobs[0].encoded.input_ids) for job in self.jobs)
        device = self.views[0].device
        short, longer = (
            torch.from_numpy(np.asarray(self.jobs[at].encoded.input_ids, dtype=np.int64)[None])
            for at in (0, len(self.jobs) // 2)
        )
        short, longer = short.to(device), longer.to(device)
        return read_prefix(self.views, short[:, :length], [short, longer])

    @property
    def _budget(self) -> int:
        """Tokens of a batch."""
        return min(_budget(view) for view in self.views)

    def facts(self, model: LoadedModel) -> dict[str, Any]:
        """What describes the harvest of one of the views."""
        jobs = self.jobs
        return {
            "model": model.reference.reference,
            "architecture": model.architecture,
            "layer": model.layer,
            "layers": model.layers,
            "width": model.width,
            "words": model.predictions.digest if model.predictions else "",
            "head": model.head,
            "dtype": str(model.dtype).removeprefix("torch."),
            "tokens": self.tokens,
            "special": self.tokens - sum(int(job.encoded.content.sum()) for job in jobs),
            "truncated": sum(job.encoded.truncated_characters for job in jobs),
            "padded": sum(padded_tokens(s, self._budget) for s in self.shards.values()),
            "conversations": self._conversations,
            "dated": self._dated,
            "form": model.form,
            "unplaced": sum(job.encoded.unplaced_characters for job in jobs),
        }


def _read_by(reader: Reader, ids_bp: Tensor, mask_bp: Tensor, dtype: torch.dtype) -> ModelReadout:
    """What a reader finds in a padded batch."""
    found = reader.read([ids[mask.bool()] for ids, mask in zip(ids_bp, mask_bp, strict=True)])
    vectors_bpd = torch.zeros(*ids_bp.shape, found[0].shape[1], dtype=dtype)
    for row, vectors_pd in enumerate(found):
        vectors_bpd[row, : len(vectors_pd)] = vectors_pd.to(dtype)
    return ModelReadout(vectors_bpd, torch.full(ids_bp.shape, torch.nan))


def _shared(job: Job, ids: NDArray[np.int32]) -> int:
    """How many tokens of `ids` a job begins with, short of those at which something is predicted
    that is compared.
    """
    own = np.asarray(job.encoded.input_ids)
    compared = np.flatnonzero(_compared(job))
    end = min(len(own) - 1, len(ids), *(compared[:1] - 1).clip(0).tolist())
    differs = np.flatnonzero(own[:end] != ids[:end])
    return int(differs[0]) if len(differs) else end


def _compared(job: Job) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = job.encoded.content & (job.encoded.place != Place.CONTEXT)
    return found


def _budget(model: LoadedModel) -> int:
    """Tokens of a batch."""
    device = model.device.type
    budget = BATCH_TOKENS.get(device, BATCH_TOKENS["cpu"])
    if model.predictions is None:
        return budget
    return max(1, min(budget, LOGITS.get(device, LOGITS["cpu"]) // len(model.predictions.words)))


def token_limit(model: LoadedModel) -> int:
    """Tokens of a text that are read at most."""
    return min(model.max_length or MAX_PIECE_TOKENS, MAX_PIECE_TOKENS)


def _nothing_said(model: LoadedModel) -> Tensor:
    return torch.zeros(0 if model.predictions is None else len(model.predictions.words))


def padded(batch: Sequence[Job]) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids, mask, and the places at which what is predicted is compared, shape (b, p) each; of
    jobs of which the last is the longest.
    """
    longest = batch[-1].length
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    mask, counted = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, job in enumerate(batch):
        length = job.length
        ids[row, :length] = torch.as_tensor(np.asarray(job.encoded.input_ids, dtype=np.int64))
        mask[row, :length] = 1
        counted[row, :length] = torch.from_numpy(_compared(job).astype(np.int64))
    return ids, mask, counted


def _found(
    model: LoadedModel, batch: Sequence[Job], readout: ModelReadout, label: str
) -> dict[int, Found]:
    """What is found of each piece in `batch`.  Raises `ActivationError`."""
    read_bpd = readout.vectors_bpd.cpu()
    found = {}
    for row, job in enumerate(batch):
        content = torch.from_numpy(np.flatnonzero(job.encoded.content))
        found_td = read_bpd[row, content].contiguous()
        usable_t = (found_td.abs() <= LARGEST).all(1)  # false of NaN, too
        if not usable_t.all():
            where = layer_name(model.layer, model.layers)
            bad = int((~usable_t).sum())
            finite = bool(torch.isfinite(found_td).all())
            raise ActivationError(
                f"{bad} of {len(found_td)} activations of the {label}, {where}, are "
                + (f"beyond {LARGEST:g}" if finite else "NaN or infinite")
                + f" (piece {job.piece} of the corpus)",
                source=f"crossdiff_{label} = {model.reference.reference}",
                remedy="check the weights; if they are sound, set crossdiff_dtype = float32",
            )
        found[job.piece] = Found(found_td, readout.nll_bp[row, content])
    return found
