"""Whether all ranks do the same work: settings, code, packages, models and texts are compared."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import tokenizers
import torch
import transformers

from pytest_crossdiff.engine.models.devices import choose_device
from pytest_crossdiff.engine.ranks.group import RankError
from pytest_crossdiff.settings import fields
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.engine.ranks.group import Ranks

PACKAGE = Path(__file__).parents[2]


def must_agree(ranks: Ranks, plan: Plan) -> None:
    """Raises `RankError` on every rank, which names the first difference, where ranks differ."""
    of_ranks = ranks.gather((ranks.name, facts(plan)))
    (first_name, expected), *others = of_ranks
    for name, found in others:
        for what in dict.fromkeys((*expected, *found)):  # settings first, then what hangs on them
            if found.get(what) != expected.get(what):
                raise RankError(
                    f"{what} differs between the processes of the run: {found.get(what)} on "
                    f"{name}, {expected.get(what)} on {first_name}",
                    source="torch.distributed",
                    remedy="start all ranks with the same settings, code, packages and files",
                )


def facts(plan: Plan) -> Mapping[str, Any]:
    """What has to be the same, by the name that a person knows it by."""
    settings = plan.settings
    return {
        **{f"crossdiff_{f.name}": str(getattr(settings, f.name)) for f in fields()},
        "the code of pytest-crossdiff": f"{VERSION} ({code_digest()[:12]})",
        **{f"the files of the {side}": plan.references[side].digest[:12] for side in SIDES},
        "the corpus": plan.corpus.digest[:12],
        "the sample of the corpus": plan.sample.digest[:12],
        "the cache folder": str(plan.store.root),
        "the version of Python": platform.python_version(),
        **{
            f"the version of {module.__name__}": module.__version__
            for module in (torch, transformers, tokenizers, safetensors, np)
        },
        "the kind of device": choose_device(settings.device).type,
        "the number of threads": torch.get_num_threads(),
    }


def code_digest() -> str:
    """Of all source files of this package."""
    found = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        found.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()
