"""Fields under their former names: they go on working, with a warning that names the new one."""

from __future__ import annotations

import warnings
from typing import Any

FORMER = {
    "out_of_distribution": "beyond",
    "planted_signals": "spikes",
    "required_exclusivity": "least_exclusivity",
    "undecided": "open",
}
"""The former name of a field in stored results and reports (result schema 5, report version 3)."""


def stored(value: dict[str, Any], field: str) -> Any:  # noqa: ANN401  whatever JSON holds
    """The value of `field` in a stored form, under its name or its former one."""
    former = FORMER.get(field, field)
    return value[former if field not in value and former in value else field]


def is_stored(value: dict[str, Any], field: str) -> bool:
    """Whether a stored form has `field`, under its name or its former one."""
    return field in value or FORMER.get(field, field) in value


class Renamed:
    """An attribute that is now called `to`."""

    def __init__(self, to: str) -> None:
        self.to = to

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, of: object, owner: type) -> Any:  # noqa: ANN401  the type is the field's
        if of is None:
            return self
        what = f"{owner.__name__}.{self.name} is now called {self.to}"
        warnings.warn(what, DeprecationWarning, stacklevel=2)
        return getattr(of, self.to)
