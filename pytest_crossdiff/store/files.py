"""Files that are either whole or not there: written to a temporary name, synced, renamed."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_crossdiff.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPORARY = ".tmp"
"""How every temporary name begins, those of safetensors' own writer included."""

LOCK = ".crossdiff.lock"
"""The file that is locked where a folder can't be."""

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
WRITE_ERRORS = (*_NO_SPACE, *_NOT_WRITABLE, errno.EIO)
"""Errors that are about the place written to, whoever wrote."""

_RUST_ERROR = re.compile(r"\(os error (\d+)\)")  # how safetensors words an operating system's error
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.ASCII | re.IGNORECASE)  # Windows
_serial = itertools.count()
_OPEN_ELSEWHERE = (5, 32)  # ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION of Windows
_RENAMES, _RENAME_SECONDS = 100, 0.02
_ABANDONED_SECONDS = 60.0
"""Age from which on a temporary file of a process that is not here belongs to nobody."""


def checked_name(name: str, what: str) -> str:
    """`name` when it is a plain file name on every system; else `StoreError`."""
    if not _NAME.fullmatch(name) or _DEVICE.fullmatch(name) or name.endswith("."):
        raise StoreError(
            f"{name!r} can't be the name of {what}",
            remedy="use letters, digits, '.', '_' and '-', at most 128, beginning with one of the "
            "first two",
        )
    return name


def temporary_beside(path: Path) -> Path:
    """A name in the folder of `path` that nobody else uses, ending as `path` does."""
    return path.with_name(f"{TEMPORARY}-{os.getpid()}-{next(_serial)}-{path.name}")


def replace_file(path: Path, data: bytes, *, synced: bool = False) -> None:
    """Put `data` at `path` in one step; synced: return when it is on the disk.

    Raises `OSError`.
    """
    temporary = temporary_beside(path)
    try:
        temporary.write_bytes(data)
        if synced:
            sync(temporary)
        _rename(temporary, path)
        if synced:
            sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _rename(temporary: Path, path: Path) -> None:
    """Rename over `path`; on Windows once those who have it open at the moment have read it.

    Raises `OSError`.
    """
    for _ in range(_RENAMES - 1):
        try:
            temporary.replace(path)
        except OSError as error:  # noqa: PERF203  on the way to another try
            if getattr(error, "winerror", None) not in _OPEN_ELSEWHERE:
                raise
            time.sleep(_RENAME_SECONDS)
        else:
            return
    temporary.replace(path)


def sync(path: Path) -> None:
    """Return when the file, or folder, is on the disk.  Raises `OSError`."""
    if os.name == "nt" and path.is_dir():  # a folder can't be opened there
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, if it is there.  Raises `OSError`."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def move_aside(path: Path, word: str) -> Path:
    """Rename `path` to its name, `.word-` and the first free number.  Raises `OSError`."""
    for number in itertools.count(1):
        aside = path.with_name(f"{path.name}.{word}-{number}")
        if not aside.exists():
            path.rename(aside)
            return aside
    raise AssertionError


@contextlib.contextmanager
def translate_os_errors(
    path: Path,
    action: str,
    source: str | None = None,
    *,
    only: tuple[int, ...] = (),
    setting: str = "crossdiff_cache_dir",
) -> Iterator[None]:
    """Turn an operating system's error inside into a `StoreError` that says what to do.

    action: what was to be done, e.g. `"write"`; the path is added.  only: let errors of other
    numbers pass, where the code inside isn't ours.  setting: that says where the path is; "" where
    none does.
    """
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        code = _errno(error)
        if code is None or (only and code not in only):
            raise
        reason = os.strerror(code) if code else str(error)
        if action == "list" and isinstance(error, OSError) and error.filename:
            path = Path(error.filename)  # the folder inside of it that is the matter
        remedy = _remedy(code, setting, reading=action in ("read", "list"))
        raise StoreError(
            f"can't {action} {path}: {reason}", source=source, remedy=remedy
        ) from error


def _errno(error: Exception) -> int | None:
    """The system's error number, 0 if it has none, None if it isn't the system's error."""
    if isinstance(error, OSError):
        return error.errno or 0
    found = _RUST_ERROR.search(str(error))
    return int(found[1]) if found else None


def _remedy(code: int, setting: str, *, reading: bool) -> str:
    if not setting and code in _NO_SPACE:
        return "make room there, or name a place on another disk"
    if not setting and reading:
        return "check its name, and that you may read it"
    if not setting:
        return "check that its folder is there and that you may write there, or name another place"
    if code in _NO_SPACE:
        entries = "every entry of the cache may be deleted and is made again"
        return f"make room there ({entries}), or set {setting} to a folder on another disk"
    if code in _NOT_WRITABLE and reading:
        return f"have its owner let you read it, or set {setting} to another folder"
    if code in _NOT_WRITABLE:
        return f"set {setting} to a folder that can be written"
    return f"check that folder, or set {setting} to another one"


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that processes of this machine left there when they were killed."""
    with contextlib.suppress(OSError):
        for path in folder.glob(f"{TEMPORARY}-*"):
            process = re.match(rf"{re.escape(TEMPORARY)}-(\d+)-\d+-", path.name)
            old = path.stat().st_mtime < time.time() - _ABANDONED_SECONDS
            if process and old and not _runs(int(process[1])):
                path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    if os.name == "nt":  # where asking with a signal would end it
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep other processes that ask for the same folder waiting.

    Where a folder can't be locked (Windows, some network file systems) a file in it is, `LOCK`,
    which stays there except on Windows.  Raises `OSError` when there is no such folder, or it can't
    be written.
    """
    with contextlib.ExitStack() as held:
        if not _lock_itself(folder, held):
            from filelock import FileLock  # late: not every run of pytest needs it

            folder.stat()  # filelock would make it
            held.callback(_remove_lock, folder / LOCK)
            held.enter_context(FileLock(folder / LOCK))
        yield


def _lock_itself(folder: Path, held: contextlib.ExitStack) -> bool:
    """Lock a folder for as long as `held` is open; whether that can be done here."""
    try:
        import fcntl
    except ImportError:
        return False
    handle = os.open(folder, os.O_RDONLY)
    held.callback(os.close, handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def _remove_lock(path: Path) -> None:
    """Remove a lock file where nobody holds it, which Windows sees to.  Elsewhere a process that
    waits for the removed file would not keep out one that makes it again.
    """
    if os.name == "nt":
        with contextlib.suppress(OSError):
            path.unlink()
