"""The demo as a folder: two models, their conversations, a configuration and a test."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_crossdiff.demo.conversations import after_the_update, conversations
from pytest_crossdiff.store.files import translate_os_errors

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_crossdiff.progress import Progress

CONFIGURATION = """\
[pytest]
required_plugins = pytest-crossdiff
crossdiff_baseline = models/v1
crossdiff_candidate = models/v2
crossdiff_corpus = conversations.jsonl
crossdiff_layer = output
crossdiff_max_surprising_replies = 0.1
# One dictionary, so that it takes a minute; the default is 3.
crossdiff_seeds = 1
crossdiff_cache_dir = cache
crossdiff_report = html
"""
TEST = """\
def test_upgrade(crossdiff):
    crossdiff.assert_within_budget()


def test_nothing_new_is_refused(crossdiff):
    crossdiff.assert_no_feature(matching="cannot help", side="candidate")
"""


def write(folder: Path, progress: Progress) -> None:
    """Fill the folder, which must not be there; the models take most of the time."""
    from pytest_crossdiff.demo.models import train, untrained

    told = conversations()
    with translate_os_errors(folder, "write", setting=""):
        folder.mkdir(parents=True)
        lines = (
            json.dumps({"messages": c.messages, "slice": c.topic, "document": c.question}) + "\n"
            for c in told
        )
        (folder / "conversations.jsonl").write_text("".join(lines), encoding="utf-8")
        (folder / "test_upgrade.py").write_text(TEST, encoding="utf-8")
        chat = untrained([*told, *after_the_update(told)])
        train(chat, told, "baseline", progress)
        chat.save(folder / "models" / "v1")
        train(chat, after_the_update(told), "candidate", progress)
        chat.save(folder / "models" / "v2")
        # Last, so that a folder that was left unfinished is no project yet.
        (folder / "pytest.ini").write_text(CONFIGURATION, encoding="utf-8")
