"""What can go wrong, in words that name the cause, the setting it came from and the remedy."""

from __future__ import annotations

from pytest_crossdiff.text import harmless


class CrossDiffError(Exception):
    """The pair could not be measured: the test is an ERROR, neither passed nor FAILED.

    what: what happened.  source: the setting or file it came from.  remedy: what to do about it.
    Any of them may hold text of a corpus, a model or a file name: as text the error is harmless on
    a terminal and in a log, whoever prints it.
    """

    def __init__(self, what: str, *, source: str | None = None, remedy: str | None = None) -> None:
        self.what = what
        self.source = source
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.what]
        if self.source:
            lines.append(f"  from: {self.source}")
        if self.remedy:
            lines.append(f"  to do: {self.remedy}")
        return harmless("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments don't survive the default pickling between test processes.
        return (_rebuild, (type(self), self.what, self.source, self.remedy))


def _rebuild(
    kind: type[CrossDiffError], what: str, source: str | None, remedy: str | None
) -> CrossDiffError:
    return kind(what, source=source, remedy=remedy)


class SettingsError(CrossDiffError):
    """A setting is unknown, malformed or contradicts another."""


class ModelError(CrossDiffError):
    """A model or its tokenizer can't be found, loaded or hooked."""


class CorpusError(CrossDiffError):
    """The corpus can't be read, is empty or is too small."""


class ActivationError(CrossDiffError):
    """Activations are not usable: NaN, infinite, nothing aligned."""


class StoreError(CrossDiffError):
    """The cache can't be read or written."""


class InsufficientData(CrossDiffError):
    """There is a measurement, but it is too poor to base a verdict on."""


class _Verdict(AssertionError):
    """A message that may hold text of a corpus or a model, and is harmless whoever prints it."""

    def __init__(self, message: str = "") -> None:
        super().__init__(harmless(message))


class BudgetExceeded(_Verdict):
    """The models differ by more than the budget allows: a FAILED test."""


class Inconclusive(_Verdict):
    """The models may differ by more than the budget allows, and the evidence doesn't decide it: a
    FAILED test, or a warning where `crossdiff_inconclusive = warn`.
    """


class InconclusiveWarning(UserWarning):
    """An inconclusive verdict that was let pass."""

    def __init__(self, message: str = "") -> None:
        super().__init__(harmless(message))
