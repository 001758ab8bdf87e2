"""pytest-crossdiff: regression testing for model upgrades with crosscoders.

The names below are the public ones: `from pytest_crossdiff import CrossDiff, BudgetExceeded`.  Each
is imported when it is first used, so that importing the package, as every pytest start does, loads
nothing.  Modules inside import one another, not this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder
    from pytest_crossdiff.engine.models.loaded_model import LoadedModel
    from pytest_crossdiff.errors import (
        ActivationError,
        BudgetExceeded,
        CorpusError,
        CrossDiffError,
        Inconclusive,
        InconclusiveWarning,
        InsufficientData,
        ModelError,
        SettingsError,
        StoreError,
    )
    from pytest_crossdiff.plugin.diff import CrossDiff
    from pytest_crossdiff.plugin.measurements import CrossDiffFactory
    from pytest_crossdiff.report.document import Report
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.settings import Settings

__version__: str

__all__ = [
    "ActivationError",
    "BudgetExceeded",
    "CorpusError",
    "CrossDiff",
    "CrossDiffError",
    "CrossDiffFactory",
    "Difference",
    "Inconclusive",
    "InconclusiveWarning",
    "InsufficientData",
    "LoadedModel",
    "ModelError",
    "Report",
    "Result",
    "Settings",
    "SettingsError",
    "StoreError",
    "TrainedCrosscoder",
    "__version__",
]

_HOMES = {
    "CrossDiff": "plugin.diff",
    "CrossDiffFactory": "plugin.measurements",
    "Difference": "results.difference",
    "LoadedModel": "engine.models.loaded_model",
    "Report": "report.document",
    "Result": "results.result",
    "Settings": "settings",
    "TrainedCrosscoder": "engine.dictionary.trained",
}
"""The module of each public name that is no error; errors are in `errors`."""

if not TYPE_CHECKING:  # a type checker would take any name for known

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name == "__version__":
            return import_module("pytest_crossdiff.version").VERSION
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
