"""Which commit a revision of a hub model is: by the hub's word, or by what its cache remembers."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pytest_crossdiff.errors import ModelError

COMMIT = re.compile(r"[0-9a-f]{40}")
_TIMEOUT_SECONDS = 10.0
_TRUE = {"1", "ON", "YES", "TRUE"}


def resolve_commit(
    identity: str, revision: str, *, source: str = "", suggestion: str = ""
) -> tuple[str, str]:
    """The commit of `revision` and a remark on how it was found, or "".

    A full commit is believed without a look-up.  A branch moves, so the hub is asked first, and
    the local cache of huggingface_hub where the hub can't be reached or HF_HUB_OFFLINE is set.
    near: what else the user may have meant, for the remedy.  Raises `ModelError`.
    """
    if COMMIT.fullmatch(revision):
        return revision, ""
    cached = _cached_commit(identity, revision)
    if _offline():
        reason = "HF_HUB_OFFLINE is set"
    else:
        try:
            return _ask(identity, revision, source, suggestion), ""
        except ConnectionError as error:
            reason = f"the hub can't be reached ({error})"
    if cached is None:
        raise ModelError(
            f"{identity}@{revision} is neither a folder here nor in the local hub cache, "
            f"and {reason}",
            source=source,
            remedy=suggestion
            or "check the name, download the model once, or give the path of a folder",
        )
    remark = (
        f"{identity}@{revision} is taken as commit {cached[:12]} from the local cache: {reason}"
    )
    return cached, remark


def _ask(identity: str, revision: str, source: str, suggestion: str) -> str:
    """The hub's answer.  Raises `ModelError`, or `ConnectionError` when there is none."""
    from huggingface_hub import HfApi, errors

    # The class comes from the network library below it, which changed between its versions.
    network_error: type[Exception] = getattr(errors, "HTTPError", OSError)
    try:
        commit = HfApi().model_info(identity, revision=revision, timeout=_TIMEOUT_SECONDS).sha
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{identity} is only for those whom its owners let in",
            source=source,
            remedy="ask for access on its page and log in with `hf auth login`",
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise ModelError(
            f"there is no model {identity!r} on the hub, nor a folder of that name here",
            source=source,
            remedy=suggestion
            or "check the spelling; for a private model log in with `hf auth login`",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(
            f"{identity} has no revision {revision!r}",
            source=source,
            remedy=f"use a branch, tag or commit of https://huggingface.co/{identity}/commits/main",
        ) from error
    except (OSError, network_error) as error:
        raise ConnectionError(str(error).partition("\n")[0]) from error
    if commit is None:
        raise ConnectionError("it named no commit")
    return commit


def _cached_commit(identity: str, revision: str) -> str | None:
    folder = _cache() / f"models--{identity.replace('/', '--')}"
    try:
        commit = (folder / "refs" / revision).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return commit if COMMIT.fullmatch(commit) else None


def _cache() -> Path:
    """Where huggingface_hub keeps models, without the quarter of a second that its import takes."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return _expanded(os.environ[name])
    if os.environ.get("HF_HOME"):
        return _expanded(os.environ["HF_HOME"]) / "hub"
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded(base) / "huggingface" / "hub"


def _expanded(path: str) -> Path:
    # As huggingface_hub does it: the home of a user who isn't there stays as it is written.
    return Path(os.path.expanduser(os.path.expandvars(path)))  # noqa: PTH111


def _offline() -> bool:
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in _TRUE
