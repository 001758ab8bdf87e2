"""The process as it was: a measurement leaves no trace in the state that a test suite shares."""

from __future__ import annotations

import contextlib
import os
import random
import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Keep random states, torch's default number type, gradient mode and threads, the warning
    filters and the environment; inside, torch is as it is in a new process.

    So a first run leaves behind what a cached one does, and a suite that works in float64 or
    without gradients is measured like any other.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002  theirs
    number, threads = torch.get_default_dtype(), torch.get_num_threads()
    environment = dict(os.environ)
    try:
        with warnings.catch_warnings(), torch.set_grad_enabled(True):
            torch.set_default_dtype(torch.float32)
            yield
    finally:
        torch.set_default_dtype(number)
        torch.set_num_threads(threads)  # also for threads that begin later: any thread sets that
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002  theirs
        torch.set_rng_state(states[2])
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
