"""Where a setting's value comes from: marker, flag, environment, ini, default, in this order.

This module is imported at every pytest start, so it imports nothing that pytest hasn't.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.options import Settings, fields, near, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PREFIX = "crossdiff_"


class Layer:
    """The values given in one place; the layers before it win over it.

    words: says in words where a setting of this layer was written.
    base: the folder to which relative paths in it are relative.
    """

    def __init__(
        self, kind: str, values: Mapping[str, object], words: Callable[[str], str], base: Path
    ) -> None:
        self.kind = kind
        self.values = values
        self.words = words
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
    for name, metavar, text in (
        ("accept", "ID[,ID]", "let these differences pass from now on; needs a reason"),
        ("reason", "TEXT", "why the differences are accepted"),
        ("author", "NAME", "who accepts them (default: user.name of git)"),
        ("expires", "DATE", "last day on which they are accepted, YYYY-MM-DD (default: none)"),
    ):
        flag = f"--crossdiff-{name}"
        group.addoption(flag, dest=PREFIX + name, default=None, metavar=metavar, help=text)
    for field in fields():
        default = "none" if field.default in ("", None) else field.default
        text = f"{field.help} (default: {default})"
        parser.addini(PREFIX + field.name, text, default=None)
        if not field.ini_only:
            group.addoption(
                f"--{(PREFIX + field.name).replace('_', '-')}",
                dest=PREFIX + field.name,
                default=None,
                metavar=field.name.rpartition("_")[2].upper(),
                help=text.replace("%", "%%"),
            )


def resolve(config: pytest.Config, *overrides: Layer) -> Settings:
    """All settings, each from the first layer that has it.

    overrides: the markers of a test, nearest first, or the arguments of `crossdiff_factory`.
    Raises `SettingsError`: a value is malformed or contradicts another.
    """
    layers = [*overrides, *configured(config)]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for field in fields():
        layer = next((x for x in layers if field.name in x.values), None)
        if layer is None:
            sources[field.name] = "default"
            continue
        source = sources[field.name] = layer.words(field.name)
        value = parse(field.name, layer.values[field.name], source)
        values[field.name] = _anchored(value, field.path, layer.base)
    settings = Settings(**values, sources=sources)
    _refuse_contradictions(settings)
    return settings


def configured(config: pytest.Config) -> Iterator[Layer]:
    """What applies to the whole session: flags, environment, ini; without empty layers."""
    names = [f.name for f in fields()]
    root, here = config.rootpath, config.invocation_params.dir
    flags = {n: config.getoption(PREFIX + n, default=None) for n in names}
    variables = {f.name: f.env for f in fields() if f.env}
    environment = {n: os.environ[v] for n, v in variables.items() if os.environ.get(v)}
    overridden, written = ini_values(config)
    file = config.inipath.name if config.inipath else "ini"
    layers = [
        Layer("flags", _present(flags), lambda n: f"--crossdiff-{n.replace('_', '-')}", here),
        Layer("environment", environment, lambda n: f"environment variable {variables[n]}", here),
        Layer("-o", overridden, lambda n: f"-o {PREFIX}{n}", root),
        Layer(file, written, lambda n: f"{file}: {PREFIX}{n}", root),
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
                hint = near(name, known)
                raise pytest.UsageError(
                    f"{config.inipath or '-o'}: unknown setting {PREFIX}{name}"
                    + (f"; did you mean {PREFIX}{hint}?" if hint else "")
                )


def from_marker(mark: pytest.Mark, node: pytest.Item) -> Layer:
    """The arguments of `@pytest.mark.crossdiff(...)`.  Raises `SettingsError` for unknown ones."""
    source = f"marker of {node.nodeid}"
    if mark.args:
        raise SettingsError(
            f"@pytest.mark.crossdiff takes settings by name, got {mark.args[0]!r} without one",
            source=source,
            remedy="write e.g. @pytest.mark.crossdiff(layer=0.5)",
        )
    return from_arguments("marker", mark.kwargs, source, node.config.rootpath)


def from_arguments(kind: str, values: Mapping[str, object], source: str, base: Path) -> Layer:
    """Settings given as keyword arguments.  Raises `SettingsError` for unknown ones."""
    known = {f.name: f for f in fields()}
    for name in values:
        if name not in known:
            hint = near(name, known)
            raise SettingsError(
                f"unknown setting {name!r}",
                source=source,
                remedy=f"did you mean {hint!r}?" if hint else f"known: {', '.join(known)}",
            )
        if known[name].ini_only:
            raise SettingsError(
                f"{name} can't be set here: only the ini file may set it",
                source=source,
                remedy=f"set {PREFIX}{name} in pytest.ini",
            )
    return Layer(kind, values, lambda _: source, base)


def require(settings: Settings, *names: str) -> None:
    """Raise `SettingsError` when one of the settings `names` is empty."""
    missing = [f"{PREFIX}{name}" for name in names if not getattr(settings, name)]
    if missing:
        raise SettingsError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
            remedy="set them in pytest.ini, or by flag, e.g. "
            f"--{missing[0].replace('_', '-')}=<path or hub id@revision>",
        )


def model_path(reference: str, base: Path) -> Path | None:
    """The path that a model reference means, None when it is a hub id."""
    path = base / Path(reference).expanduser()
    written_as_path = reference.startswith((".", "/", "~")) or reference.lower().endswith(".gguf")
    return path if written_as_path or path.exists() else None


def _anchored(value: object, kind: str, base: Path) -> object:
    text = str(value)
    if not kind or not value or text.startswith("builtin:"):
        return value
    path = model_path(text, base) if kind == "model" else base / Path(text).expanduser()
    return value if path is None else os.path.normpath(path)


def _present(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _own(values: Mapping[str, object]) -> dict[str, object]:
    return {k[len(PREFIX) :]: v for k, v in values.items() if k.startswith(PREFIX)}


def _refuse_contradictions(settings: Settings) -> None:
    def refuse(what: str, name: str, remedy: str) -> None:
        raise SettingsError(what, source=settings.sources[name], remedy=remedy)

    if 0 < settings.features < settings.k:
        refuse(
            f"crossdiff_k = {settings.k} active features a token, "
            f"but crossdiff_features = {settings.features} is all there are",
            "features",
            "raise crossdiff_features or lower crossdiff_k",
        )
    if settings.features and settings.features * settings.exclusive_share < 1:
        refuse(
            f"crossdiff_exclusive_share = {settings.exclusive_share} of "
            f"crossdiff_features = {settings.features} leaves no exclusive feature",
            "features",
            "raise one of the two",
        )
