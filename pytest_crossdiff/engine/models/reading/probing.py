"""What is found out about a model by running it on a few tokens when it is loaded: in which order
its blocks run, how the residual stream lies in their output, and which batches leave a
text as it is.

Nothing here depends on a family's name.

Axes: b texts of a batch, p positions, d model width.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from pytest_crossdiff.engine.models.not_loaded import NotLoadedError
from pytest_crossdiff.engine.models.reading.blocks import (
    blocks_at,
    candidate_lists,
    no_stream_error,
    supported_inputs,
)
from pytest_crossdiff.engine.models.reading.passes import (
    inputs_after_pass,
    output_of_pass,
    passes_in_order,
)
from pytest_crossdiff.engine.models.reading.source_and_target import as_long_as
from pytest_crossdiff.engine.models.reading.streams import PLAIN, StreamLayout, possible_layouts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Batching = Literal["padded", "same length", "one text"]
"""Which texts may share a batch without changing each other: any, padded to the longest; those of
the same length; none.
"""
PROBE = (
    "The committee met on Tuesday to discuss the new budget; seven were in favour, six against.",
    "She opened the window because the room was hot.",
)
"""Two sentences of different length that a model reads when it is loaded."""
LAYOUT_TEXTS, LAYOUT_TOKENS = 3, 11
"""A batch whose sizes no number of parallel streams or heads is likely to equal."""
ROUNDING = {torch.float32: 2e-4, torch.float64: 1e-8, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""The relative distance of two vectors that the order of sums can explain, by number type."""
LATER = {torch.float32: 1e-5, torch.float64: 1e-9, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""The relative distance of a causal model's logits that comes from another token behind them: with
the same shapes only the grouping of tokens by experts changes an order of sums.
"""


class Independent(NamedTuple):
    """Values of the residual stream that the model itself passes on or reports.

    after: what the next pass gets, or behind the last the next module.  reported:
    `output_hidden_states`, and the last hidden state.
    """

    after: list[Tensor]
    reported: list[Tensor]


def probe_tokens(
    tokenizer: PreTrainedTokenizerBase, embeddings: int | None, limit: int | None
) -> list[Tensor]:
    """The ids of the probe's sentences, each of shape (1, p), the longer one first."""
    found = []
    for text in PROBE:
        ids = tokenizer(text, verbose=False)["input_ids"]
        ids = [i for i in ids if embeddings is None or i < embeddings] or [0]
        ids = (ids * LAYOUT_TOKENS)[: max(len(ids), LAYOUT_TOKENS)]
        found.append(torch.tensor([ids[: limit or len(ids)]]))
    longer, shorter = found
    if longer.shape[1] <= shorter.shape[1]:
        shorter = shorter[:, : max(1, longer.shape[1] // 2)]
    return [longer, shorter]


def distance(found_bpd: Tensor, expected_bpd: Tensor) -> float:
    """The largest distance of two vectors at the same place, in units of the expected one's length;
    infinite where shapes differ or a number is NaN.
    """
    if found_bpd.shape != expected_bpd.shape:
        return float("inf")
    found, expected = found_bpd.float(), expected_bpd.float()
    ratio = (found - expected).norm(dim=-1) / expected.norm(dim=-1).clamp(min=1e-30)
    largest = float(ratio.max()) if ratio.numel() else 0.0
    return largest if largest == largest else float("inf")


def runs_of(model: nn.Module, ids_bp: Tensor, **more: bool) -> Callable[[], Any]:
    """The model's forward pass on `ids_bp` without padding."""
    inputs = without_padding(ids_bp)
    return lambda: model(**supported_inputs(model, inputs), **more)


def without_padding(ids_bp: Tensor) -> dict[str, Tensor]:
    """Inputs of texts without padding; without weights there is no mask, whose values a model asks
    for.
    """
    mask = {} if ids_bp.is_meta else {"attention_mask": torch.ones_like(ids_bp)}
    return {"input_ids": ids_bp, **mask}


def order_of_blocks(
    model: nn.Module, blocks: Sequence[nn.Module], ids_bp: Tensor
) -> list[nn.Module] | None:
    """The passes through `blocks` in their order where some run several times; None where each runs
    once at most, so that passes are blocks.
    """
    called = passes_in_order(runs_of(model, ids_bp), blocks)
    repeated = len({id(block) for block in called}) < len(called)
    return called if repeated else None


def choose_list(model: PreTrainedModel, reader: nn.Module, ids_bp: Tensor) -> str:
    """Of several lists of the same length the one whose outputs are the model's hidden states; ""
    where that is none or more than one.
    """
    try:
        reported = independent_values(reader, [], 0, ids_bp).reported
    except Exception:  # noqa: BLE001  the caller says what is unclear
        return ""
    found = []
    for name in _of_equal_length(model, candidate_lists(model)):
        blocks = blocks_at(model, name)
        middle = len(blocks) // 2
        reached = None
        with contextlib.suppress(Exception):
            reached = output_of_pass(runs_of(reader, ids_bp), blocks, middle)
        if reached is None:
            continue
        for layout in possible_layouts(reached[0], *ids_bp.shape):
            value = layout.read(reached[0], ids_bp.shape[1])
            if any(distance(value, h) < ROUNDING[torch.float32] for h in reported):
                found.append(name)
                break
    return found[0] if len(found) == 1 else ""


def _of_equal_length(model: nn.Module, candidates: Sequence[str]) -> list[str]:
    """The candidates and the lists beside them that are as long, of mere norms, too."""
    lengths = {len(model.get_submodule(name)) for name in candidates if ", " not in name}  # type: ignore[arg-type]
    parents = {name.rpartition(".")[0] for name in candidates}
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList)
        and len(module) in lengths
        and name.rpartition(".")[0] in parents
    ]


def layout_of(
    model: nn.Module, passes: Sequence[nn.Module], number: int, ids_bp: Tensor
) -> StreamLayout:
    """How the residual stream lies in the output of a pass.  Raises `ModelError`."""
    row = ids_bp[:, :LAYOUT_TOKENS]
    ids = torch.cat([row.roll(shift, 1) for shift in range(LAYOUT_TEXTS)])
    reached = output_of_pass(runs_of(model, ids), passes, number)
    if reached is None:
        return PLAIN  # reading it says so
    possible = possible_layouts(reached[0], *ids.shape)
    if len(possible) > 1:
        own = independent_values(model, passes, number, ids)
        either = possible
        possible = [
            layout
            for layout in possible
            if any(
                distance(layout.read(reached[0], ids.shape[1]), value) < ROUNDING[torch.float32]
                for value in own.reported
            )
        ]
        if not possible and number:  # behind the last block the hidden state may be normed
            return layout_of(model, passes, number - 1, ids_bp)
        if not possible:
            return _where_the_last_token_is(model, passes, number, ids, either)
    if not possible:
        raise no_stream_error(type(passes[number]).__name__, reached[0], *ids.shape)
    return possible[0]


def _where_the_last_token_is(
    model: nn.Module,
    passes: Sequence[nn.Module],
    number: int,
    ids_bp: Tensor,
    possible: Sequence[StreamLayout],
) -> StreamLayout:
    """The layout in which another last token changes the vector at its own place most."""
    changed = ids_bp.clone()
    changed[:, -1] = ids_bp[:, 0]
    outputs = [output_of_pass(runs_of(model, ids), passes, number) for ids in (ids_bp, changed)]

    def change(layout: StreamLayout) -> float:
        before, after = (layout.read(of[0], ids_bp.shape[1])[:, -1] for of in outputs if of)
        return float((after - before).norm())

    return max(possible, key=change)


def independent_values(
    model: nn.Module, passes: Sequence[nn.Module], number: int, ids_bp: Tensor
) -> Independent:
    """Values to compare the output of a pass with, from runs that don't stop there."""
    run = runs_of(model, ids_bp)
    after = inputs_after_pass(run, passes, number, model) if passes else []
    reported: list[Tensor] = []
    with torch.inference_mode():
        try:
            out = runs_of(model, ids_bp, output_hidden_states=True)()
        except TypeError:  # a forward pass without this option
            out = run()
        except NotLoadedError:  # a part of a model reports nothing
            return Independent(after, [])
    names = ["hidden_states", "encoder_hidden_states", "text_hidden_states"]
    if getattr(out, "decoder_hidden_states", None) is not None:
        names = ["decoder_hidden_states"]
    for name in names:
        reported += [h for h in getattr(out, name, None) or () if isinstance(h, Tensor)]
    last = getattr(out, "last_hidden_state", None)
    return Independent(after, [*reported, *([last] if isinstance(last, Tensor) else [])])


def sees_later_tokens(
    read: Callable[[Tensor, Tensor], Tensor], ids_bp: Tensor, rounding: float
) -> bool:
    """Whether what is read before the last token of a text changes with that token."""
    changed = ids_bp.clone()
    different = [i for i in ids_bp.flatten().tolist() if i != int(ids_bp[0, -1])]
    changed[0, -1] = different[0] if different else (int(ids_bp[0, -1]) + 1) % 2
    mask = torch.ones_like(ids_bp)
    before, after = read(ids_bp, mask)[:, :-1], read(changed, mask)[:, :-1]
    return distance(after, before) > rounding


class BatchDistances(NamedTuple):
    """The largest relative distances between a text read alone and the same text read again
    (`repeated`), in a batch with a text of the same length (`same_length`), and in a batch padded
    to a longer text (`padded`).
    """

    repeated: float
    same_length: float
    padded: float

    def batching(self, rounding: float) -> Batching:
        """The largest batches that don't change a text."""
        if self.same_length > rounding:
            return "one text"
        return "same length" if self.padded > rounding else "padded"


def batch_distances(
    read: Callable[[Tensor, Tensor], Tensor],
    longer_1p: Tensor,
    shorter_1p: Tensor,
    alone_1pd: Tensor | None = None,
) -> BatchDistances:
    """Read `shorter_1p` alone, twice, and in two batches with `longer_1p`.  alone_1pd: what was
    read of it alone, where that is known.
    """
    length = shorter_1p.shape[1]
    ones = torch.ones_like(shorter_1p)
    alone = read(shorter_1p, ones) if alone_1pd is None else alone_1pd
    repeated = distance(read(shorter_1p, ones), alone)
    pair = torch.cat([shorter_1p, as_long_as(longer_1p, shorter_1p)])
    same_length = _distance_if_it_runs(read, pair, torch.ones_like(pair), alone)
    ids = torch.zeros(2, longer_1p.shape[1], dtype=torch.long)
    ids[0, :length], ids[1] = shorter_1p[0], longer_1p[0]
    mask = torch.ones_like(ids)
    mask[0, length:] = 0
    return BatchDistances(repeated, same_length, _distance_if_it_runs(read, ids, mask, alone))


def _distance_if_it_runs(
    read: Callable[[Tensor, Tensor], Tensor], ids_bp: Tensor, mask_bp: Tensor, alone_1pd: Tensor
) -> float:
    try:
        return distance(read(ids_bp, mask_bp)[:1, : alone_1pd.shape[1]], alone_1pd)
    except Exception:  # noqa: BLE001  a model that takes no such batch isn't given one
        return float("inf")
