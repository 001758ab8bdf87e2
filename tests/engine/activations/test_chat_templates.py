"""Chat templates that read a clock, and those that take their arguments in another form."""

import copy
import datetime as dt

import pytest
from transformers.utils import chat_template_utils

from pytest_crossdiff.engine.activations.chat_templates import FIXED_TIME, OTHER_TIME, Chat
from pytest_crossdiff.engine.activations.conversations import reads_clock
from pytest_crossdiff.engine.activations.rendering import tokenize
from pytest_crossdiff.engine.corpus.messages import Message, read_message
from pytest_crossdiff.engine.corpus.sampling import Piece
from pytest_crossdiff.errors import CorpusError
from support.tokenizers import tokenizer

TURNS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
LLAMA_3 = (
    "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    '{%- set date_string = strftime_now("%d %b %Y") %}'
    '{%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}{%- endif %}'
    "Today Date: {{ date_string }}\n" + TURNS
)
"""How the template of Llama 3.1 finds out the date."""
MESSAGES = (Message("user", "Is it late?"), Message("assistant", "No."))


@pytest.fixture
def chatty():
    def made(template):
        reader = copy.deepcopy(tokenizer("byte-level BPE"))
        reader.chat_template = template
        return reader

    return made


def in_year(monkeypatch, year):
    """Let this machine's clock stand in `year`."""

    class Clock:
        @staticmethod
        def now():
            return dt.datetime(year, 3, 14, 15)  # noqa: DTZ001

    monkeypatch.setattr(chat_template_utils, "datetime", Clock)


def test_a_template_gets_the_same_date_on_any_day(chatty, monkeypatch):
    reader = chatty(LLAMA_3)
    found = []
    for year in (2025, 2026):
        in_year(monkeypatch, year)
        assert str(year) in reader.apply_chat_template([MESSAGES[0].turn()], tokenize=False)
        found.append(Chat(MESSAGES, reader).write())
    assert found[0] == found[1]
    assert found[0].startswith("Today Date: 26 Jul 2024\n")


def test_tokens_are_the_same_on_any_day(chatty, monkeypatch):
    piece = Piece(0, 0, None, MESSAGES, heldout=False)
    ids = []
    for year in (2025, 2026):
        in_year(monkeypatch, year)
        read = tokenize(piece, chatty(LLAMA_3), chat_template="own", limit=1000)
        ids.append(read.input_ids.tolist())
    assert ids[0] == ids[1]


def test_the_clock_of_others_goes_on(chatty, monkeypatch):
    in_year(monkeypatch, 2025)
    before = chat_template_utils.datetime
    Chat(MESSAGES, chatty(LLAMA_3)).write()
    assert chat_template_utils.datetime is before
    with pytest.raises(CorpusError):
        Chat(MESSAGES, chatty("{{ raise_exception('no') }}")).write()
    assert chat_template_utils.datetime is before


@pytest.mark.parametrize("form", ["%Y", "%m", "%d", "%B", "%A", "%H", "%p", "%j", "%y", "%b %d"])
def test_whatever_a_template_prints_of_the_time_is_noticed(chatty, form):
    assert FIXED_TIME.strftime(form) != OTHER_TIME.strftime(form)
    assert Chat(MESSAGES, chatty(f"{{{{ strftime_now('{form}') }}}}{TURNS}")).reads_clock()


@pytest.mark.parametrize(("template", "reads"), [(LLAMA_3, True), (TURNS, False)])
def test_whether_a_template_reads_the_clock(chatty, template, reads):
    pieces = [
        Piece(0, 0, "text", (), heldout=False),
        Piece(1, 0, None, MESSAGES, heldout=False),
    ]
    assert reads_clock(pieces, chatty(template), "own") == reads
    assert not reads_clock(pieces, chatty(template), "plain")
    assert not reads_clock(pieces[:1], chatty(template), "own")


def test_a_template_that_uses_chance_is_refused(chatty):
    with pytest.raises(CorpusError, match="writes another text each time") as caught:
        Chat(MESSAGES, chatty("{{ range(10**5) | random }}" + TURNS)).reads_clock()
    assert "crossdiff_chat_template = plain" in str(caught.value)


def test_arguments_are_an_object_or_json_as_the_template_takes_them(chatty):
    calls = [{"function": {"name": "load", "arguments": {"node": "é"}}}]
    message = read_message({"role": "assistant", "tool_calls": calls}, 1, "")
    for template in (
        "{% for c in messages[0].tool_calls %}{{ c.function.arguments | tojson }}{% endfor %}",
        "{% for c in messages[0].tool_calls %}{{ '' + c.function.arguments }}{% endfor %}",
    ):
        assert Chat([message], chatty(template)).write() == '{"node": "é"}'
