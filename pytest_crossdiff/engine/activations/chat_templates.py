"""A conversation in a model's chat template, with a clock that stands still.

Templates of several families write today's date into the prompt (`strftime_now`).  Two renderings
of one conversation would differ by the day on which they were made, and so would what is read.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
from typing import TYPE_CHECKING, Any

from pytest_crossdiff.engine.corpus.time_limit import TooLongError, time_limit
from pytest_crossdiff.errors import CorpusError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from transformers import PreTrainedTokenizerBase

    from pytest_crossdiff.engine.corpus.messages import Message, Path

FIXED_TIME = dt.datetime(2024, 7, 26, 12)  # noqa: DTZ001  templates print local time
"""What templates are given as the time: on the day that Llama 3.1's template names if it has no
clock.
"""
OTHER_TIME = dt.datetime(2031, 11, 2, 3)  # noqa: DTZ001
"""Another year, month, day, day of the week, hour and half of the day."""

PLAIN_REMEDY = "set crossdiff_chat_template = plain to compare both models on the bare contents"
_LOCK = threading.Lock()
_BREAKS = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
    TooLongError,
)
"""What a template may raise besides jinja2's own errors."""


class Chat:
    """A conversation and the template that writes it.

    tools: those that the conversation offers, as JSON.
    """

    def __init__(
        self, messages: Sequence[Message], tokenizer: PreTrainedTokenizerBase, tools: str = ""
    ) -> None:
        self.messages, self.tokenizer = messages, tokenizer
        self._tools = json.loads(tools) if tools else None

    def write(
        self,
        texts: Sequence[Mapping[Path, str]] | None = None,
        until: int | None = None,
        *,
        prompt: bool = False,
        now: dt.datetime = FIXED_TIME,
    ) -> str:
        """The conversation as the model reads it, or its messages before `until`.

        texts: of each message, texts instead of its own.  prompt: with what the template writes
        before an answer.  now: the time on the template's clock.  The arguments of tool calls are
        objects for most templates; those that refuse objects get JSON.  Raises `ModelError`
        without a template, `CorpusError` when the template refuses the conversation.
        """
        chosen = list(zip(self.messages, texts or [{}] * len(self.messages), strict=True))[:until]

        def written(*, as_json: bool) -> str:
            turns = [message.turn(own, arguments_as_json=as_json) for message, own in chosen]
            return self._apply(turns, prompt, now)

        try:
            return written(as_json=False)
        except CorpusError:
            if not any(message.has_calls for message, _ in chosen):
                raise
            with contextlib.suppress(CorpusError):
                return written(as_json=True)
            raise

    def prompt_end(self, message: int, rendered: str) -> int | None:
        """Where in the rendered conversation the template stops and the model begins to write
        `message`; None if the template can't tell.
        """
        try:
            bare, prompt = (self.write(until=message, prompt=prompt) for prompt in (False, True))
        except CorpusError:  # some templates take whole conversations only
            return None
        return len(prompt) if prompt != bare and rendered.startswith(prompt) else None

    def reads_clock(self) -> bool:
        """Whether the template writes the date or the time into the conversation.

        Raises `CorpusError` when it writes something else each time, so that no two runs would
        read the same; and as `write`.
        """
        times = (FIXED_TIME, FIXED_TIME, OTHER_TIME)
        first, again, later = (self.write(now=now) for now in times)
        if first != again:
            raise CorpusError(
                f"the chat template of {name_of(self.tokenizer)} writes another text each time",
                remedy=f"take chance out of the template, or {PLAIN_REMEDY}",
            )
        return first != later

    def _apply(self, turns: list[dict[str, Any]], prompt: bool, now: dt.datetime) -> str:
        from jinja2 import TemplateError  # as late as transformers does

        if not self.tokenizer.chat_template:
            raise ModelError(
                f"{name_of(self.tokenizer)} has no chat template, and the corpus has messages",
                remedy=PLAIN_REMEDY,
            )
        try:
            with _clock(now), time_limit():
                rendered = self.tokenizer.apply_chat_template(
                    turns, tools=self._tools, tokenize=False, add_generation_prompt=prompt
                )
        except (TemplateError, *_BREAKS) as error:
            roles = ", ".join(turn["role"] for turn in turns)
            raise CorpusError(
                f"the chat template of {name_of(self.tokenizer)} refuses a conversation of "
                f"{roles}: {error}",
                remedy=PLAIN_REMEDY,
            ) from error
        assert isinstance(rendered, str)
        return rendered


def name_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """What messages call the tokenizer's model."""
    return getattr(tokenizer, "name_or_path", "") or "the model"


class _StoppedClock:
    """Stands for `datetime.datetime` where transformers asks for the time."""

    def __init__(self, now: dt.datetime) -> None:
        self._now = now

    def now(self, tz: dt.tzinfo | None = None) -> dt.datetime:
        return self._now.replace(tzinfo=tz)


@contextlib.contextmanager
def _clock(now: dt.datetime) -> Iterator[None]:
    """Let `strftime_now`, transformers' function in templates, give `now`.

    The template's environment is private, and a function among the arguments of a template arrives
    there as text, so the time is replaced where `strftime_now` takes it from.
    """
    from transformers.utils import chat_template_utils

    module: Any = chat_template_utils
    with _LOCK:
        before = module.datetime
        module.datetime = _StoppedClock(now)
        try:
            yield
        finally:
            module.datetime = before
