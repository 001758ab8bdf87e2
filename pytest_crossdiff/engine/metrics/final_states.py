"""What a model's head reads where it predicts the tokens of the held-out texts, kept with the head.

Axes: n predicted tokens, d model width, v outputs, b texts of a batch, p positions.
"""

from __future__ import annotations

import contextlib
import functools
import json
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from pytest_crossdiff.engine.activations.batches import tokenised
from pytest_crossdiff.engine.activations.conversations import Place
from pytest_crossdiff.engine.activations.rendering import tokenize
from pytest_crossdiff.engine.activations.shard_reading import padded, token_limit
from pytest_crossdiff.engine.metrics.entry_names import WORDS
from pytest_crossdiff.engine.metrics.heads import (
    Head,
    UncomparableError,
    head_inputs,
    head_module,
    read_head,
)
from pytest_crossdiff.engine.models.reading.predictions import output_words
from pytest_crossdiff.errors import ActivationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from pytest_crossdiff.engine.activations.batches import Job
    from pytest_crossdiff.engine.activations.rendering import Encoded
    from pytest_crossdiff.engine.corpus.sampling import Piece
    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.engine.models.reading.probing import Batching
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.store.cache import Entry

STATES, HEAD = "states.safetensors", "head.safetensors"
BATCH_TOKENS = {"cpu": 2_048, "cuda": 16_384}
CHECKED_TOKENS = 64
"""Tokens on which a stored head is compared with the whole model."""


class FinalStates(NamedTuple):
    """One model on the held-out texts: a row for each token that it predicts.

    states_nd: what its head reads at the position before.  ids_n: the predicted token.  piece_n,
    starts_n, ends_n: the piece it lies in, and its characters there.  words: the text of each
    output.
    """

    states_nd: Tensor
    ids_n: NDArray[np.int32]
    piece_n: NDArray[np.int32]
    starts_n: NDArray[np.int32]
    ends_n: NDArray[np.int32]
    head: Head
    words: Sequence[str]

    @classmethod
    def load(cls, entry: Entry) -> FinalStates:
        """Read what `save` kept."""
        manifest = entry.read_manifest()
        assert manifest is not None, "states are opened when they are complete"
        columns = load_file(entry.verified_path(STATES))
        head = load_file(entry.verified_path(HEAD))
        return cls(
            states_nd=columns["states"],
            ids_n=columns["ids"].numpy(),
            piece_n=columns["piece"].numpy(),
            starts_n=columns["starts"].numpy(),
            ends_n=columns["ends"].numpy(),
            head=Head(
                head["weight"], head.get("bias"), manifest.meta["scale"], manifest.meta["softcap"]
            ),
            words=json.loads(entry.read_bytes(WORDS)),
        )

    def save(self, entry: Entry) -> None:
        """Keep it in an entry that is locked and open; the rest of the head goes into its metadata,
        see `metadata`.
        """
        columns = {
            "states": self.states_nd,
            **{
                name: torch.from_numpy(column)
                for name, column in (
                    ("ids", self.ids_n),
                    ("starts", self.starts_n),
                    ("ends", self.ends_n),
                    ("piece", self.piece_n),
                )
            },
        }
        head = self.head
        kept = {"weight": head.weight_vd} | ({} if head.bias_v is None else {"bias": head.bias_v})
        with entry.writing(STATES) as path:
            save_file(columns, path)
        with entry.writing(HEAD) as path:
            save_file({name: tensor.cpu().contiguous() for name, tensor in kept.items()}, path)
        entry.write(WORDS, json.dumps(self.words).encode())

    @property
    def metadata(self) -> dict[str, float]:
        """What `load` needs in the metadata of the entry."""
        return {"scale": self.head.scale, "softcap": self.head.softcap}


def read_final_states(
    model: LoadedModel,
    pieces: Mapping[int, Piece],
    entry: Entry,
    *,
    chat_template: str,
    label: str,
    progress: Progress,
) -> None:
    """Fill `entry` with what `final_states` finds."""
    began = time.perf_counter()
    found = final_states(model, pieces, chat_template=chat_template, label=label, progress=progress)
    _complete(entry, model, found, time.perf_counter() - began)


def _complete(entry: Entry, model: LoadedModel, found: FinalStates, seconds: float) -> None:
    found.save(entry)
    named = {"model": model.reference.reference, "dtype": str(model.dtype).removeprefix("torch.")}
    entry.complete({**named, **found.metadata, "seconds": seconds})


class StatesListener:
    """Takes the final states of some pieces, by their index, out of forward passes that are run to
    read something else; a `shard_reading.Listener`.

    Raises `UncomparableError` where `final_states` would.
    """

    def __init__(self, model: LoadedModel, pieces: Collection[int], label: str) -> None:
        if model.head != "causal":
            raise _predicts_nothing(model, label)
        self._model, self._pieces, self._label = model, pieces, label
        head_module(model.model)  # which raises where there is none
        self._states: dict[int, Tensor] = {}

    @contextlib.contextmanager
    def listening(self, model: PreTrainedModel) -> Iterator[list[Tensor]]:
        """Inside, what the head of `model`, which has these weights, reads is kept."""
        heard: list[Tensor] = []

        def keep(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            heard[:] = arguments[:1]

        handle = head_module(model).register_forward_pre_hook(keep)
        try:
            yield heard
        finally:
            handle.remove()

    def take(self, batch: Sequence[Job], heard: Sequence[Tensor], read_before: int) -> None:
        """Keep the states of those pieces of the batch that are wanted."""
        if not heard:
            return  # `save` finds them missing
        (heard_bpd,) = heard
        longest = max(job.length for job in batch)
        read_bpd = torch.nn.functional.pad(heard_bpd, (0, 0, read_before, 0)).cpu()
        if read_bpd.shape[:-1] != (len(batch), longest):
            return
        wanted = {row: job for row, job in enumerate(batch) if job.piece in self._pieces}
        self._states |= _states_of(read_bpd, wanted, self._label)

    def save(self, entry: Entry, jobs: Sequence[Job], seconds: float) -> None:
        """Fill `entry`, which is locked and open, as `read_final_states` would; nothing where not
        all of `jobs` were listened to, or none predicts anything.
        """
        wanted = [job for job in jobs if job.piece in self._pieces]
        wanted = [job for job in wanted if len(predicted_tokens(job.encoded))]
        if not wanted or {job.piece for job in wanted} != self._states.keys():
            return
        model = self._model
        head = _checked_head(model, wanted[len(wanted) // 2])
        words = output_words(model.model, model.tokenizer)
        _complete(entry, model, _gathered(head, sorted(wanted), self._states, words), seconds)


def final_states(
    model: LoadedModel,
    pieces: Mapping[int, Piece],
    *,
    chat_template: str,
    label: str,
    progress: Progress,
) -> FinalStates:
    """The final states of a causal `model` on `pieces`, given by their index.

    label: what the model is called in messages.  Raises `UncomparableError` where the model has no
    causal head, or one that can't be rebuilt, and `ActivationError` on NaN or infinite states.
    """
    if model.head != "causal":
        raise _predicts_nothing(model, label)
    limit = token_limit(model)
    encode = functools.partial(
        tokenize, tokenizer=model.tokenizer, chat_template=chat_template, limit=limit
    )
    jobs = tokenised(pieces.items(), encode, lambda encoded: len(predicted_tokens(encoded)) > 0)
    if not jobs:
        raise ActivationError(f"the held-out texts hold no token for the {label} to predict")
    jobs.sort(key=lambda job: (job.length, job.piece))
    head = _checked_head(model, jobs[len(jobs) // 2])
    total = sum(job.length for job in jobs)
    states: dict[int, Tensor] = {}
    with progress.phase(f"read predictions of {label}", total, "token") as bar:
        budget = BATCH_TOKENS.get(model.device.type, BATCH_TOKENS["cpu"])
        for batch in _batches(jobs, budget, model.batching):
            states |= _run(model, batch, label)
            bar.advance(sum(job.length for job in batch))
    return _gathered(head, sorted(jobs), states, output_words(model.model, model.tokenizer))


def _predicts_nothing(model: LoadedModel, label: str) -> UncomparableError:
    return UncomparableError(f"the {label}, {model.architecture}, predicts no next token")


def predicted_tokens(encoded: Encoded) -> NDArray[np.int64]:
    """The positions of the tokens whose prediction is compared: tokens of the text that anything,
    be it of a template, precedes; of conversations with answers those of the answers, as models
    never say what they predict in other turns.
    """
    said = encoded.content & (encoded.place == Place.TEXT)
    return np.flatnonzero(said[1:]) + 1


def _gathered(
    head: Head, jobs: Sequence[Job], states: Mapping[int, Tensor], words: Sequence[str]
) -> FinalStates:
    at = [(job, predicted_tokens(job.encoded)) for job in jobs]

    def column(name: str) -> NDArray[np.int32]:
        values = [np.asarray(getattr(job.encoded, name))[rows] for job, rows in at]
        return np.concatenate(values).astype(np.int32)

    return FinalStates(
        states_nd=torch.cat([states[job.piece] for job in jobs]),
        ids_n=column("input_ids"),
        piece_n=np.repeat([job.piece for job, _ in at], [len(rows) for _, rows in at]).astype(
            np.int32
        ),
        starts_n=column("starts"),
        ends_n=column("ends"),
        head=head,
        words=words,
    )


def _checked_head(model: LoadedModel, job: Job) -> Head:
    ids = np.asarray(job.encoded.input_ids[:CHECKED_TOKENS], dtype=np.int64)
    ids_bp = torch.from_numpy(ids)[None].to(model.device)
    return read_head(model.model, {"input_ids": ids_bp, "attention_mask": torch.ones_like(ids_bp)})


def _batches(jobs: Sequence[Job], budget: int, batching: Batching) -> Iterator[list[Job]]:
    """Runs of jobs, shortest first, that padded to the longest stay within `budget` tokens, and
    that the model reads as it reads each alone.
    """
    batch: list[Job] = []
    for job in jobs:
        length = job.length
        padded = bool(batch) and length != batch[0].length
        apart = batching == "one text" or (batching == "same length" and padded)
        if batch and (apart or length * (len(batch) + 1) > budget):
            yield batch
            batch = []
        batch.append(job)
    yield batch


def _run(model: LoadedModel, batch: Sequence[Job], label: str) -> dict[int, Tensor]:
    """The states of each piece in `batch` at the positions before its predicted tokens."""
    ids_bp, mask_bp, _ = padded(batch)
    inputs = {"input_ids": ids_bp, "attention_mask": mask_bp}
    read_bpd = head_inputs(model.model, {k: x.to(model.device) for k, x in inputs.items()}).cpu()
    return _states_of(read_bpd, dict(enumerate(batch)), label)


def _states_of(read_bpd: Tensor, jobs: Mapping[int, Job], label: str) -> dict[int, Tensor]:
    """Of the jobs, by their rows, those states that predict something."""
    at = {row: predicted_tokens(job.encoded) - 1 for row, job in jobs.items()}
    found = {
        jobs[row].piece: read_bpd[row, torch.from_numpy(rows)]
        for row, rows in at.items()
        if len(rows)
    }
    for piece, states_nd in found.items():
        if not torch.isfinite(states_nd).all():
            raise ActivationError(f"what the {label}'s head reads is NaN or infinite, text {piece}")
    return found
