"""Which comparison an accepted difference belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.text import visible

if TYPE_CHECKING:
    from pytest_crossdiff.settings import Settings


class Slot(NamedTuple):
    """A comparison as the settings name it, whatever the models.

    A new candidate comes into the slot of the old one; another corpus or layer is another slot.
    """

    corpus: str
    baseline_layer: str
    candidate_layer: str

    @classmethod
    def of(cls, settings: Settings, folder: Path, corpus: str = "") -> Slot:
        """The slot of `settings` in a file in `folder`.

        corpus: the texts in words, where they are not those that the settings name.
        """
        layers = str(settings.layer_of("baseline")), str(settings.layer_of("candidate"))
        return cls(corpus or portable(settings.corpus, folder), *layers)


def portable(reference: str, folder: Path) -> str:
    """A path as it reads from `folder`, so that entries don't name a machine's folders; anything
    else as it is.
    """
    path = Path(reference)
    if path.is_absolute():
        below = path.is_relative_to(folder)
        reference = path.relative_to(folder).as_posix() if below else f"…/{path.name}"
    return visible(reference)
