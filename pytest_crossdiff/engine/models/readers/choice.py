"""The reader that the settings ask for, opened and checked."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from pytest_crossdiff.engine.models.readers.check import check_reader, texts_to_check
from pytest_crossdiff.engine.models.readers.reader import TransformersReader
from pytest_crossdiff.engine.models.readers.vllm import VllmReader, not_importable
from pytest_crossdiff.engine.models.reading.probing import ROUNDING
from pytest_crossdiff.engine.models.reading.source_and_target import TEXT
from pytest_crossdiff.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.engine.models.readers.reader import Reader

TRANSFORMERS = "transformers"
READERS = {"vllm": VllmReader}


def must_be_installed(name: str) -> None:
    """Raise `ModelError` where the package of the reader is missing."""
    if name != TRANSFORMERS and importlib.util.find_spec(name) is None:
        raise not_importable(f"No module named {name!r}")


def checked_reader(
    name: str, model: LoadedModel, texts: Sequence[Tensor], longest: int
) -> Reader | None:
    """What reads the block of `model` by the setting `name`, checked on `texts` (token ids, each of
    shape (1, p)); None where that is transformers.  From then on `model` has no weights in memory.

    longest: text that will be read.  Raises `SettingsError` where it reads no such thing, and
    `ModelError` with the figures where it reads it otherwise than transformers.
    """
    if name == TRANSFORMERS:
        return None
    if model.predictions is not None or model.form != TEXT:
        raise SettingsError(
            f"{name} reads the blocks of models that read text, and nothing else",
            source="crossdiff_reader",
            remedy="set crossdiff_reader = transformers, or compare a block",
        )
    kind = READERS[name]
    chosen = texts_to_check([ids_1p[0].cpu() for ids_1p in texts], kind.chunk, longest)
    trusted = TransformersReader(model)
    expected = [trusted.read([ids])[0] for ids in chosen]
    trusted.close()
    dtype = str(model.dtype).removeprefix("torch.")
    reader: Reader = kind(model.reference, model.layer, dtype, longest)
    try:
        named = model.reference.reference
        check_reader(reader, chosen, expected, ROUNDING[model.dtype], named)
    except BaseException:
        reader.close()
        raise
    return reader
