"""Passes through blocks: every call of a shared block is one, and only the wanted one is read."""

import pytest
import torch
from torch import nn

from pytest_crossdiff.engine.models.reading.passes import (
    inputs_after_pass,
    intercepted,
    output_of_pass,
    passes_in_order,
)


class Add(nn.Module):
    def __init__(self, number):
        super().__init__()
        self.number = number

    def forward(self, x):
        return x + self.number


class Model(nn.Module):
    """Two blocks, the first of which runs three times: 1, 2, 1, 1; `direct` passes by hooks."""

    def __init__(self, direct=False):
        super().__init__()
        self.blocks = nn.ModuleList([Add(1), Add(10)])
        self.head = nn.Identity()
        self.direct = direct

    def forward(self, x):
        for i in (0, 1, 0, 0):
            x = self.blocks[i].forward(x) if self.direct else self.blocks[i](x)
        return self.head(x * 2)


AFTER = (1.0, 11.0, 12.0, 13.0)
"""The sum after each pass, from 0."""


@pytest.fixture(params=[False, True])
def model(request):
    return Model(request.param)


def run(model):
    return lambda: model(torch.zeros(1))


def order(model):
    return passes_in_order(run(model), list(model.blocks))


def test_the_order_has_a_shared_block_as_often_as_it_runs(model):
    assert [block.number for block in order(model)] == [1, 10, 1, 1]


@pytest.mark.parametrize("number", range(4))
def test_each_pass_gives_what_it_gives_in_the_whole_run(model, number):
    assert output_of_pass(run(model), order(model), number) == (torch.tensor([AFTER[number]]),)


def test_no_block_behind_the_pass_runs():
    model, ran = Model(), []
    model.head.register_forward_pre_hook(lambda *_: ran.append("head"))
    output_of_pass(run(model), [*model.blocks], 1)
    assert ran == []


def test_a_pass_that_is_not_run_gives_none():
    assert output_of_pass(run(Model()), [Add(3)], 0) is None


def test_an_intercepted_pass_gives_what_it_is_told_to(model):
    passes = order(model)
    with intercepted(passes, lambda i, compute: torch.tensor([5.0]) if i == 2 else compute()):
        assert run(model)() == torch.tensor([12.0])  # (5 + 1) * 2
    assert run(model)() == torch.tensor([26.0])
    assert "forward" not in vars(model.blocks[0])


def test_a_run_that_fails_leaves_the_model_as_it_was(model):
    def fail(_i, _compute):
        raise RuntimeError

    with pytest.raises(RuntimeError), intercepted(order(model), fail):
        run(model)()
    assert run(model)() == torch.tensor([26.0])


@pytest.mark.parametrize(("number", "expected"), [(0, 1.0), (1, 11.0), (2, 12.0), (3, 26.0)])
def test_what_the_next_module_gets_is_seen_behind_each_pass(number, expected):
    model = Model()
    (found,) = inputs_after_pass(run(model), order(model), number, model)
    assert found == torch.tensor([expected])


def test_a_next_block_that_is_not_run_is_passed_over():
    model = Model()
    passes = [*order(model), Add(100)]
    assert inputs_after_pass(run(model), passes, 3, model) == [torch.tensor([26.0])]


def test_behind_the_last_module_nothing_is_seen():
    model = Add(1)
    assert inputs_after_pass(lambda: model(torch.zeros(1)), [model], 0, model) == []
