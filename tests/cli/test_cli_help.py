"""What the help of each command says, and what an error of a command calls a setting."""

from __future__ import annotations

import argparse
import re

import pytest

from pytest_crossdiff.cli.arguments import as_typed
from pytest_crossdiff.cli.parser import parser
from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.settings import fields, kinds


class TestHelp:
    """Each command's help in a terminal of 80 columns."""

    @pytest.fixture
    def helps(self, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        found, waiting = {}, [parser()]
        while waiting:
            one = waiting.pop()
            found[one.prog] = one.format_help()
            for action in one._actions:
                if isinstance(action, argparse._SubParsersAction):
                    waiting += dict.fromkeys(action.choices.values())
        return found

    def test_no_text_is_wider_only_a_command_to_be_pasted(self, helps):
        wide = {x.strip() for text in helps.values() for x in text.splitlines() if len(x) > 80}
        assert all(line.startswith("crossdiff completion ") for line in wide)
        assert len(helps) > 10

    def test_it_starts_with_the_five_settings_that_one_needs(self, helps):
        text = helps["crossdiff train"]
        flags = re.findall(r"^  --([a-z-]+)", text.partition("needs first:")[2], re.MULTILINE)
        assert flags[:5] == ["baseline", "candidate", "corpus", "layer", "max-candidate-only"]
        assert len(flags) == sum(not field.ini_only for field in fields())
        usage = " ".join(text.partition("\n\n")[0].split())
        assert usage.endswith("[--max-candidate-only N] [--SETTING VALUE ...]")
        assert '{"text": "..."} or {"messages": [{"role": "user", ' in " ".join(text.split())

    def test_what_stands_for_a_value_says_what_it_is(self):
        shown = {field.name: kinds.metavar(field) for field in fields()}
        some = {
            "seeds": "N", "heldout": "SHARE", "layer": "LAYERS", "corpus": "PATH",
            "controls": "true|false", "chat_template": "own|plain", "max_kl": "NATS",
            "max_candidate_only": "N", "max_candidate_only_strength": "STRENGTH",
        }  # fmt: skip
        assert {name: shown[name] for name in some} == some


def test_an_error_names_what_was_typed():
    error = SettingsError(
        "crossdiff_layer = 'x' is not valid", source="--crossdiff-layer", remedy="see pytest.ini"
    )
    assert str(as_typed(error, {"layer": "x"})).startswith(
        "--layer = 'x' is not valid\n  from: --layer\n"
    )
    assert str(as_typed(error, {})) == str(error)
