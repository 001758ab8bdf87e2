"""pytest-crossdiff: regression testing for model upgrades with crosscoders."""

from __future__ import annotations

__version__: str


def __getattr__(name: str) -> object:
    if name == "__version__":
        from pytest_crossdiff.version import VERSION

        return VERSION
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
