"""Where a setting's value comes from: marker, flag, environment, ini, default, in this order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.settings import Settings, fields
from pytest_crossdiff.settings.default_layers import default_layers
from pytest_crossdiff.settings.parsing import closest_match, parse
from pytest_crossdiff.settings.registration import PREFIX, SettingsSource, session_sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

_LAYERS = {"layer", "baseline_layer", "candidate_layer"}
DEFAULT_LAYERS = "default for models that both predict tokens"
"""Where `crossdiff_layer` comes from when it is `default_layers`."""


def resolve(config: pytest.Config, *overrides: SettingsSource) -> Settings:
    """All settings, each from the first layer that has it.

    overrides: the markers of a test, nearest first, or the arguments of `crossdiff_factory`.
    Raises `SettingsError`: a value is malformed or contradicts another.
    """
    layers = [*overrides, *session_sources(config)]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for field in fields():
        layer = next((x for x in layers if field.name in x.values), None)
        if layer is None:
            sources[field.name] = "default"
            continue
        source = sources[field.name] = layer.describe_source(field.name)
        value = parse(field.name, layer.values[field.name], source)
        try:
            values[field.name] = _anchored(value, field.path, layer.base)
        except (RuntimeError, OSError, ValueError) as error:  # nobody's home, a name too long
            raise SettingsError(
                f"crossdiff_{field.name} = {value} can't be a path: {error}",
                source=source,
                remedy="write the path out",
            ) from error
    if not _LAYERS & values.keys():
        compared = default_layers(values.get("baseline", ""), values.get("candidate", ""))
        if compared != Settings.layer.default:
            values["layer"], sources["layer"] = compared, DEFAULT_LAYERS
    settings = Settings(**values, sources=sources)
    _refuse_contradictions(settings)
    return settings


def of_node(node: pytest.Item) -> Settings:
    """The settings of a test: its markers', nearest first, then the session's.

    Raises `SettingsError`.
    """
    marks = node.iter_markers("crossdiff")
    return resolve(node.config, *(from_marker(mark, node) for mark in marks))


def from_marker(mark: pytest.Mark, node: pytest.Item) -> SettingsSource:
    """The arguments of `@pytest.mark.crossdiff(...)`.  Raises `SettingsError` for unknown ones."""
    source = f"marker of {node.nodeid}"
    if mark.args:
        raise SettingsError(
            f"@pytest.mark.crossdiff takes settings by name, got {mark.args[0]!r} without one",
            source=source,
            remedy="write e.g. @pytest.mark.crossdiff(layer=0.5)",
        )
    return from_arguments("marker", mark.kwargs, source, node.config.rootpath)


def from_arguments(
    kind: str, values: Mapping[str, object], source: str, base: Path
) -> SettingsSource:
    """Settings given as keyword arguments.  Raises `SettingsError` for unknown ones."""
    known = {f.name: f for f in fields()}
    for name in values:
        if name not in known:
            hint = closest_match(name, known)
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
    return SettingsSource(kind, values, lambda _: source, base)


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
    if isinstance(value, tuple):
        return tuple(_anchored(one, kind, base) for one in value)
    text = str(value)
    if not kind or not value or text.startswith("builtin:"):
        return value
    path = model_path(text, base) if kind == "model" else base / Path(text).expanduser()
    return value if path is None else os.path.normpath(path)


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
