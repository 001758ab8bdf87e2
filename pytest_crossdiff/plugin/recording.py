"""What ordinary tests ask the models and what these answer, for the list of tests at risk.

Imported where a test asks for a model.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.results.tests import RecordedRun, RecordedText
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pytest

    from pytest_crossdiff.sides import Side


class Recorder:
    """Takes note of texts, each as one of the test that runs.  running: gives that test."""

    def __init__(self, running: Callable[[], pytest.Item | None]) -> None:
        self._running = running
        self._texts: dict[str, list[RecordedText]] = {}

    def record(
        self, prompt: str | Sequence[Mapping[str, Any]], output: str, side: Side | None = None
    ) -> None:
        """Keep a prompt, a text or messages, and what the model of `side` answered.

        side: by default that of the model that the test uses.  Raises `SettingsError` where it
        can't be told, or for what is no text.
        """
        item = self._running()
        chosen = side or _only(_named(item) if item else ())
        if chosen not in SIDES:
            raise _refusal(
                f"{side!r} is no side" if side else "which model answered can't be told",
                'give side="baseline" or side="candidate", or use the fixture crossdiff_model, '
                "crossdiff_baseline or crossdiff_candidate",
            )
        if not isinstance(output, str):
            kind = type(output).__name__
            raise _refusal(f"the output is a {kind}, not a text", "record the text of the answer")
        if item is not None:
            text = RecordedText(chosen, _turns(prompt), output)
            self._texts.setdefault(item.nodeid, []).append(text)

    def carry(
        self,
        report: pytest.TestReport,
        item: pytest.Item,
        error: pytest.ExceptionInfo[BaseException] | None,
    ) -> None:
        """Put the run of the test that ends now on its report, as JSON, where it uses a model."""
        import pytest

        skipped = error is not None and error.errisinstance(pytest.skip.Exception)
        run = self._take(item, passed=None if skipped else error is None)
        if run:
            vars(report)["crossdiff_recorded"] = run

    def _take(self, item: pytest.Item, *, passed: bool | None) -> str:
        texts = tuple(self._texts.pop(item.nodeid, ()))
        sides = {text.side for text in texts} or {*_named(item)} if _uses(item) or texts else set()
        if not sides:
            return ""
        ordered = tuple(side for side in SIDES if side in sides)
        return json.dumps(RecordedRun(item.nodeid, ordered, passed, texts), default=vars)


def _uses(item: pytest.Item) -> tuple[Side, ...]:
    """The models that a test takes as arguments."""
    chosen = getattr(item, "callspec", None)
    parameter = chosen.params.get("crossdiff_model") if chosen else None
    if parameter in SIDES:
        return (parameter,)
    fixtures = getattr(item, "fixturenames", ())
    return tuple(side for side in SIDES if f"crossdiff_{side}" in fixtures)


def _named(item: pytest.Item) -> tuple[Side, ...]:
    """The same; of a test that takes both or none, the one that its name has in it, if only one."""
    used = _uses(item)
    if len(used) == 1:
        return used
    named = tuple(side for side in SIDES if side in item.nodeid)
    return named if len(named) == 1 else used


def _only(sides: tuple[Side, ...]) -> Side | None:
    return sides[0] if len(sides) == 1 else None


def _turns(prompt: object) -> tuple[tuple[str, str], ...]:
    if isinstance(prompt, str):
        return (("user", prompt),)
    turns = prompt if isinstance(prompt, (list, tuple)) and prompt else [prompt]
    found = []
    for turn in turns:
        role, content = (
            (turn.get("role"), turn.get("content")) if isinstance(turn, dict) else (None, None)
        )
        if not isinstance(role, str) or not isinstance(content, str):
            raise _refusal(
                "the prompt is neither a text nor a list of messages",
                'give a text, or [{"role": "user", "content": "..."}, ...]',
            )
        found.append((role, content))
    return tuple(found)


def _refusal(what: str, remedy: str) -> SettingsError:
    return SettingsError(what, source="crossdiff_record", remedy=remedy)
