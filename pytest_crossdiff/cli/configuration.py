"""The settings as pytest would have them here, without running any test."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.settings import registration, resolution

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pytest

    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.settings import Settings


class Configuration(NamedTuple):
    """Settings, pytest's root folder and the file that configures it, if there is one.

    labelled: gives the differences of a result the names that the hook of a `conftest.py` has for
    them, as tests do.
    """

    settings: Settings
    root: Path
    file: Path | None
    add_labels: Callable[[Result], Result]


def read(flags: Mapping[str, str]) -> Configuration:
    """Let pytest find its configuration from the current folder, with the settings in `flags`.

    Raises `SettingsError`, also where pytest itself can't read its configuration.
    """
    import pytest

    reader = _Reader()
    given = [
        f"--{registration.PREFIX}{name}".replace("_", "-") + f"={value}"
        for name, value in flags.items()
    ]
    # The package is imported before pytest could rewrite its asserts, which is no news to users.
    known = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    code = pytest.main(["-p", "crossdiff", *known, *given], [reader])
    if reader.error is not None:
        raise reader.error
    if reader.found is None:
        raise SettingsError(
            f"pytest can't be configured here (its exit code is {int(code)})",
            remedy="fix what pytest reports above; `pytest --collect-only` reports the same",
        )
    return reader.found


class _Reader:
    """Takes what pytest found out and ends it before it collects anything."""

    found: Configuration | None = None
    error: SettingsError | None = None

    def pytest_cmdline_main(self, config: pytest.Config) -> int:
        import pytest

        try:
            registration.refuse_unknown_keys(config)
            settings = resolution.resolve(config)
            self.found = Configuration(
                settings,
                config.rootpath,
                config.inipath,
                lambda result: _add_labels(config, result),
            )
        except pytest.UsageError as error:
            self.error = SettingsError(str(error), remedy="correct the name, or remove the line")
        except SettingsError as error:
            self.error = error
        return 0


def _add_labels(config: pytest.Config, result: Result) -> Result:
    from pytest_crossdiff.cli.progress import on_stderr
    from pytest_crossdiff.plugin.labels import add_labels

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        result = add_labels(config, result)
    for warning in told:
        on_stderr().note(str(warning.message))
    return result
