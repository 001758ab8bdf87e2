"""The `conftest.py` of docs/how-to/labels.md, with a server on this machine."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from support.results import make_context, make_difference, make_result

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "labels.md"


class Server(HTTPServer):
    """Answers every question with the marked words of its first text, as a model might."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self):
        assert self.path == "/v1/chat/completions"
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        (message,) = body["messages"]
        word = re.findall(r"\*\*(.+?)\*\*", message["content"].partition("\n\n")[2])[0]
        answer = {"choices": [{"message": {"content": f"  the word{word}\n"}}]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    with Server() as made:
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("LABEL_SERVER", f"http://127.0.0.1:{made.server_port}/v1")
        yield made
        made.shutdown()


@pytest.fixture
def differing(project, engine):
    maple = make_context(" maple", "syrup of")
    engine.result = make_result(make_difference(), make_difference("C2", contexts=(maple,)))
    (example,) = re.findall(r"^```python\n# conftest.py\n(.*?)^```$", PAGE.read_text("utf-8"),
                            re.MULTILINE | re.DOTALL)  # fmt: skip
    project.makeconftest(example)
    return project


def test_each_difference_is_named_by_its_texts_and_asked_for_once(differing, server):
    for _ in range(2):
        done = differing.runpytest("--crossdiff")
        assert done.ret == 1  # a label changes no verdict
        done.stdout.fnmatch_lines(["  C1  the word token (a label, unverified): *"])
        done.stdout.fnmatch_lines(["  C2  the word maple (a label, unverified): *"])
    assert len(server.asked) == 2
    assert "- syrup of** maple** and some after it" in server.asked[1]["messages"][0]["content"]
    kept = json.loads((differing.path / "crossdiff-labels.json").read_text("utf-8"))
    assert [*kept.values()] == ["the word token", "the word maple"]


def test_without_a_server_there_is_a_warning_and_no_label(differing, monkeypatch):
    monkeypatch.setenv("LABEL_SERVER", "http://127.0.0.1:9/v1")  # nobody listens there
    done = differing.runpytest("--crossdiff", "-W", "default")
    assert done.ret == 1
    done.stdout.fnmatch_lines(["*LabelWarning: C1 has no label: * gave URLError: *"])
    assert not (differing.path / "crossdiff-labels.json").exists()
