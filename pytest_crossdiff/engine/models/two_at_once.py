"""Two batches of texts read at once on a processor with several cores, each on its share of them.

Torch divides single products among its threads, which wait for each other after each; two forward
passes wait for nothing.  Each thread runs modules of its own, for what catches activations replaces
methods of modules; the weights are in memory once.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import torch

from pytest_crossdiff.engine.models.loading.load import silence_transformers
from pytest_crossdiff.engine.models.not_loaded import run_without_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from torch import nn

    from pytest_crossdiff.engine.models.loaded_model import LoadedModel

    Views = Sequence[LoadedModel]

B = TypeVar("B")
T = TypeVar("T")

TRANSFORMERS = "transformers."
"""How the names of the modules begin whose code may run so: of others it isn't known what they
keep."""
AT_ONCE = 2
AHEAD = 4
"""Batches that are begun and not yet taken: `AT_ONCE` are read, of the others there is a result."""


class Read(Protocol):
    """Reads batches."""

    def __call__(self, one: Callable[[Views, B], T], batches: Iterable[B]) -> Iterator[T]:
        """What `one` makes of the views and of each batch, in the order of these; it raises what
        the first that fails raises.
        """


class _Ended(BaseException):
    """Ends a forward pass that nobody waits for: no `Exception`, lest the model's code catch it."""


@contextlib.contextmanager
def two_at_once(views: Views, *, allowed: bool = True) -> Iterator[Read]:
    """A function that reads batches with `views`, which are of one model; inside, two at a time
    where that gives the same: on a CPU, of a model that is transformers' own.  Where what is inside
    raises, the passes that run end at their next block.

    allowed: or else one after the other, as on one thread.
    """
    threads, ended = torch.get_num_threads(), threading.Event()
    several = allowed and threads >= AT_ONCE and _can_be_shared(views[0])
    copies = _copies(views, ended) if several else []
    if not copies:
        yield lambda one, batches: (one(views, batch) for batch in batches)
        return
    share = threads // AT_ONCE
    torch.set_num_threads(share)
    try:
        with (
            silence_transformers(),  # each thread does so, too, but only this is undone in order
            ThreadPoolExecutor(AT_ONCE, "crossdiff-read", torch.set_num_threads, (share,)) as pool,
        ):
            try:
                yield _Reader(pool, copies)
            finally:
                ended.set()
                pool.shutdown(wait=False, cancel_futures=True)
    finally:
        torch.set_num_threads(threads)
        for of_copy in copies:
            _let_go(of_copy)


class _Reader(NamedTuple):
    pool: ThreadPoolExecutor
    copies: list[Views]

    def __call__(self, one: Callable[[Views, B], T], batches: Iterable[B]) -> Iterator[T]:
        def with_a_copy(batch: B) -> T:
            views = self.copies.pop()
            try:
                return one(views, batch)
            finally:
                self.copies.append(views)

        begun: deque[Future[T]] = deque()
        for batch in batches:
            begun.append(self.pool.submit(with_a_copy, batch))
            if len(begun) == AHEAD:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


def _can_be_shared(model: LoadedModel) -> bool:
    """Whether a copy of its modules runs by itself and as they do."""
    theirs = type(model.model).__module__.startswith(TRANSFORMERS)
    if model.device.type != "cpu" or model.borrowed or not theirs:
        return False
    return all(_is_as_it_was_made(module) for module in model.model.modules())


def _is_as_it_was_made(module: nn.Module) -> bool:
    """Whether nobody has given it another `forward`, or a hook, which a copy would share; hooks of
    transformers are there when a model's hidden states were asked for once, and keep nothing.
    """
    forward = vars(module).get("forward", run_without_weights)
    hooks = (*module._forward_pre_hooks.values(), *module._forward_hooks.values())
    makers = (str(getattr(hook, "__module__", "")) for hook in hooks)
    return forward is run_without_weights and all(of.startswith(TRANSFORMERS) for of in makers)


def _copies(views: Views, ended: threading.Event) -> list[Views]:
    """As many as are read at once; none where something in the model can't be copied."""
    with contextlib.suppress(Exception):
        return [_sharing_weights(views, ended) for _ in range(AT_ONCE)]
    return []


def _sharing_weights(views: Views, ended: threading.Event) -> Views:
    """The views of a copy of their model that has no weights of its own.  ended: ends its passes
    once it is set.
    """
    model = views[0].model
    shared = {id(of): of for of in itertools.chain(model.parameters(), model.buffers())}
    parts = copy.deepcopy([(view.model, view.passes, view.reader) for view in views], shared)
    made = [
        replace(view, model=model, passes=passes, reader=reader)
        for view, (model, passes, reader) in zip(views, parts, strict=True)
    ]

    def end(_module: nn.Module, _arguments: object) -> None:
        if ended.is_set():
            raise _Ended

    for block in dict.fromkeys(made[0].blocks):
        block.register_forward_pre_hook(end)
    return made


def _let_go(views: Views) -> None:
    """Of the weights, which others may unload."""
    for module in views[0].model.modules():
        module._parameters.clear()
        module._buffers.clear()
