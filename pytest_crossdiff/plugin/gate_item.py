"""The test that `pytest --crossdiff` adds, with none written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.report.screen.todo import command_of_test
from pytest_crossdiff.settings.registration import LAYER
from pytest_crossdiff.settings.resolution import resolve

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pytest_crossdiff.plugin.diff import CrossDiff

NAME = "crossdiff"


def within_budget(crossdiff: CrossDiff) -> None:
    """Hold the pair of the configuration against its budgets."""
    __tracebackhide__ = True
    crossdiff.assert_within_budget()


class GateFile(pytest.File):
    """Stands for the configuration file, whose settings are the test."""

    names: Collection[str] = ()
    """Of the gates that are asked for by name; none: all."""

    def collect(self) -> Iterator[Gate]:
        """One test for each layer."""
        try:
            layers = list(resolve(self.config).by_layer())
        except SettingsError:
            layers = [""]  # told where the test asks for it
        for layer in layers:
            name = f"{NAME}[{layer}]" if layer else NAME
            if not self.names or {name, NAME} & {*self.names}:
                gate: Gate = Gate.from_parent(self, name=name, callobj=within_budget)
                gate.stash[LAYER] = layer
                yield gate


class Gate(pytest.Function):
    """A test function like any other, so that fixtures and their overrides apply."""

    def reportinfo(self) -> tuple[Path, None, str]:
        """The configuration file instead of the file of our function."""
        return self.path, None, self.name


def gate_file(
    session: pytest.Session, collected: Iterable[object], folder: Path, names: Collection[str]
) -> GateFile:
    """The gates' node, placed where it sees the `conftest.py` files that all tests share.

    collected: the nodes that the session collected.  folder: the one that holds them all.  names:
    of the gates that are asked for by name.
    """
    chains = (node.listchain() for node in collected if isinstance(node, pytest.Collector))
    directories = (n for chain in chains for n in chain if isinstance(n, pytest.Directory))
    parent = next((d for d in directories if d.path == folder), session)
    file: GateFile = GateFile.from_parent(parent, path=gate_path(session.config))
    file.names = names
    return file


def gate_path(config: pytest.Config) -> Path:
    """The configuration file, or without one a name of our own in the root folder."""
    return config.inipath or config.rootpath / NAME


def requested_gate(config: pytest.Config, argument: str) -> str:
    """The name of the gate where a command-line argument is its node id, e.g.
    `pytest.ini::crossdiff` or `pytest.ini::crossdiff[output]`; else "".
    """
    path, _, name = argument.partition("::")
    ours = name.partition("[")[0] == NAME and _absolute(config, path) == gate_path(config)
    return name if ours else ""


def command_of(item: pytest.Item | None) -> str:
    """The command that runs `item` again; of all gates together `pytest --crossdiff`."""
    if item is None or (isinstance(item, Gate) and item.name == NAME):
        return command_of_test("")
    path, colons, name = str(item.nodeid).partition("::")
    here = item.config.invocation_params.dir
    try:
        path = Path(os.path.relpath(item.config.rootpath / path, here)).as_posix()
    except ValueError:  # on another Windows drive
        path = str(item.config.rootpath / path)
    return command_of_test(path + colons + name)


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
