"""Names that somebody's hook gives to differences; they are shown and decide nothing."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result

MAX_LABEL_LENGTH = 200
"""Characters of a label that are kept."""


class LabelWarning(pytest.PytestWarning):
    """A difference was left without a label, because the hook failed."""


def add_labels(config: pytest.Config, result: Result) -> Result:
    """`result` with the labels that `pytest_crossdiff_label_feature` gives; the same one where
    nobody implements it.
    """
    if not config.hook.pytest_crossdiff_label_feature.get_hookimpls():
        return result
    differences = tuple(
        dataclasses.replace(d, label=_label(config, d, result)) for d in result.differences
    )
    return dataclasses.replace(result, differences=differences)


def _label(config: pytest.Config, difference: Difference, result: Result) -> str:
    try:
        label = config.hook.pytest_crossdiff_label_feature(
            config=config, difference=difference, result=result
        )
    except Exception as error:  # noqa: BLE001  a name is no reason to fail
        problem = f"{type(error).__name__}: {error}"
    else:
        if label is None or isinstance(label, str):
            whole_characters = (label or "").encode(errors="replace").decode()
            return whole_characters.strip()[:MAX_LABEL_LENGTH]
        problem = f"a {type(label).__name__} instead of text"
    text = f"{difference.id} has no label: pytest_crossdiff_label_feature gave {problem}"
    warnings.warn(LabelWarning(text), stacklevel=2)
    return ""
