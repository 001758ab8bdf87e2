"""Benign upgrades: the same function in other numbers, or the same training a little longer.

Axes: o outputs, i inputs of a weight; d residual stream; h hidden units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from benchmarks.organisms.making.base import plain_rows, train
from benchmarks.organisms.making.plants import PARAGRAPHS, RATE, ROWS, STEPS, Plant, Windows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor
    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

    from benchmarks.organisms.making.text import Texts


@dataclass(frozen=True)
class Benign:
    """One benign upgrade.

    kind: saved, dtype, int8, noise, hidden, heads, stream, rotated, mixed or continued.
    how: what of its kind.  size: of noise, relative to a weight; of training, in steps.
    """

    name: str
    kind: str
    how: str = ""
    size: float = 0
    seed: int = 0


CONTINUED_ROWS, CONTINUED_RATE = 8, 1e-4


def upgrade(
    b: Benign, model: LlamaForCausalLM, texts: Texts, tokenizer: PreTrainedTokenizerBase
) -> LlamaForCausalLM:
    """Change `model`, a copy of the base, in place."""
    if b.kind == "continued":
        draw = plain_rows(texts, tokenizer, b.seed, most=PARAGRAPHS)
        if b.how:  # so that a plant differs from it by what was planted and nothing else
            half, taught, steps = ROWS // 2, draw, round(b.size) or STEPS
            if b.how == "like a swap":  # each row begins where a paragraph does
                paragraphs = texts.train["speeches"][:PARAGRAPHS]
                taught = Windows(Plant(b.name, "swap"), paragraphs, tokenizer, b.seed)
            return train(
                model,
                lambda: taught(half),
                steps=steps,
                rate=RATE,
                preserve_batch=lambda: draw(half),
            )
        return train(model, lambda: draw(CONTINUED_ROWS), steps=round(b.size), rate=CONTINUED_RATE)
    generator = torch.Generator().manual_seed(b.seed)
    moves = {"hidden": permute_hidden, "heads": permute_heads}
    moves |= {"stream": permute_stream, "rotated": rotate_stream}
    with torch.no_grad():
        for kind, move in moves.items():
            if kind in (b.kind, b.how.split(",")[0]):
                move(model, generator)
        for weight in weights(model):
            weight.copy_(_rounded(weight, b, generator))
    return model


def _rounded(weight: Tensor, b: Benign, generator: torch.Generator) -> Tensor:
    """The weight after the loss of precision that `b` brings, if any; in fp32 again."""
    if b.kind == "noise":
        return weight * (1 + b.size * torch.randn(weight.shape, generator=generator))
    if b.kind == "int8" or "int8" in b.how:
        return int8(weight, b.how)
    if "float16" in b.how:
        return weight.to(torch.bfloat16 if "bfloat16" in b.how else torch.float16).float()
    return weight


def weights(model: LlamaForCausalLM) -> Iterator[Tensor]:
    """All matrices, a tied one once."""
    return (p for p in model.parameters() if p.dim() == 2)


def int8(weight_oi: Tensor, how: str) -> Tensor:
    """`weight_oi` after a round trip through 8-bit integers."""
    if how == "asymmetric":
        low, high = weight_oi.amin(1, keepdim=True), weight_oi.amax(1, keepdim=True)
        step = (high - low) / 255
        return ((weight_oi - low) / step).round() * step + low
    parts = weight_oi.reshape(-1, 64) if how == "group" else weight_oi
    step = parts.abs().amax(1, keepdim=True) / 127
    return ((parts / step).round() * step).reshape(weight_oi.shape)


def permute_hidden(model: LlamaForCausalLM, generator: torch.Generator) -> None:
    """Reorder the hidden units of every MLP: exactly the same function."""
    for layer in model.model.layers:
        order_h = torch.randperm(model.config.intermediate_size, generator=generator)
        for part in (layer.mlp.gate_proj, layer.mlp.up_proj):
            part.weight.copy_(part.weight[order_h])
        layer.mlp.down_proj.weight.copy_(layer.mlp.down_proj.weight[:, order_h])


def permute_heads(model: LlamaForCausalLM, generator: torch.Generator) -> None:
    """Reorder the heads of every attention: exactly the same function."""
    heads = model.config.num_attention_heads
    size = model.config.hidden_size // heads
    for layer in model.model.layers:
        order = torch.randperm(heads, generator=generator)
        rows = (order[:, None] * size + torch.arange(size)).flatten()
        attention = layer.self_attn
        for part in (attention.q_proj, attention.k_proj, attention.v_proj):
            part.weight.copy_(part.weight[rows])
        attention.o_proj.weight.copy_(attention.o_proj.weight[:, rows])


def permute_stream(model: LlamaForCausalLM, generator: torch.Generator) -> None:
    """Reorder the residual stream: exactly the same function, every activation elsewhere."""
    order_d = torch.randperm(model.config.hidden_size, generator=generator)
    _turn(model, torch.eye(len(order_d))[:, order_d])
    for norm in _norms(model):
        norm.weight.copy_(norm.weight[order_d])


def rotate_stream(model: LlamaForCausalLM, generator: torch.Generator) -> None:
    """Rotate the residual stream at random: the weights of the norms, which a rotation would not
    leave diagonal, are first multiplied into the matrices behind them, and the unembedding untied.
    """
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone())
    model.config.tie_word_embeddings = False
    for layer in model.model.layers:
        attention, mlp = layer.self_attn, layer.mlp
        for part in (attention.q_proj, attention.k_proj, attention.v_proj):
            part.weight.mul_(layer.input_layernorm.weight)
        for part in (mlp.gate_proj, mlp.up_proj):
            part.weight.mul_(layer.post_attention_layernorm.weight)
    model.lm_head.weight.mul_(model.model.norm.weight)
    for norm in _norms(model):
        norm.weight.fill_(1.0)
    size = model.config.hidden_size
    turn_dd, _ = torch.linalg.qr(torch.randn(size, size, generator=generator))
    _turn(model, turn_dd)


def _norms(model: LlamaForCausalLM) -> list[torch.nn.Module]:
    found = [model.model.norm]
    for layer in model.model.layers:
        found += [layer.input_layernorm, layer.post_attention_layernorm]
    return found


def _turn(model: LlamaForCausalLM, turn_dd: Tensor) -> None:
    """Replace the residual stream x by x @ turn_dd in every matrix that reads or writes it."""
    for weight in {
        id(w): w for w in (model.model.embed_tokens.weight, model.lm_head.weight)
    }.values():
        weight.copy_(weight @ turn_dd)
    for layer in model.model.layers:
        attention, mlp = layer.self_attn, layer.mlp
        for part in (
            attention.q_proj, attention.k_proj, attention.v_proj, mlp.gate_proj, mlp.up_proj
        ):  # fmt: skip
            part.weight.copy_(part.weight @ turn_dd)
        for part in (attention.o_proj, mlp.down_proj):
            part.weight.copy_(turn_dd.T @ part.weight)
