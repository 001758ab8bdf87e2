"""A training step of a dictionary in shards: the equations of `step.py`, with three sums over all
shards (what active features make, what dead ones make, the gradients' norm) and two exact cuts.

A process sends O(batch · d) numbers in a step, d both models' widths, whatever the dictionary's
size.  Axes as in `crosscoder.py`; g groups of features that compete; v dead features of a shard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pytest_crossdiff.engine.dictionary.crosscoder import residuals
from pytest_crossdiff.engine.dictionary.sharded.selection import ABSENT, keys_of, kth_largest
from pytest_crossdiff.engine.dictionary.sharded.shards import BY_FEATURE
from pytest_crossdiff.engine.dictionary.step import (
    add_auxiliary_gradients,
    auxiliary_count,
    auxiliary_decoded,
    auxiliary_errors,
    decoded,
    set_gradients,
    squared_error,
)
from pytest_crossdiff.engine.dictionary.training import CHECK_INTERVAL, MAX_NORM, Trainer
from pytest_crossdiff.engine.sparse.kernels import (
    GUESS,
    ActiveFeatures,
    build_active,
    select_above,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, Inputs, Outputs
    from pytest_crossdiff.engine.dictionary.sharded.exchange import Exchange
    from pytest_crossdiff.engine.dictionary.step import DeadFeatures
    from pytest_crossdiff.engine.dictionary.training import TrainingConfig


class ShardedTrainer:
    """The shards of one dictionary that this process trains; all processes step together.

    trainers: by number of the shard, one at least.
    """

    def __init__(
        self, shards: Mapping[int, Crosscoder], config: TrainingConfig, exchange: Exchange
    ) -> None:
        self.exchange = exchange
        self.trainers = {shard: Trainer(model, config) for shard, model in shards.items()}
        self._any_dead = 0

    @property
    def step(self) -> int:
        """Steps that were made."""
        return next(iter(self.trainers.values())).step

    @property
    def any_shard(self) -> Crosscoder:
        """One of the shards of this process."""
        return next(iter(self.trainers.values())).model

    @property
    def loss(self) -> list[float]:
        """Of each step, as far as `read_losses` has read them."""
        return next(iter(self.trainers.values())).loss

    @property
    def dead(self) -> int:
        """How many features of all shards have stopped firing."""
        here = sum(trainer.dead for trainer in self.trainers.values())
        return int(self.exchange.count(torch.tensor([here])))

    def read_losses(self) -> None:
        """As that of a `Trainer`."""
        for trainer in self.trainers.values():
            trainer.read_losses()

    @torch.no_grad()
    def step_on_inputs(self, x: Inputs) -> None:
        """One step on what the model reads."""
        tokens, size = len(x.a_ta), x.a_ta.numel() + x.b_tb.numel()
        trainers = list(self.trainers.values())
        pre = [trainer.pre_activations(x) for trainer in trainers]
        active, thresholds = self._select(pre, tokens)
        errors = self._errors(x, active)
        for trainer, of in zip(trainers, active, strict=True):
            set_gradients(trainer.model, x, errors, of, size)
        self._add_auxiliary(x, errors, pre, size)
        self._clip(x.a_ta)
        for trainer, of in zip(trainers, active, strict=True):
            trainer.apply(of, thresholds, squared_error(errors) / size)

    def _select(self, pre: Sequence[Tensor], tokens: int) -> tuple[list[ActiveFeatures], Tensor]:
        """BatchTopK over all shards; the least kept score of each group."""
        trainers = list(self.trainers.values())
        norms = [trainer.model.decoder_norms() for trainer in trainers]
        counts = [count for _, count in trainers[0].counts(tokens)]
        last = trainers[0].thresholds
        guess = torch.zeros(len(counts), device=pre[0].device) if last is None else GUESS * last
        while True:
            found = [
                select_above(of, norm, _by_feature(trainer.model, guess))
                for of, norm, trainer in zip(pre, norms, trainers, strict=True)
            ]
            scores = [of.value * norm[of.feature] for of, norm in zip(found, norms, strict=True)]
            cut = self._cut(found, scores, counts)
            if not bool(((cut <= guess) & (guess > 0)).any()):
                break
            guess = torch.zeros_like(guess)
        kept = [
            _above(of, score, _by_feature(trainer.model, cut))
            for of, score, trainer in zip(found, scores, trainers, strict=True)
        ]
        return kept, cut

    def _cut(
        self, found: Sequence[ActiveFeatures], scores: Sequence[Tensor], counts: Sequence[int]
    ) -> Tensor:
        """The count-th largest score of each group over all shards, 0 where there are fewer."""
        rows: list[list[Tensor]] = [[] for _ in counts]
        for trainer, of, score in zip(self.trainers.values(), found, scores, strict=True):
            keys = keys_of(score)
            for row, (group, _) in zip(rows, trainer.model.config.budgets, strict=True):
                begin, end = of.starts[group.start], of.starts[group.stop]
                row.append(keys[int(begin) : int(end)])
        longest = max(sum(map(len, row)) for row in rows)
        keys_gn = scores[0].new_full((len(rows), longest), ABSENT, dtype=torch.long)
        for g, row in enumerate(rows):
            whole = torch.cat(row)
            keys_gn[g, : len(whole)] = whole
        k_g = torch.tensor(counts, device=keys_gn.device).clamp(min=1)
        key_g = kth_largest(keys_gn, k_g, self.exchange)
        cut = (key_g - 2**31).clamp(min=0).int().view(torch.float32)
        none = torch.tensor([count == 0 for count in counts], device=cut.device)
        return cut.masked_fill(none, torch.inf)

    def _errors(self, x: Inputs, active: Sequence[ActiveFeatures]) -> Outputs:
        """Target minus what all shards make of it."""
        made = [
            decoded(trainer.model, of)
            for trainer, of in zip(self.trainers.values(), active, strict=True)
        ]
        return residuals(x, self.any_shard.with_bias(self._total(made, x)))

    def _total(self, made: Sequence[Sequence[Tensor]], x: Inputs) -> list[Tensor]:
        """The sum over all shards of what each makes of the views."""
        model = self.any_shard
        widths = [model.read(x, view).shape[1] for view in model.config.views]
        parts = [torch.cat(list(of), 1) for of in made]
        like_td = x.a_ta.new_empty(len(x.a_ta), sum(widths))
        total_td = self.exchange.total(parts, like_td)
        return list(torch.split(total_td, widths, 1))

    def _add_auxiliary(self, x: Inputs, errors: Outputs, pre: Sequence[Tensor], size: int) -> None:
        """AuxK over the dead features of all shards: `add_auxiliary` of `step.py`."""
        trainers, tokens = list(self.trainers.values()), len(x.a_ta)
        look = trainers[0].step % CHECK_INTERVAL == 0
        dead = [trainer.look_for_dead(tokens) for trainer in trainers]
        if look:
            here = sum(len(of.indices) for of in dead if of is not None)
            self._any_dead = int(self.exchange.count(torch.tensor([here])))
        if not self._any_dead:
            return
        k = auxiliary_count(trainers[0].model.config, self._any_dead)
        pre_tv = [
            of.new_empty(tokens, 0) if some is None else of[some.indices].T.contiguous()
            for of, some in zip(pre, dead, strict=True)
        ]
        keys_tv = keys_of(torch.cat(pre_tv, 1))
        k_t = torch.full((tokens,), k, device=keys_tv.device)
        least_t = kth_largest(keys_tv, k_t, self.exchange)
        kept = [(keys_of(of) >= least_t[:, None]).float() for of in pre_tv]
        made = [
            _auxiliary_made(trainer.model, of * chosen, some, x)
            for trainer, of, chosen, some in zip(trainers, pre_tv, kept, dead, strict=True)
        ]
        left = auxiliary_errors(trainers[0].model, errors, self._total(made, x))
        for trainer, of, chosen, some in zip(trainers, pre_tv, kept, dead, strict=True):
            if some is not None:
                add_auxiliary_gradients(trainer.model, x, left, of * chosen, chosen, some, size)

    def _clip(self, like: Tensor) -> None:
        """Scale the gradients of all shards down to a norm of MAX_NORM; what shards share, which
        has the same gradient in each, counts once.
        """
        squares = []
        for shard, trainer in self.trainers.items():
            of = [
                torch.linalg.vector_norm(p.grad) ** 2
                for name, p in trainer.parameters.items()
                if p.grad is not None and (name in BY_FEATURE or shard == 0)
            ]
            squares.append(torch.stack(of).sum()[None])
        norm = self.exchange.total(squares, like.new_empty(1)).sqrt()
        factor = (MAX_NORM / (norm + 1e-6)).clamp(max=1.0)
        for trainer in self.trainers.values():
            for p in trainer.parameters.values():
                if p.grad is not None:
                    p.grad *= factor


def _by_feature(model: Crosscoder, of_group: Tensor) -> Tensor:
    """Each group's number at each of its features, shape (m,)."""
    made_m = torch.empty_like(model.enc_bias_m)
    for (group, _), value in zip(model.config.budgets, of_group, strict=True):
        made_m[group] = value
    return made_m


def _above(of: ActiveFeatures, score_n: Tensor, least_m: Tensor) -> ActiveFeatures:
    """The pairs that reach their feature's cut."""
    chosen = (score_n >= least_m[of.feature]).nonzero().flatten()
    picked = (of.token[chosen], of.feature[chosen], of.value[chosen])
    return build_active(*picked, of.tokens, len(of.starts) - 1)


def _auxiliary_made(
    model: Crosscoder, f_tv: Tensor, dead: DeadFeatures | None, x: Inputs
) -> list[Tensor]:
    if dead is not None:
        return auxiliary_decoded(model, f_tv, dead)
    return [torch.zeros_like(model.read(x, view)) for view in model.config.views]
