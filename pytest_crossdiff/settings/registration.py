"""Settings as pytest's ini keys and flags: registering them, and what is given for the session.

This module is imported at every pytest start, so it imports nothing that pytest hasn't.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_crossdiff.settings import fields, kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from pytest_crossdiff.settings.kinds import Setting

PREFIX = "crossdiff_"
LAYER: pytest.StashKey[str] = pytest.StashKey()
"""Of a gate: the layer that it is about, as `Settings.by_layer` names it."""


class SettingsSource:
    """The values given in one place; the layers before it win over it.

    words: says in words where a setting of this layer was written.
    base: the folder to which relative paths in it are relative.
    """

    def __init__(
        self,
        kind: str,
        values: Mapping[str, object],
        describe_source: Callable[[str], str],
        base: Path,
    ) -> None:
        self.kind = kind
        self.values = values
        self.describe_source = describe_source
        self.base = base


def add_options(parser: pytest.Parser) -> None:
    """Register every row of the table as ini key and flag."""
    group = parser.getgroup("crossdiff")
    group.addoption(
        "--crossdiff",
        dest="crossdiff",
        action="store_true",
        help="add a test that fails when the models differ by more than their budget",
    )
    rows = kinds.in_order_of_use(fields())
    for field in rows[: len(kinds.FIRST)]:
        _add_setting(parser, group, field)
    for name, metavar, text in (
        (
            "accept",
            "ID[,ID]",
            "let these differences (all: every one) pass from now on; needs a reason",
        ),
        ("reason", "TEXT", "why the differences are accepted"),
        ("author", "NAME", "who accepts them (default: user.name of git)"),
        ("expires", "DATE", "last day on which they are accepted, YYYY-MM-DD (default: none)"),
    ):
        flag = f"--crossdiff-{name}"
        group.addoption(flag, dest=PREFIX + name, default=None, metavar=metavar, help=text)
    for field in rows[len(kinds.FIRST) :]:
        _add_setting(parser, group, field)


def _add_setting(parser: pytest.Parser, group: pytest.OptionGroup, field: Setting[Any]) -> None:
    default = "none" if field.default in ("", None, ()) else field.default
    text = f"{field.help} (default: {default})"
    parser.addini(PREFIX + field.name, text, default=None)
    if not field.ini_only:
        group.addoption(
            f"--{(PREFIX + field.name).replace('_', '-')}",
            dest=PREFIX + field.name,
            default=None,
            metavar=kinds.metavar(field),
            help=text.replace("%", "%%"),
        )


def session_sources(config: pytest.Config) -> Iterator[SettingsSource]:
    """What applies to the whole session: flags, environment, ini; without empty layers."""
    names = [f.name for f in fields()]
    root, here = config.rootpath, config.invocation_params.dir
    flags = {n: config.getoption(PREFIX + n, default=None) for n in names}
    variables = {f.name: f.env for f in fields() if f.env}
    environment = {n: os.environ[v] for n, v in variables.items() if os.environ.get(v)}
    overridden, written = ini_values(config)
    file = config.inipath.name if config.inipath else "ini"
    layers = [
        SettingsSource(
            "flags", _present(flags), lambda n: f"--crossdiff-{n.replace('_', '-')}", here
        ),
        SettingsSource(
            "environment", environment, lambda n: f"environment variable {variables[n]}", here
        ),
        SettingsSource("-o", overridden, lambda n: f"-o {PREFIX}{n}", root),
        SettingsSource(file, written, lambda n: f"{file}: {PREFIX}{n}", root),
    ]
    return (layer for layer in layers if layer.values)


def ini_values(config: pytest.Config) -> tuple[dict[str, object], dict[str, object]]:
    """The crossdiff keys given with `-o`, and those of the configuration file, by setting name.

    Read as written: `getini` refuses typed TOML values before pytest 9.2 and can't list keys.
    """
    stored = getattr(config, "_inicfg", None)
    if stored is None:  # before pytest 9, where the public name warns
        stored = config.inicfg
    written = {key: getattr(value, "value", value) for key, value in stored.items()}
    pairs = (text.partition("=") for text in config.getoption("override_ini", None) or ())
    overridden = {key.strip(): value for key, _, value in pairs}
    of_file = {k: v for k, v in written.items() if k not in overridden}
    return _own(overridden), _own(of_file)


def refuse_unknown_keys(config: pytest.Config) -> None:
    """Raise `pytest.UsageError` when a `crossdiff_*` ini key is not in the table."""
    known = [f.name for f in fields()]
    for values in ini_values(config):
        for name in values:
            if name not in known:
                from pytest_crossdiff.settings.parsing import closest_match

                hint = closest_match(name, known)
                raise pytest.UsageError(
                    f"{config.inipath or '-o'}: unknown setting {PREFIX}{name}"
                    + (f"; did you mean {PREFIX}{hint}?" if hint else "")
                )


def _present(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _own(values: Mapping[str, object]) -> dict[str, object]:
    return {k[len(PREFIX) :]: v for k, v in values.items() if k.startswith(PREFIX)}
