"""What a module does of which the weights were left in the files."""

from __future__ import annotations

from typing import NoReturn


class NotLoadedError(RuntimeError):
    """A module whose weights are not in memory was to be run."""


def run_without_weights(*_given: object, **_named: object) -> NoReturn:
    """The forward pass of such a module."""
    raise NotLoadedError("the weights of this module are not loaded")
