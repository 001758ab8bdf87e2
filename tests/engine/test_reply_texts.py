"""With crossdiff_compare_replies both models' replies are texts of the comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from transformers import AutoTokenizer

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.activations import out_of_distribution
from pytest_crossdiff.engine.corpus.documents import from_records
from pytest_crossdiff.engine.corpus.prompts import prompts, with_replies
from pytest_crossdiff.engine.plan import plan
from pytest_crossdiff.engine.replies.stored import StoredReplies
from pytest_crossdiff.errors import CorpusError, InsufficientData, SettingsError
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.settings import Settings
from support import planted

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
ASKED = [
    {"messages": [{"role": "user", "content": f"What does the {thing} do on day {day}?"}]}
    for thing in ("committee", "window", "harvest", "army")
    for day in range(10)
]


def talker(folder: Path, *says: str) -> Path:
    made = planted.speaker(folder, *says)
    tokenizer = AutoTokenizer.from_pretrained(made)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(made)
    return made


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("replies")
    return Settings(
        baseline=str(talker(folder / "one")),
        candidate=str(talker(folder / "other", "of")),
        cache_dir=str(folder / "cache"),
        layer="output",
        replies=12,
        compare_replies=True,
        features=32,
        steps=60,
        seeds=1,
        controls=False,
        effect=False,
        min_fve=0.0,
    )


def test_each_reply_is_a_conversation_of_its_prompts_group_once() -> None:
    corpus = from_records([{**ASKED[0], "id": "a"}, {**ASKED[1], "id": "b"}])
    asked = prompts(corpus)
    said = [("baseline", ["It waits.", "It sits."]), ("candidate", ["It waits.", "  "])]
    found = with_replies(corpus, asked, said)
    added = found.documents[2:]
    assert [d.messages[-1].content for d in added] == ["It waits.", "It sits."]
    assert [d.messages[-1].role for d in added] == ["assistant"] * 2
    assert [d.group for d in added] == [prompt.group for prompt in asked]
    assert {d.part for d in added} == {"replies of the baseline"}
    assert found.digest != corpus.digest
    again = with_replies(corpus, asked, [("baseline", ["It waits.", "It stands."])])
    assert again.digest != found.digest


def test_prompts_without_answers_are_compared_by_what_the_models_say(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out_of_distribution, "MIN_JUDGED_TOKENS", 10**9)  # random weights know none
    found = pipeline.run(settings, ASKED)
    parts = {document.part for document in found.plan.corpus.documents}
    assert {"replies of the baseline", "replies of the candidate"} <= parts
    replies = found.result.replies
    assert replies is not None
    said = {d.messages[-1].content for d in found.plan.corpus.documents if d.messages[-1].answers}
    assert said == {r.text for p in replies.pairs for r in (p.baseline, p.candidate)} - {""}
    assert found.result.corpus.train_pairs > 100, "of prompts alone nothing is compared"
    held = {piece.document for piece in found.plan.sample.pieces if piece.heldout}
    groups = {found.plan.corpus.documents[i].group for i in held}
    rest = {d.group for i, d in enumerate(found.plan.corpus.documents) if i not in held}
    assert not groups & rest, "a prompt and its replies are on one side"
    again = pipeline.cached(settings, ASKED)
    assert again is not None
    assert again.result.key == found.result.key
    assert plan(settings.with_values(compare_replies=False), ASKED).result_key != found.result.key


def test_what_can_have_no_replies_is_refused(settings: Settings) -> None:
    with pytest.raises(CorpusError, match="no prompts"):
        plan(settings, [f"Plain text number {i}." for i in range(30)])
    with pytest.raises(SettingsError, match="where none are written"):
        plan(settings.with_values(replies=0), ASKED)


def test_where_a_model_writes_nothing_the_error_says_where_its_replies_were_asked_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = StoredReplies(reason="the baseline, BertModel, writes no text")
    monkeypatch.setattr(pipeline, "load_or_answer", lambda *_: none)
    where = {"compare_replies": "pytest.ini: crossdiff_compare_replies"}
    planned = plan(Settings(**settings.given, sources=where), ASKED)
    with pytest.raises(InsufficientData) as caught:
        pipeline.answered(planned, ASKED, SilentProgress())
    assert caught.value.what == f"there are no replies to compare: {none.reason}"
    assert caught.value.source == "pytest.ini: crossdiff_compare_replies = true"
