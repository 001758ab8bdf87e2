"""The passes of a forward run through a model's blocks: caught as they happen, in their order.

A pass is one call of a block. Most blocks are called once; shared blocks are called several times,
and then layer i is the i-th call. Calls are caught by replacing `forward` of the instance, which
also sees models that call `block.forward(...)` and so pass by torch's hooks.

Axes: b texts of a batch, p positions.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, NoReturn

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    Compute = functools.partial[object]


@contextlib.contextmanager
def intercepted(
    passes: Sequence[nn.Module], handle: Callable[[int, Compute], object]
) -> Iterator[None]:
    """Inside, the i-th of `passes` gives what `handle(i, compute)` returns.

    passes: the called block of each, in order; a shared block is in it several times.  compute:
    calls the block as the model does.
    """
    numbers: dict[int, list[int]] = {}
    for i, block in enumerate(passes):
        numbers.setdefault(id(block), []).append(i)
    blocks = {id(block): block for block in passes}
    before = {key: vars(block).get("forward") for key, block in blocks.items()}
    try:
        for key, block in blocks.items():
            vars(block)["forward"] = _counting(block.forward, numbers[key], handle)
        yield
    finally:
        for key, block in blocks.items():
            del vars(block)["forward"]
            if before[key] is not None:
                vars(block)["forward"] = before[key]


def _counting(
    forward: Callable[..., object], numbers: list[int], handle: Callable[[int, Compute], object]
) -> Callable[..., object]:
    calls = 0

    @functools.wraps(forward)
    def counted(*arguments: object, **named: object) -> object:
        nonlocal calls
        number = numbers[calls % len(numbers)]
        calls += 1
        return handle(number, functools.partial(forward, *arguments, **named))

    return counted


class _Reached(BaseException):
    """Carries the output of the pass out of the forward run.

    No error, and no `Exception`, lest the model's code catch it.
    """

    def __init__(self, output: object) -> None:
        self.output = output


def output_of_pass(
    run: Callable[[], object], passes: Sequence[nn.Module], number: int
) -> tuple[object] | None:
    """What the pass `number` gives, in a tuple; the run stops there.  None: it isn't run."""

    def stop(i: int, compute: Compute) -> object:
        output = compute()
        if i == number:
            _reach(output)
        return output

    try:
        with torch.inference_mode(), intercepted(passes, stop):
            run()
    except _Reached as reached:
        return (reached.output,)
    return None


def _reach(output: object) -> NoReturn:
    raise _Reached(output)


def passes_in_order(run: Callable[[], object], blocks: Sequence[nn.Module]) -> list[nn.Module]:
    """The blocks in the order in which `run` calls them, each as often as it is called."""
    called: list[nn.Module] = []

    def note(i: int, compute: Compute) -> object:
        called.append(blocks[i])
        return compute()

    with torch.inference_mode(), intercepted(blocks, note):
        run()
    return called


def inputs_after_pass(
    run: Callable[[], object], passes: Sequence[nn.Module], number: int, root: nn.Module
) -> list[Tensor]:
    """The tensors that the next pass gets, or where none runs the next module of `root` to run; the
    run stops there.  Empty where nothing runs behind it.
    """
    found = _inputs_of_the_next(run, passes, number)
    if found:
        return found
    done = False

    def watch(i: int, compute: Compute) -> object:
        nonlocal done
        output = compute()
        done = done or i == number
        return output

    def pre(_module: nn.Module, arguments: tuple[object, ...], named: dict[str, object]) -> None:
        if done:
            _reach(_tensors(arguments, named))

    handles = [module.register_forward_pre_hook(pre, with_kwargs=True) for module in root.modules()]
    try:
        return _reached(run, passes, watch)
    finally:
        for handle in handles:
            handle.remove()


def _inputs_of_the_next(
    run: Callable[[], object], passes: Sequence[nn.Module], number: int
) -> list[Tensor]:
    def watch(i: int, compute: Compute) -> object:
        if i > number:
            _reach(_tensors(compute.args, compute.keywords))
        return compute()

    return _reached(run, passes, watch)


def _reached(
    run: Callable[[], object],
    passes: Sequence[nn.Module],
    watch: Callable[[int, Compute], object],
) -> list[Tensor]:
    try:
        with torch.inference_mode(), intercepted(passes, watch):
            run()
    except _Reached as reached:
        found = reached.output
        assert isinstance(found, list)
        return found
    return []


def _tensors(arguments: Sequence[object], named: Mapping[str, object]) -> list[Tensor]:
    return [x for x in (*arguments, *named.values()) if isinstance(x, torch.Tensor)]
