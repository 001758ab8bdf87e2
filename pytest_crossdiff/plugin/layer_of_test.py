"""Which of several layers a run of a test is about.

A test function that takes `crossdiff` as an argument is parametrised over the layers of its
settings before the marks of single parameters are known, and pytest can parametrise neither the
methods of a `unittest.TestCase` nor `request.getfixturevalue("crossdiff")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.settings.resolution import of_node

if TYPE_CHECKING:
    import pytest

    from pytest_crossdiff.settings import Settings


def layer_name(item: pytest.Item, parametrised: str) -> str:
    """The name of the layer as `Settings.by_layer` has it: "" where the test's own marks choose one
    layer, else the one that the test is parametrised with.
    """
    try:
        names = of_node(item).by_layer()
    except SettingsError:  # raised again where the settings are asked for
        return parametrised
    return "" if "" in names else parametrised


def settings_of_layer(item: pytest.Item, layer: str) -> Settings:
    """The test's settings for one layer.  Raises `SettingsError` where none can be told."""
    settings = of_node(item)
    layers = settings.by_layer()
    if layer in layers:
        return layers[layer]
    *others, last = layers
    there = f"{', '.join(others)} and {last}"
    if layer:
        raise SettingsError(
            f"this run of {item.name} is about layer {layer}, but its marker names {there}",
            source=settings.sources.get("layer"),
            remedy="name one layer in the marker of a single parameter, e.g. "
            f"pytest.param(..., marks=pytest.mark.crossdiff(layer={last!r}))",
        )
    raise SettingsError(
        f"crossdiff_layer names the layers {there}, and pytest can't run {item.name} once for each",
        source=settings.sources.get("layer"),
        remedy="take `crossdiff` as an argument of a test function (not of a unittest.TestCase, "
        "not by request.getfixturevalue), or choose one layer with "
        f"@pytest.mark.crossdiff(layer={last!r})",
    )


def repeated_runs(items: list[pytest.Item]) -> list[pytest.Item]:
    """Tests that are parametrised over layers although a mark on a parameter chooses one: all of
    their runs but the first, which would be the same test again.
    """
    first: dict[object, object] = {}
    again = []
    for item in items:
        call: Any = getattr(item, "callspec", None)
        if call is None or "crossdiff_layer" not in call.params:
            continue
        if layer_name(item, "parametrised"):
            continue
        others = (id(v) for k, v in sorted(call.params.items()) if k != "crossdiff_layer")
        test = item.parent, getattr(item, "originalname", item.name), *others
        layer = call.params["crossdiff_layer"]
        if layer != first.setdefault(test, layer):
            again.append(item)
    return again
