"""A model over several devices, the processors' memory and the disk: accelerate's device maps."""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn
    from transformers import PreTrainedModel

KINDS = "auto", "balanced", "balanced_low_0", "sequential"
_LIMIT = re.compile(r"(cpu|\d+)\s*=\s*(\d+(?:\.\d+)?\s*[KMGT]i?B)")
_FOLDER = "_crossdiff_offload"


class Placement(NamedTuple):
    """How transformers deals a model out.

    kind: its `device_map`.  limits: bytes, as a text, of each GPU by its number and of `cpu`; what
    has no place is read from the disk whenever it runs.
    """

    kind: str
    limits: Mapping[int | str, str]

    def options(self, folder: str) -> dict[str, Any]:
        """Of `from_pretrained`.  folder: for weights that don't lie in the files as they are."""
        limits = {"max_memory": dict(self.limits)} if self.limits else {}
        return {"device_map": self.kind, "offload_folder": folder, **limits}


def parse(text: str) -> Placement | None:
    """`auto`, or `auto, 0 = 70GB, cpu = 200GB`; None of nothing.  Raises `ModelError`."""
    if not text:
        return None
    kind, *limits = (part.strip() for part in text.split(","))
    found = [_LIMIT.fullmatch(limit) for limit in limits]
    if kind not in KINDS or None in found:
        raise ModelError(
            f"{text!r} doesn't say how a model is dealt out to devices",
            source="crossdiff_device_map",
            remedy=f"give one of {', '.join(KINDS)}, and limits if there are any: "
            "auto, 0=70GB, cpu=200GB",
        )
    pairs = [match.groups() for match in found if match is not None]
    named = {int(at) if at.isdigit() else at: limit.replace(" ", "") for at, limit in pairs}
    return Placement(kind, named)


def offload_folder() -> str:
    """A new folder for weights that a model reads whenever it runs."""
    return tempfile.mkdtemp(prefix="crossdiff-offload-")


def keep_with(model: PreTrainedModel, folder: str) -> None:
    """Let `folder` be there as long as the model, or until `take_back`."""
    vars(model)[_FOLDER] = weakref.finalize(model, shutil.rmtree, folder, ignore_errors=True)


def take_back(model: PreTrainedModel) -> None:
    """Let go of what is kept for a model that was dealt out."""
    remove = vars(model).pop(_FOLDER, None)
    if remove is not None:
        from accelerate.hooks import remove_hook_from_submodules

        remove_hook_from_submodules(model)
        remove()


def weight_values(module: nn.Module) -> dict[str, Tensor]:
    """A module's parameters by name; those that aren't in memory are read from where they are."""
    found = {name: weight.detach() for name, weight in module.named_parameters()}
    if not any(weight.is_meta for weight in found.values()):
        return found
    from accelerate.utils import align_module_device

    for prefix, part in module.named_modules():
        with align_module_device(part):
            for name, weight in part.named_parameters(recurse=False):
                found[".".join(filter(None, (prefix, name)))] = weight.detach().clone()
    return found
