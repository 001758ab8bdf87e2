"""Reads the models of a half with the product, and lets them write; what is found is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.corpus import documents
from pytest_crossdiff.engine.corpus.sampling import Piece
from pytest_crossdiff.engine.models.loaded import load
from pytest_crossdiff.engine.population.readings import Reading, read_model
from pytest_crossdiff.engine.population.writing import Written, beginnings, write
from pytest_crossdiff.progress import SilentProgress

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.population.bases import Half
    from benchmarks.population.family import Family


class HeldOut(NamedTuple):
    """The texts of a half: pieces by their number, with the slice of each."""

    pieces: dict[int, Piece]
    slices: dict[int, str]

    @property
    def texts(self) -> dict[int, str]:
        return {number: piece.shared_text for number, piece in self.pieces.items()}


def held_out(family: Family, half: Half) -> HeldOut:
    """Every text of the corpus of a half; all are held out, as no dictionary is trained."""
    found = documents.read(str(family.corpus(half))).documents
    pieces = {
        number: Piece(number, 0, document.text, (), heldout=True)
        for number, document in enumerate(found)
    }
    return HeldOut(pieces, {number: document.part for number, document in enumerate(found)})


def reading(family: Family, model: Path, texts: HeldOut) -> Reading:
    """What the model gives to the texts, read at most once."""
    path = family.root / "readings" / f"{model.name}.npz"
    if not path.exists():
        loaded = load(str(model), layer=1.0, device="cpu")
        found = read_model(
            loaded, texts.pieces, chat_template="own", label=model.name, progress=SilentProgress()
        )
        path.parent.mkdir(exist_ok=True)
        np.savez(path, **found._asdict())
    columns = np.load(path)
    return Reading(*(columns[name] for name in Reading._fields))


def written(family: Family, model: Path, texts: HeldOut) -> Written:
    """What the model writes after the first words of each text, written at most once."""
    path = family.root / "readings" / f"{model.name}.written.json"
    if not path.exists():
        loaded = load(str(model), layer=1.0, device="cpu")
        found = write(
            loaded,
            beginnings(texts.pieces.values()),
            chat_template="own",
            label=model.name,
            progress=SilentProgress(),
        )
        path.parent.mkdir(exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(found._asdict()), encoding="utf-8")
        part.rename(path)
    return Written(**json.loads(path.read_text(encoding="utf-8")))
