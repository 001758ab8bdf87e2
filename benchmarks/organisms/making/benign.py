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


def _continued(steps: int, seed: int) -> Benign:
    return Benign(f"continued-{steps}", "continued", size=steps, seed=seed)


def _twin(steps: int, seed: int) -> Benign:
    """Trained as plants are, with nothing planted, for so many steps."""
    return Benign(f"twin-{steps}-{seed}", "continued", "like a plant", steps, seed)


def _mixed(numbers: range) -> Iterator[Benign]:
    """The stream moved and the weights rounded, in three ways for each number."""
    for number in numbers:
        for name, how in (
            ("rotated-int8", "rotated, int8"),
            ("permuted-int8", "stream, int8"),
            ("rotated-bfloat16", "rotated, bfloat16"),
        ):
            yield Benign(f"{name}-{number}", "mixed", how, seed=100 + 10 * number)


BENIGN = (
    Benign("saved-in-shards", "saved", "shards"),
    Benign("dtype-bfloat16", "dtype", "bfloat16"),
    Benign("dtype-float16", "dtype", "float16"),
    Benign("int8-channel", "int8", "channel"),
    Benign("int8-channel-asymmetric", "int8", "asymmetric"),
    Benign("int8-group", "int8", "group"),
    Benign("noise-bfloat16", "noise", size=2**-9, seed=1),
    Benign("noise-percent", "noise", size=0.01, seed=3),
    Benign("hidden-1", "hidden", seed=1),
    Benign("heads-1", "heads", seed=1),
    Benign("stream-permuted-1", "stream", seed=1),
    Benign("stream-permuted-2", "stream", seed=2),
    Benign("rotated-1", "rotated", seed=1),
    Benign("rotated-2", "rotated", seed=2),
    Benign("rotated-int8", "mixed", "rotated, int8", seed=4),
    Benign("permuted-bfloat16", "mixed", "stream, bfloat16", seed=5),
    Benign("continued-20", "continued", size=20, seed=11),
    Benign("continued-60", "continued", size=60, seed=12),
    Benign("continued-like-a-plant", "continued", "like a plant", seed=13),
    Benign("continued-like-a-plant-2", "continued", "like a plant", seed=14),
    Benign("continued-like-a-swap", "continued", "like a swap", size=150, seed=15),
)
"""The development half."""
EARLIER = (
    Benign("int8-tensor", "int8", "tensor"),
    Benign("noise-half-percent", "noise", size=0.005, seed=21),
    Benign("noise-bfloat16-2", "noise", size=2**-9, seed=22),
    Benign("hidden-2", "hidden", seed=2),
    Benign("heads-2", "heads", seed=2),
    Benign("stream-permuted-3", "stream", seed=3),
    Benign("rotated-3", "rotated", seed=3),
    Benign("rotated-bfloat16", "mixed", "rotated, bfloat16", seed=23),
    Benign("permuted-int8", "mixed", "stream, int8", seed=24),
    Benign("continued-40", "continued", size=40, seed=25),
    Benign("continued-80", "continued", size=80, seed=26),
    Benign("continued-like-a-plant-3", "continued", "like a plant", seed=27),
    Benign("continued-like-a-plant-4", "continued", "like a plant", seed=28),
)
"""The reporting half of earlier engines."""
PREVIOUS = (
    Benign("noise-bfloat16-3", "noise", size=2**-9, seed=31),
    Benign("noise-percent-2", "noise", size=0.01, seed=32),
    Benign("hidden-3", "hidden", seed=3),
    Benign("heads-3", "heads", seed=3),
    Benign("stream-permuted-4", "stream", seed=4),
    Benign("rotated-4", "rotated", seed=4),
    Benign("rotated-5", "rotated", seed=5),
    Benign("rotated-int8-2", "mixed", "rotated, int8", seed=33),
    Benign("permuted-bfloat16-2", "mixed", "stream, bfloat16", seed=34),
    Benign("continued-30", "continued", size=30, seed=35),
    Benign("continued-70", "continued", size=70, seed=36),
    Benign("continued-100", "continued", size=100, seed=37),
    Benign("continued-like-a-plant-5", "continued", "like a plant", seed=38),
    Benign("continued-like-a-plant-6", "continued", "like a plant", seed=39),
    Benign("continued-like-a-plant-7", "continued", "like a plant", seed=40),
    Benign("continued-like-a-plant-8", "continued", "like a plant", seed=41),
)
"""The reporting half of the last engine."""
REPORTED = (
    *(
        _continued(steps, seed)
        for seed, steps in enumerate((25, 50, 75, 90, 110, 120, 140, 160), 50)
    ),
    *(_twin(STEPS, seed) for seed in range(60, 68)),
    *(_twin(150, seed) for seed in range(70, 75)),
    *(_twin(300, seed) for seed in range(80, 85)),
    *(Benign(f"noise-percent-{i}", "noise", size=0.01, seed=30 + i) for i in range(3, 8)),
    *(Benign(f"noise-bfloat16-{i}", "noise", size=2**-9, seed=90 + i) for i in range(4, 6)),
    *(Benign(f"hidden-{i}", "hidden", seed=i) for i in range(4, 6)),
    *(Benign(f"heads-{i}", "heads", seed=i) for i in range(4, 6)),
    *(Benign(f"stream-permuted-{i}", "stream", seed=i) for i in range(5, 8)),
    *(Benign(f"rotated-{i}", "rotated", seed=i) for i in range(6, 9)),
    *_mixed(range(3, 6)),
)
"""The reporting half: trained ones, among them twins of every recipe, and as many that are not."""
FURTHER = (
    *(
        _continued(steps, seed)
        for seed, steps in enumerate((15, 35, 45, 55, 65, 85, 95, 105, 130, 150, 180, 200), 150)
    ),
    *(_twin(STEPS, seed) for seed in range(200, 212)),
    *(_twin(150, seed) for seed in range(220, 228)),
    *(_twin(300, seed) for seed in range(240, 244)),
    *(Benign(f"noise-percent-{i}", "noise", size=0.01, seed=30 + i) for i in range(8, 10)),
    *(Benign(f"rotated-{i}", "rotated", seed=i) for i in range(9, 11)),
    Benign("heads-6", "heads", seed=6),
    Benign("stream-permuted-8", "stream", seed=8),
    *_mixed(range(6, 8)),
)
"""More of the same, to the reporting half: 52 are too few to tell 2 % from 10 %.  Made, and run
once, when the others had been, with the engine that they were run with.
"""
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
