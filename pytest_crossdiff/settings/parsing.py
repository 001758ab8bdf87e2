"""From what is written in a configuration file, a flag or a marker to a setting's value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.settings import fields

if TYPE_CHECKING:
    from collections.abc import Iterable


def parse(name: str, raw: object, source: str) -> Any:  # noqa: ANN401  its type is the setting's
    """The value of setting `name` given as `raw`: text, or already typed (from TOML or a marker).

    Raises `SettingsError` that names `source`.
    """
    field = next(f for f in fields() if f.name == name)
    if field.several and isinstance(raw, (list, tuple)):
        raw = ",".join(map(str, raw))
    try:
        return field.parse(_one(raw))
    except ValueError as error:
        raise SettingsError(
            f"crossdiff_{name} = {raw!r} is not valid: {error}",
            source=source,
            remedy=f"give a value ({field.help})",
        ) from None


def _one(raw: object) -> str:
    if isinstance(raw, (list, tuple, dict, set)):
        raise ValueError("expected one value")  # noqa: TRY004  one kind of error a caller
    return "" if raw is None else str(raw)


def closest_match(name: str, known: Iterable[str]) -> str:
    """The known name most like a misspelt one, "" when none is."""
    import difflib

    return next(iter(difflib.get_close_matches(name, known, n=1)), "")
