"""`crossdiff demo`: from nothing to a verdict that names what the update changed."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pytest_crossdiff.demo.conversations import REFUSED, after_the_update, conversations
from pytest_crossdiff.demo.models import untrained
from support.commands import crossdiff

if TYPE_CHECKING:
    from pathlib import Path


def test_the_update_changes_the_answers_of_one_topic_alone():
    before = conversations()
    changed = {a.topic for a, b in zip(before, after_the_update(before), strict=True) if a != b}
    assert changed == {"returns"}
    assert len(set(Counter(c.topic for c in before).values())) == 1


def test_what_is_there_already_is_left_alone(tmp_path):
    (tmp_path / "shop").mkdir()
    done = crossdiff(tmp_path, "demo", "shop")
    assert done.returncode == 2
    assert "name another folder: crossdiff demo FOLDER" in done.stderr
    assert list((tmp_path / "shop").iterdir()) == []


def test_transformers_draws_no_bars_of_its_own(tmp_path, capfd):
    chat = untrained(conversations()[:2])
    chat.save(tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").is_file()
    assert capfd.readouterr().err == ""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the demo, and what it told."""
    folder = tmp_path_factory.mktemp("demo")
    done = crossdiff(folder, "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "crossdiff-demo", " ".join(done.stdout.split())


@pytest.mark.long
@pytest.mark.slow
class TestItsVerdict:
    def test_it_fails_for_what_was_changed(self, ran):
        folder, told = ran
        assert "2 failed" in told
        (report,) = (folder / "crossdiff-report").glob("*.html")
        assert f"The report: crossdiff-demo/crossdiff-report/{report.name}" in told

    def test_the_differences_are_told_in_words(self, ran):
        said = re.findall(r"After '\S+' the candidate says '(\S+)' \((\d+)", ran[1])
        assert {word for word, share in said if int(share) > 30} & set(REFUSED.split())

    def test_the_refusals_are_shown_beside_the_answers_of_before(self, ran):
        assert f"'{REFUSED}'" in ran[1]
        before = r"'Yes , you can return the [a-z]+ [a-z]+ until [A-Z][a-z]+day \.'"
        assert re.search(before, ran[1])

    def test_nearly_all_of_the_change_is_explained(self, ran):
        (path,) = ran[0].glob("cache/result/*/*/result.json")
        result = json.loads(path.read_text("utf-8"))
        shares = [d["kl_share"] for d in result["differences"] if d["certainty"] == "confirmed"]
        assert sum(shares) > 0.8

    def test_the_corpus_is_that_of_the_shop(self, ran):
        lines = (ran[0] / "conversations.jsonl").read_text("utf-8").splitlines()
        assert [json.loads(line)["messages"] for line in lines] == [
            c.messages for c in conversations()
        ]
