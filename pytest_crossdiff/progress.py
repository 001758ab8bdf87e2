"""How the engine says how far it is, without knowing who listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
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


class Expected(NamedTuple):
    """A phase that is to come, by its name, and roughly how long it will take.

    kind: phases of one kind (reading, training) are off by about the same factor.
    """

    name: str
    seconds: float
    kind: str


class Progress(Protocol):
    """Receives the phases of a run and single remarks."""

    def expect(self, phases: Sequence[Expected]) -> None:
        """Say what is to come, in order; it comes after what was said before."""

    def phase(self, name: str, total: int, unit: str) -> Phase:
        """Begin a phase of `total` units, e.g. `("harvest baseline", 50_000, "token")`."""

    def note(self, message: str) -> None:
        """Say one thing that the person at the terminal should know."""

    def estimate(self, message: str, seconds: float) -> None:
        """Say how long the run will take, in `message`, or more briefly where that is short."""

    def detail(self, message: str) -> None:
        """Say what is done now, or what a report will say again; it may be left out."""


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

    def expect(self, phases: Sequence[Expected]) -> None:
        return None

    def phase(self, name: str, total: int, unit: str) -> Phase:
        return _SilentPhase()

    def note(self, message: str) -> None:
        return None

    def estimate(self, message: str, seconds: float) -> None:
        return None

    def detail(self, message: str) -> None:
        return None
