"""The trainers that are compared: each makes a function that takes one training step.

Other packages are imported inside these functions, since each needs an environment that has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from benchmarks.dictionaries import partition

if TYPE_CHECKING:
    from collections.abc import Callable

    Step = Callable[[torch.Tensor, torch.Tensor], object]

FEATURES, WIDTH, BATCH, K = 8192, 576, 2048, 64
BOUND = (2 * BATCH * 2 * WIDTH * FEATURES + 4 * 2 * BATCH * K * 2 * WIDTH) / 1e9
"""GFLOP of a step with nothing dense but the encoder's product."""


def ours(architecture: str = "dfc", dead: int = 0) -> Step:
    """This package's trainer, past its annealing, with so many dead features."""
    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
    from pytest_crossdiff.engine.dictionary.training import Trainer, TrainingConfig

    sizes = CrosscoderConfig(architecture, WIDTH, WIDTH, *partition(architecture, FEATURES), K)
    trainer = Trainer(Crosscoder(sizes), TrainingConfig(1000, BATCH, 1e-3))
    trainer.step = 320
    with torch.no_grad():
        trainer.model.enc_bias_m[:dead] = -100.0
    trainer.idle_m[:dead] = 10**6

    def step(x_ta: torch.Tensor, x_tb: torch.Tensor) -> None:
        trainer.train_step(x_ta, x_tb)
        trainer.read_losses()

    trainer.loss = [0.0] * trainer.step
    return step


def sae_lens() -> Step:
    from sae_lens.config import SAETrainerConfig
    from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
    from sae_lens.training.sae_trainer import SAETrainer

    sae = BatchTopKTrainingSAE(
        BatchTopKTrainingSAEConfig(d_in=2 * WIDTH, d_sae=FEATURES, k=K, device="cpu")
    )
    trainer = SAETrainer(SAETrainerConfig(10**9, BATCH, lr_end=3e-5), sae, iter(()))
    return lambda a, b: trainer._train_step(sae, torch.cat([a, b], 1))


def dictionary_learning() -> Step:
    from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer

    trainer = BatchTopKTrainer(
        10_000, 2 * WIDTH, FEATURES, K, 0, "none", lr=1e-3, warmup_steps=10, device="cpu"
    )
    return lambda a, b: trainer.update(5_000, torch.cat([a, b], 1))


def eai_sparsify() -> Step:
    from sparsify import SparseCoder, SparseCoderConfig

    sae = SparseCoder(2 * WIDTH, SparseCoderConfig(num_latents=FEATURES, k=K))
    adam = torch.optim.Adam(sae.parameters(), lr=1e-3)
    since = torch.zeros(FEATURES, dtype=torch.long)

    def step(a: torch.Tensor, b: torch.Tensor) -> None:  # the body of its trainer's loop
        out = sae(torch.cat([a, b], 1), dead_mask=since > 10_000_000)
        (out.fvu + out.auxk_loss / 32).backward()
        torch.nn.utils.clip_grad_norm_(sae.parameters(), 1.0)
        sae.remove_gradient_parallel_to_decoder_directions()
        adam.step()
        adam.zero_grad()
        sae.set_decoder_norm_to_unit_norm()
        since.add_(BATCH)
        since[out.latent_indices.flatten()] = 0

    return step


def modeldiffr() -> Step:
    from modeldiffr.interp.crosscoder import CrosscoderConfig, build

    model = build(WIDTH, CrosscoderConfig(dict_size=FEATURES, k=K))
    adam = torch.optim.Adam(model.parameters(), lr=5e-4)
    fired = torch.zeros(FEATURES, dtype=torch.bool)

    def step(a: torch.Tensor, b: torch.Tensor) -> None:  # the body of its `train`; it has no AuxK
        f, least = model.encode(a, b, train=True)
        made_a, made_b = model.decode(f)
        loss = ((a - made_a).pow(2).sum(-1) + (b - made_b).pow(2).sum(-1)).mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        fired.logical_or_((f > 0).any(0))
        float(least.detach())
        float(loss.detach())

    return step


TRAINERS: dict[str, Callable[[], Step]] = {
    "pytest-crossdiff dfc": ours,
    "pytest-crossdiff dfc, 1 % dead": lambda: ours(dead=82),
    "pytest-crossdiff standard": lambda: ours("standard"),
    "pytest-crossdiff innovation": lambda: ours("innovation"),
    "pytest-crossdiff innovation, 1 % dead": lambda: ours("innovation", dead=82),
    "pytest-crossdiff innovation, 2 threads": lambda: ours("innovation"),
    "sae-lens BatchTopK": sae_lens,
    "dictionary-learning BatchTopK": dictionary_learning,
    "modeldiffr crosscoder BatchTopK": modeldiffr,
    "eai-sparsify TopK a token": eai_sparsify,
}
