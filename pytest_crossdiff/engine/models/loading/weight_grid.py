"""Whether a model's weights were rounded to few values, by its file's header or by some of them."""

from __future__ import annotations

from collections import Counter
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import transformers
from safetensors import safe_open

from pytest_crossdiff.engine.models.loading.gguf.header import read_header
from pytest_crossdiff.engine.models.loading.quantised import quantisation
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.sides import Side

GROUP, FEW = 32, 16
"""So many neighbouring weights share a scale in the usual formats, and have so many values with 4
bits; of weights that weren't rounded, hardly two are equal.
"""
ROWS, MATRICES = 64, 8
_PLAIN = {0: "F32", 1: "F16", 30: "BF16"}
_KINDS = {2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K"}
_FOUR_BITS = {"Q4_0", "Q4_1", "Q4_K", "Q2_K", "Q3_K", "IQ4_NL", "IQ4_XS", "MXFP4"}
_KINDS |= {12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 20: "IQ4_NL", 23: "IQ4_XS", 39: "MXFP4"}


class WeightGrid(NamedTuple):
    """name: of the format that the weights were rounded to, "" where they weren't or nobody says.
    few: at most `FEW` values among `GROUP` neighbours.
    """

    name: str = ""
    few: bool = False

    @property
    def words(self) -> str:
        """The grid in a sentence's middle."""
        if self.name:
            return f"rounded to {self.name}"
        return "rounded to 4 bits or fewer" if self.few else "not rounded to few values"


def weight_grid(reference: ModelReference) -> WeightGrid:
    """The grid of the model, of an adapter's base; of a hub model as far as its config says."""
    root = reference.root
    if root.file:
        return _of_gguf(Path(root.location) / root.file)
    config, _ = transformers.PretrainedConfig.get_config_dict(root.location, revision=root.revision)
    method = quantisation(config)
    if method or root.kind == "hub":
        return WeightGrid(method)
    return WeightGrid(few=any(_few_values(path) for path in _some_weights(Path(root.location))))


def grid_remark(grids: Mapping[Side, WeightGrid]) -> str:
    """What a difference of the grids means for a comparison; "" where there is none."""
    a, b = (grids[side] for side in SIDES)
    neither = not (a.name or b.name or a.few or b.few)
    maybe_alike = a.few and b.few and not (a.name and b.name)
    if a == b or neither or maybe_alike:
        return ""
    return (
        f"the baseline's weights are {a.words}, the candidate's {b.words}: unless one was trained "
        "from the other as it is here, rounding alone can change the most likely token at a "
        "quarter of all places; compare copies that were rounded alike"
    )


def _of_gguf(path: Path) -> WeightGrid:
    header = read_header(path)
    numbers: Counter[int] = Counter()
    for place in header.tensors.values() if header is not None else ():
        numbers[place.kind] += prod(place.shape)
    ((kind, _),) = numbers.most_common(1) or [(0, 0)]
    if kind in _PLAIN:
        return WeightGrid()
    name = _KINDS.get(kind, f"type {kind}")
    return WeightGrid(f"{name} (GGUF)", few=name in _FOUR_BITS)


def _some_weights(folder: Path) -> list[Path]:
    single = folder / "model.safetensors"
    return [single] if single.is_file() else sorted(folder.glob("model-00001-of-*.safetensors"))


def _few_values(path: Path) -> bool:
    """Whether most matrices inside blocks, of some that are looked at, have few values a group."""
    found: list[bool] = []
    with safe_open(path, "pt") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in sorted(file.keys())}
        matrices = [
            name
            for name, shape in shapes.items()
            if any(piece.isdigit() for piece in name.split("."))
            and len(shape) == 2
            and min(shape) >= GROUP
            and shape[1] % GROUP == 0
        ]
        for name in matrices[:: -(-len(matrices) // MATRICES) or 1]:
            groups = file.get_slice(name)[:ROWS].float().reshape(-1, GROUP).sort(1).values
            values = (groups.diff(dim=1) != 0).sum(1) + 1
            found.append(bool((values <= FEW).all()))
    return 2 * sum(found) > len(found)
