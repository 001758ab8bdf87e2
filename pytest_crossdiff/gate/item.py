"""The test that `pytest --crossdiff` adds, with none written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_crossdiff.diff import CrossDiff

NAME = "crossdiff"


def within_budget(crossdiff: CrossDiff) -> None:
    """Hold the pair of the configuration against its budgets."""
    __tracebackhide__ = True
    crossdiff.assert_within_budget()


class GateFile(pytest.File):
    """Stands for the configuration file, whose settings are the test."""

    def collect(self) -> Iterator[Gate]:
        """One test."""
        yield Gate.from_parent(self, name=NAME, callobj=within_budget)


class Gate(pytest.Function):
    """A test function like any other, so that fixtures and their overrides apply."""

    def reportinfo(self) -> tuple[Path, None, str]:
        """The configuration file in place of the file of our function."""
        return self.path, None, NAME


def gate_file(session: pytest.Session, collected: Iterable[object], folder: Path) -> GateFile:
    """The gate's node, placed where it sees the `conftest.py` files that all tests share.

    collected: the nodes that the session collected.  folder: the one that holds them all.
    """
    chains = (node.listchain() for node in collected if isinstance(node, pytest.Collector))
    directories = (n for chain in chains for n in chain if isinstance(n, pytest.Directory))
    parent = next((d for d in directories if d.path == folder), session)
    return GateFile.from_parent(parent, path=gate_path(session.config))


def gate_path(config: pytest.Config) -> Path:
    """The configuration file, or without one a name of our own in the root folder."""
    return config.inipath or config.rootpath / NAME


def is_gate(config: pytest.Config, argument: str) -> bool:
    """Whether a command-line argument is the gate's node id, e.g. `pytest.ini::crossdiff`."""
    path, _, name = argument.partition("::")
    return name == NAME and _absolute(config, path) == gate_path(config)


def common_folder(config: pytest.Config) -> Path:
    """The deepest folder that holds everything that is to be collected."""
    paths = [_absolute(config, argument.partition("::")[0]) for argument in config.args]
    folders = [path if path.is_dir() else path.parent for path in paths]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:  # none at all, or on several Windows drives
        return config.rootpath


def _absolute(config: pytest.Config, path: str) -> Path:
    return Path(os.path.normpath(config.invocation_params.dir / path))
