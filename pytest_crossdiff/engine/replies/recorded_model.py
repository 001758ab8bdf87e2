"""A loaded model that ordinary tests ask, and that records what it was asked and answered."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_crossdiff.engine.corpus.messages import Message, UnusableRecordError, read_message
from pytest_crossdiff.engine.corpus.prompts import Prompt
from pytest_crossdiff.engine.models.in_memory import hold
from pytest_crossdiff.engine.models.loaded import LoadedModel, load_configured
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.engine.replies.write import continuations, prompt_ids
from pytest_crossdiff.errors import CorpusError, ModelError, SettingsError
from pytest_crossdiff.settings.kinds import OUTPUT
from pytest_crossdiff.store.cache import Store

if TYPE_CHECKING:
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side

Question = str | Sequence[Mapping[str, object]]
"""What a user says, or the messages of a conversation."""


def conversation(question: Question) -> tuple[Message, ...]:
    """The messages of a question.  Raises `CorpusError` for what is none."""
    form = 'give a text, or [{"role": "user", "content": "..."}, ...]'
    turns = [{"role": "user", "content": question}] if isinstance(question, str) else question
    if not isinstance(turns, Sequence) or not turns:
        raise CorpusError("the prompt is neither a text nor a list of messages", remedy=form)
    try:
        return tuple(read_message(turn, number, form) for number, turn in enumerate(turns, 1))
    except UnusableRecordError as error:
        raise CorpusError(f"the prompt has {error.what}", remedy=error.remedy) from None


@dataclass(repr=False)
class RecordedModel(LoadedModel):
    """A `LoadedModel` with `reply`.  record: called with each question and its reply."""

    side: Side = "baseline"
    tokens: int = 64
    record: Callable[[Question, str, Side], None] = lambda *_: None

    @classmethod
    def load(
        cls, settings: Settings, side: Side, record: Callable[[Question, str, Side], None]
    ) -> RecordedModel:
        """The model of `side`, with weights of its own, which measurements read too as long as no
        test changes them.  Raises `ModelError`.
        """
        source = settings.sources.get(side, f"crossdiff_{side}")
        store = Store.at(settings.cache_dir)
        reference = resolve(getattr(settings, side), store, source=source)
        loaded = load_configured(settings, side, reference, own=True)
        recorded = cls.of(loaded, side, settings.replies, record)
        if not settings.device_map:
            hold(recorded, with_head=settings.layer_of(side) == OUTPUT)
        return recorded

    @classmethod
    def of(
        cls,
        loaded: LoadedModel,
        side: Side,
        tokens: int,
        record: Callable[[Question, str, Side], None],
    ) -> RecordedModel:
        """The same model, which shares the weights."""
        given = {field.name: getattr(loaded, field.name) for field in dataclasses.fields(loaded)}
        return cls(**given, side=side, tokens=tokens, record=record)

    def reply(self, prompt: Question, *, max_tokens: int | None = None) -> str:
        """What the model answers: greedily, at most `max_tokens` tokens (`crossdiff_replies`).

        prompt: a text, asked as a user's turn in the model's chat template, or continued where it
        has none; or messages.  The test that runs records both.  Raises `ModelError` where the
        model writes no text, `CorpusError` for a prompt that is none, `SettingsError` for a length
        that is none.
        """
        if max_tokens is not None and not _is_length(max_tokens):
            raise SettingsError(
                f"max_tokens = {max_tokens!r} is not valid",
                source="reply()",
                remedy="give a whole number, at least 1, or leave it out",
            )
        if self.head != "causal" or not self.model.can_generate():
            raise ModelError(
                f"{self.reference.reference} writes no text, so it has no reply",
                source=self.reference.source,
                remedy="use `.model` and `.tokenizer`, and crossdiff_record(prompt, output)",
            )
        messages = conversation(prompt)
        if self.tokenizer.chat_template:
            ids = prompt_ids(Prompt("", "", messages, ""), self.tokenizer)
        else:
            text = "\n".join(message.text for message in messages)
            ids = list(self.tokenizer(text)["input_ids"])
        (written,) = continuations(self, [ids], max_tokens or self.tokens or 64)
        said = [{"role": message.role, "content": message.text} for message in messages]
        self.record(said, written.text, self.side)
        return written.text


def _is_length(given: object) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and given >= 1
