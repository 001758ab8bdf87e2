"""A text of the user's, in which the tokens are marked on which a difference fires."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_crossdiff.cli.results import measured_settings
from pytest_crossdiff.errors import InsufficientData, ModelError, SettingsError
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import columns, plural, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_crossdiff.cli.results import LoadedReport
    from pytest_crossdiff.cli.terminal import Terminal
    from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder
    from pytest_crossdiff.engine.explanation.reading import FiringSpan
    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side


def text_of(given: str) -> str:
    """The text itself, or the contents of the file after `@`.  Raises `SettingsError`."""
    if not given.startswith("@"):
        text = given
    else:
        try:
            text = Path(given[1:]).expanduser().read_text("utf-8")
        except (OSError, RuntimeError, ValueError) as error:
            raise SettingsError(f"can't read {given[1:]}: {error}", source="--on") from error
    if not text.strip():
        raise SettingsError("there is no text to read", source="--on")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def write_reading(
    out: Terminal,
    found: LoadedReport,
    text: str,
    differences: Sequence[Difference],
    flags: Mapping[str, str],
    progress: Progress,
) -> None:
    """Read `text` with both models and write it once for each difference that fires on it."""
    result = found.result
    if not differences:
        raise InsufficientData("the result has no difference that could fire on the text")
    settings = measured_settings(result, flags)
    references = {side: _reference(side, settings, result, found) for side in SIDES}
    from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder, entries_of

    dictionaries = entries_of(result.key, result.training.seeds, found.store)
    from pytest_crossdiff.engine.explanation.reading import read

    def dictionary(seed: int) -> TrainedCrosscoder:
        return TrainedCrosscoder.load(dictionaries[seed])

    reading = read(text, result, settings, references, dictionary, differences, progress)
    silent = []
    for difference in differences:
        fired = reading.fired[difference.id]
        if not fired:
            silent.append(difference)
            continue
        most = max(f.activation for f in fired)
        out.line(
            f"{out.paint(visible(difference.id), difference.side)}  only in the {difference.side}: "
            f"{plural(len(fired), 'token')} of {reading.pairs}, at most {most:.2f}"
        )
        for line in _wrapped(out, text, fired, difference.side):
            out.line(f"  {line}")
        out.line()
    if silent:
        names = ", ".join(visible(d.id) for d in silent)
        out.line(f"Do not fire on its {plural(reading.pairs, 'token')}: {names}")


def _reference(
    side: Side, settings: Settings, result: Result, found: LoadedReport
) -> ModelReference:
    """The model as it was measured.  Raises `ModelError` when it isn't there or is another now."""
    from pytest_crossdiff.engine.models.sources.references import resolve

    reference = resolve(getattr(settings, side), found.store, source=f"the result's {side}")
    if reference.digest != result.model(side).digest:
        raise ModelError(
            f"{reference.reference} is not the {side} that was measured: its files have changed",
            source=f"result {result.key[:12]}",
            remedy="measure again with `crossdiff train`, or name the model that was measured with "
            f"--{side}",
        )
    return reference


def _wrapped(out: Terminal, text: str, fired: Sequence[FiringSpan], side: Side) -> Iterator[str]:
    """The text in lines that fit, each token that fires between marks and in its side's colour."""
    line, used = "", 0
    for shown, fires in _runs(text, fired):
        piece = f"⟦{shown}⟧" if fires else shown
        while piece:
            room = out.width - 2 - used
            part, piece = _split(piece, room)
            line += out.paint(part, side) if fires else part
            used += columns(part)
            if piece or (part.endswith("⏎") and not fires):
                yield line
                line, used = "", 0
    if line:
        yield line


def _runs(text: str, fired: Sequence[FiringSpan]) -> Iterator[tuple[str, bool]]:
    """The text made visible, in stretches that fire and stretches that don't, up to line ends."""
    done = 0
    for token in sorted(fired):
        yield from _plain(text[done : token.start])
        if token.end > max(done, token.start):
            yield visible(text[max(done, token.start) : token.end]), True
        done = max(done, token.end)
    yield from _plain(text[done:])


def _plain(text: str) -> Iterator[tuple[str, bool]]:
    for line in text.splitlines(keepends=True):
        yield visible(line), False


def _split(text: str, room: int) -> tuple[str, str]:
    """What fits into `room` columns, at a space if there is one, and the rest."""
    end = next((i for i in range(len(text)) if columns(text[: i + 1]) > room), len(text))
    if end == len(text):
        return text, ""
    space = text.rfind(" ", 0, end)
    end = space + 1 if space > 0 else end
    return text[:end], text[end:]
