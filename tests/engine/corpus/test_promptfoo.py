"""promptfoo's configuration and results, as its documentation and examples write them."""

import json

import pytest

from pytest_crossdiff.engine.corpus.documents import read
from pytest_crossdiff.errors import CorpusError

CONFIG = """\
description: Translations
prompts:
  - 'Translate to {{language}}: {{text}}'
  - file://prompts.txt
providers: [openai:gpt-5-mini]
defaultTest:
  vars: {text: Hello}
tests:
  - vars: {language: French}
    assert:
      - {type: contains, value: Bonjour}
  - vars: {language: [German, Latin], text: 'Good "day"'}
"""
CHAT = """\
[
  {"role": "system", "content": "Translate to {{ language }}."},
  {"role": "user", "content": "{{ text }}"}
]
"""


def asked(corpus):
    return [document.messages[-1].content for document in corpus.documents]


def refusal(path):
    with pytest.raises(CorpusError) as caught:
        read(path)
    return str(caught.value)


def test_every_prompt_is_filled_with_every_test(write):
    write("prompts.txt", "Say {{text}} in {{language}}.\n---\n{{text | upper}}, {{language}}!\n")
    corpus = read(write("promptfooconfig.yaml", CONFIG))
    assert asked(corpus) == [
        "Translate to French: Hello",
        "Say Hello in French.",
        "HELLO, French!",
        'Translate to German: Good "day"',
        'Say Good "day" in German.',
        'GOOD "DAY", German!',
        'Translate to Latin: Good "day"',
        'Say Good "day" in Latin.',
        'GOOD "DAY", Latin!',
    ]
    assert corpus.documents[4].id == "promptfooconfig.yaml:test 2, prompt 2"
    assert {d.part for d in corpus.documents} == {"promptfooconfig.yaml"}
    assert all(message.role == "user" for d in corpus.documents for message in d.messages)


def test_a_prompt_in_json_is_a_conversation_whatever_its_variables_hold(write):
    write("chat.json", CHAT)
    config = CONFIG.replace("file://prompts.txt", "file://chat.json")
    documents = read(write("promptfooconfig.yaml", config)).documents
    (chat,) = [d for d in documents if d.id.endswith("test 2, prompt 2")][:1]
    assert [(m.role, m.content) for m in chat.messages] == [
        ("system", "Translate to German."),
        ("user", 'Good "day"'),
    ]


def test_tests_come_from_tables_and_lines_too(write):
    rows = (
        'language,body,style,__expected\nFrench,Hello,"{""tone"":""formal""}",icontains:bonjour\n'
    )
    write("tests.csv", rows)
    write("tests.jsonl", json.dumps({"vars": {"language": "Latin", "body": "Day"}, "assert": []}))
    prompt = "In {{language}}, {{ (style | load).tone if style }}: {{body}}"
    config = {"prompts": [prompt], "tests": ["file://tests.csv", "file://tests.jsonl"]}
    corpus = read(write("promptfooconfig.json", json.dumps(config)))
    assert asked(corpus) == ["In French, formal: Hello", "In Latin, : Day"]


def test_results_are_the_prompts_that_were_sent(write):
    def result(raw, provider):
        return {
            "promptIdx": 0,
            "vars": {"text": "Hello"},
            "prompt": {"raw": raw, "label": "translate"},
            "provider": {"id": provider},
            "response": {"output": "Bonjour"},
            "success": True,
        }

    chat = json.dumps([{"role": "system", "content": "S"}, {"role": "user", "content": "Two"}])
    rows = [result(raw, provider) for raw in ("One", chat) for provider in ("a", "b")]
    whole = {"evalId": "eval-1", "results": {"version": 3, "results": rows}, "config": {}}
    corpus = read(write("results.json", json.dumps(whole)))
    assert (asked(corpus), corpus.duplicates) == (["One", "Two"], 2)
    assert [m.role for m in corpus.documents[1].messages] == ["system", "user"]
    lines = read(write("results.jsonl", "\n".join(map(json.dumps, rows))))
    assert lines.digest == corpus.digest


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("file://prompts.txt", "file://prompt.py:make"), "is not a file of texts"),
        (("file://prompts.txt", "file://missing.txt"), "there is no file file://missing.txt"),
        (("{{text}}'", "{{text'"), "test 1, prompt 1: the prompt can't be filled in"),
    ],
)
def test_what_code_computes_or_is_not_there_is_refused(write, change, words):
    write("prompts.txt", "x")
    message = refusal(write("promptfooconfig.yaml", CONFIG.replace(*change)))
    assert words in message
    assert "to do: " in message


def test_tests_alone_have_no_prompt(write):
    message = refusal(write("a.jsonl", json.dumps({"vars": {"question": "Why?"}, "assert": []})))
    assert "variables of promptfoo, but not the prompt that they are put into" in message
    assert "set crossdiff_corpus_column = vars.question" in message
    message = refusal(write("a.csv", "language,body,__expected\nFrench,Hello,icontains:bonjour\n"))
    assert "give its configuration or its results" in message


def test_a_table_of_results_has_no_prompts_and_is_not_read_as_its_variables(write):
    header = "Description,text,language,[echo] Say {{text}},Status,Score,Named Scores,Grader Reason"
    table = write("results.csv", f"{header},Comment\n,Hello,French,Say Hello,PASS,1.00,{{}},ok,\n")
    message = refusal(table)
    assert (
        "is a table of promptfoo's results: the prompts as they were sent are not in it" in message
    )
    assert "promptfoo eval --output results.json" in message
    assert [d.text for d in read(table, column="text").documents] == ["Hello"]


def test_a_template_runs_no_code_of_the_machine(write):
    config = {
        "prompts": ["{{ ''.__class__.__mro__[1].__subclasses__() }}"],
        "tests": [{"vars": {}}],
    }
    assert "can't be filled in" in refusal(write("c.json", json.dumps(config)))
