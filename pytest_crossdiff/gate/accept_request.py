"""What `--crossdiff-accept` and the flags beside it ask for."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_crossdiff.gate import accepted_file
from pytest_crossdiff.text import visible

if TYPE_CHECKING:
    import datetime
    from pathlib import Path


ALL = "all"
"""Instead of ids: every difference that counts."""
PLACEHOLDER = "why this is wanted"
"""The reason in a command that is proposed; it is to be replaced."""


class AcceptRequest(NamedTuple):
    """What `--crossdiff-accept` and the flags beside it ask for."""

    ids: tuple[str, ...]
    reason: str
    author: str
    expires: datetime.date | None

    @property
    def all(self) -> bool:
        """Whether every difference is meant."""
        return ALL in self.ids

    @classmethod
    def of(cls, config: pytest.Config, today: datetime.date) -> AcceptRequest | None:
        """What the command line asks for, None when it asks for nothing.

        Raises `pytest.UsageError` where it can't be granted.
        """
        option = config.option
        given = option.crossdiff_accept
        if given is None:
            for name in ("reason", "author", "expires"):
                if getattr(option, f"crossdiff_{name}") is not None:
                    raise pytest.UsageError(
                        f"--crossdiff-{name} belongs to --crossdiff-accept, which is not given"
                    )
            return None
        if os.environ.get("CI"):
            raise pytest.UsageError(
                "--crossdiff-accept is refused where the environment variable CI is set: accept on "
                f"a machine of your own, and commit {accepted_file.FILE}"
            )
        ids = tuple(dict.fromkeys(id_.strip() for id_ in given.split(",") if id_.strip()))
        if not ids:
            raise pytest.UsageError(
                "--crossdiff-accept names no difference: give e.g. C1,B2 or all"
            )
        reason = visible((option.crossdiff_reason or "").strip())
        if not any(ch.isalnum() for ch in reason) or reason.strip(" .").lower() == PLACEHOLDER:
            shown = f", and {reason!r} is none" if reason else ""
            raise pytest.UsageError(
                f"--crossdiff-accept needs a reason{shown}: give one in your own words, e.g. "
                '--crossdiff-reason="trained on our runbooks, read by Ann"'
            )
        author = visible((option.crossdiff_author or _git_user(config.rootpath)).strip())
        if not author:
            raise pytest.UsageError(
                "--crossdiff-accept needs an author, and git config user.name is empty: give "
                "--crossdiff-author"
            )
        return cls(ids, reason, author, _expiry(option.crossdiff_expires, today))


def _expiry(text: str | None, today: datetime.date) -> datetime.date | None:
    if text is None:
        return None
    try:
        expires = accepted_file.day(text.strip())
    except ValueError as error:
        raise pytest.UsageError(f"--crossdiff-expires: {error}") from None
    if expires < today:
        raise pytest.UsageError(f"--crossdiff-expires: {expires} is over")
    return expires


def _git_user(folder: Path) -> str:
    try:
        done = subprocess.run(
            ["git", "config", "user.name"],  # noqa: S607  git is where the user has it
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
