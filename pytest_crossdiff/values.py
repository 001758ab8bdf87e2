"""What the text of a setting may be: a parser for each kind, which raises `ValueError`.

This module is imported at every pytest start, so it imports nothing that pytest hasn't.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def text(raw: str) -> str:
    """Whatever is written, without the space around it."""
    return raw.strip()


def layer(raw: str) -> int | float:
    """A block: its index, or a fraction of the depth."""
    try:
        return int(raw)
    except ValueError:
        pass
    try:
        value = float(raw)
    except ValueError:
        raise ValueError("expected a block's index or a fraction of the depth") from None
    if not 0.0 <= value <= 1.0:
        raise ValueError("a fraction of the depth lies between 0.0 and 1.0")
    return value


def optional_layer(raw: str) -> int | float | None:
    """The same, or nothing."""
    return layer(raw) if raw.strip() else None


def flag(raw: str) -> bool:
    """Yes or no, in the words that configuration files have for them."""
    known = {"true": True, "yes": True, "on": True, "1": True}
    known |= {"false": False, "no": False, "off": False, "0": False}
    try:
        return known[raw.strip().lower()]
    except KeyError:
        raise ValueError("expected true or false") from None


def integer(low: int) -> Callable[[str], int]:
    """A whole number, at least `low`; an underscore may part its digits."""

    def parse(raw: str) -> int:
        try:
            value = int(raw.replace("_", ""))
        except ValueError:
            raise ValueError("expected a whole number") from None
        if value < low:
            raise ValueError(f"must be at least {low}")
        return value

    return parse


def number(low: float, high: float, *, open_low: bool = False) -> Callable[[str], float]:
    """A number from `low` to `high`; open_low: but not `low` itself."""

    def parse(raw: str) -> float:
        try:
            value = float(raw)
        except ValueError:
            raise ValueError("expected a number") from None
        if not low <= value <= high or (open_low and value == low):  # also refuses nan
            raise ValueError(f"must lie between {low:g} and {high:g}")
        return value

    return parse


def optional_number(low: float, high: float) -> Callable[[str], float | None]:
    """The same, or "none"."""
    parse = number(low, high)
    return lambda raw: None if raw.strip().lower() in ("", "none") else parse(raw)


def choice(*names: str) -> Callable[[str], str]:
    """One of `names`."""

    def parse(raw: str) -> str:
        if raw.strip() not in names:
            raise ValueError(f"expected one of {', '.join(names)}")
        return raw.strip()

    return parse


FORMATS = ("html", "json", "md")
"""The forms of a report."""


def formats(raw: str) -> str:
    """Some of `FORMATS`, with commas between, "" for "none"."""
    names = [name.strip() for name in raw.split(",") if name.strip()]
    if [name.lower() for name in names] == ["none"]:
        return ""
    if any(name not in FORMATS for name in names):
        raise ValueError(f"expected some of {', '.join(FORMATS)}, or none")
    return ",".join(dict.fromkeys(names))
