"""What the phases of a run are called, and roughly how long each will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.progress import Expected
from pytest_crossdiff.settings.kinds import OUTPUT
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.settings.kinds import Layer
    from pytest_crossdiff.sides import Side

TRAIN, VERIFY = "train dictionaries", "verify features"
NULL_CONTROL, PLANTED_SIGNALS = "null control", "planted signals"
COMPARE = "compare predictions"
LEARNED = TRAIN, VERIFY, NULL_CONTROL, PLANTED_SIGNALS
"""Phases at each of a run's layers, in their order."""
CONTROL_TRAIN, CONTROL_VERIFY = ": train", ": verify"
PARTS = {
    name: {CONTROL_TRAIN: 0.75, CONTROL_VERIFY: 0.25} for name in (NULL_CONTROL, PLANTED_SIGNALS)
}
"""What is added to the names of a control's own phases, with the share of its time."""
READING, LEARNING = "reading", "learning"
"""Kinds of phases: the first run models, the others learn and test dictionaries."""


def read_phase(side: Side) -> str:
    """Both models' texts are read in a phase of their own."""
    return f"read {side}"


def predictions_phase(side: Side) -> str:
    """Reading what is predicted of held-out texts, where that is a pass of its own."""
    return f"read predictions of {side}"


def replies_phase(side: Side) -> str:
    """The model answers the prompts."""
    return f"replies of the {side}"


def expected(seconds: Mapping[str, float], settings: Settings) -> Iterator[Expected]:
    """The phases of a run in their order.  seconds: by name; of those that it has some are given
    another layer's, too, where the run has several.
    """
    pairs = settings.run_layers or [_layers(settings)]
    together = any(OUTPUT in pair for pair in pairs)
    layers = [read_phase(side) for side in SIDES]
    others = [
        *(predictions_phase(side) for side in SIDES),
        COMPARE,
        *(replies_phase(side) for side in SIDES),
    ]
    for name in (*layers, *others) if together else (*others, *layers):
        if name in seconds:
            yield Expected(name, seconds[name], READING)
    for pair in pairs:
        for name in LEARNED:
            for part, share in PARTS.get(name, {"": 1.0}).items():
                if name in seconds:
                    called = _with_layer(name, settings, pair) + part
                    yield Expected(called, share * seconds[name], LEARNING)


def at_layer(name: str, settings: Settings) -> str:
    """The name with the layer, where the run has several."""
    return _with_layer(name, settings, _layers(settings))


def _with_layer(name: str, settings: Settings, layers: tuple[Layer, Layer]) -> str:
    if len(settings.run_layers) < 2:
        return name
    return f"{name} ({', '.join(map(str, dict.fromkeys(layers)))})"


def _layers(settings: Settings) -> tuple[Layer, Layer]:
    return settings.layer_of("baseline"), settings.layer_of("candidate")
