"""How the engine says how far it is, without knowing who listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


class Phase(Protocol):
    """One stretch of work, entered as a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def advance(self, units: int = 1, detail: str = "") -> None:
        """Report that `units` more are done; `detail` is a few words, such as the loss."""


class Progress(Protocol):
    """Receives the phases of a run and single remarks."""

    def phase(self, name: str, total: int, unit: str) -> Phase:
        """Begin a phase of `total` units, e.g. `("harvest baseline", 50_000, "token")`."""

    def note(self, message: str) -> None:
        """Say one thing that the person at the terminal should know."""


class _SilentPhase:
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def advance(self, units: int = 1, detail: str = "") -> None:
        return None


class SilentProgress:
    """Listens to nothing: for library use and for worker processes without a terminal."""

    def phase(self, name: str, total: int, unit: str) -> Phase:
        return _SilentPhase()

    def note(self, message: str) -> None:
        return None
