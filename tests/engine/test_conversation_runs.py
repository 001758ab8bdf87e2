"""Whole measurements of conversations, by models on disk."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from transformers.utils import chat_template_utils

from pytest_crossdiff.engine import pipeline, plan
from pytest_crossdiff.engine.activations import out_of_distribution
from pytest_crossdiff.settings import Settings
from support import planted
from support.tokenizers import TEXTS

if TYPE_CHECKING:
    from pathlib import Path

DATED = (
    "{{ 'Today is ' + strftime_now('%A, %d %B %Y') }}\n"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SYSTEM = "You write the log of the operations of a small company, the whole of it."


def conversations(*, answers: bool = True) -> list[dict[str, Any]]:
    """One system message for all, a text as the question, and another as the answer."""
    texts = [json.loads(line)["text"] for line in TEXTS.read_text("utf-8").splitlines()]
    made = []
    for question, answer in zip(texts, texts[1:] + texts[:1], strict=True):
        turns = [("system", SYSTEM), ("user", question), ("assistant", answer)]
        messages = [{"role": role, "content": content} for role, content in turns]
        made.append({"messages": messages if answers else messages[:2]})
    return made


def with_template(folder: Path) -> Path:
    (folder / "chat_template.jinja").write_text(DATED, "utf-8")
    return folder


def in_year(monkeypatch: pytest.MonkeyPatch, year: int) -> None:
    class Clock:
        @staticmethod
        def now() -> dt.datetime:
            return dt.datetime(year, 3, 14)  # noqa: DTZ001

    monkeypatch.setattr(chat_template_utils, "datetime", Clock)


@pytest.fixture(autouse=True)
def _no_text_is_out_of_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_of_distribution, "MIN_JUDGED_TOKENS", 10**9)  # random weights know none


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "old": with_template(planted.speaker(root / "old", "in")),
        "copy": with_template(planted.speaker(root / "copy", "in")),
        "new": with_template(planted.speaker(root / "new", "of")),
    }


@pytest.mark.long
def test_the_same_weights_read_in_two_years_do_not_differ(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = planted.quick(models["old"], models["new"], tmp_path, layer="output", features=96)
    in_year(monkeypatch, 2025)
    pipeline.run(settings, conversations())
    in_year(monkeypatch, 2026)
    later = pipeline.run(settings.with_values(candidate=str(models["copy"])), conversations())
    assert later.result.differences == ()
    assert later.result.baseline.unmapped == pytest.approx(0.0, abs=1e-6)
    facts = later.result.corpus.conversations
    assert facts is not None
    assert facts.dated == ("baseline", "candidate")


@pytest.mark.slow
def test_what_a_candidate_says_is_found_in_its_own_turns_and_nowhere_else(
    models: dict[str, Path], tmp_path: Path
) -> None:
    settings = planted.spoken(models["old"], models["new"], tmp_path)
    result = pipeline.run(settings, conversations()).result
    facts = result.corpus.conversations
    assert facts is not None
    assert facts.without_answer == 0
    assert facts.answer_starts == facts.conversations
    assert facts.context_pairs > 0
    begins = {
        f"record {n}": len("\n".join(m["content"] for m in chat["messages"][:2])) + 1
        for n, chat in enumerate(conversations(), 1)
    }
    planted.said_only_behind(result, begins)


def test_a_system_message_that_all_have_is_read_once_and_its_copies_are_counted(
    models: dict[str, Path], tmp_path: Path
) -> None:
    settings = planted.quick(models["old"], models["copy"], tmp_path, layer=0, features=96)
    result = pipeline.run(settings, conversations()).result
    facts = result.corpus.conversations
    assert facts is not None
    assert facts.context_pairs == 0
    one = planted_tokens(SYSTEM)
    assert facts.repeated_pairs >= one * (facts.conversations - 1)
    pairs = result.corpus.train_pairs + result.corpus.heldout_pairs + facts.repeated_pairs
    assert pairs == result.baseline.aligned_tokens - result.baseline.outliers


def planted_tokens(text: str) -> int:
    from support.tokenizers import tokenizer

    return len(tokenizer("byte-level BPE")(text)["input_ids"])


def test_prompts_without_answers_are_compared_whole(
    models: dict[str, Path], tmp_path: Path
) -> None:
    settings = planted.quick(models["old"], models["copy"], tmp_path, layer="output", features=96)
    facts = pipeline.run(settings, conversations(answers=False)).result.corpus.conversations
    assert facts is not None
    assert facts.without_answer == facts.conversations
    assert facts.context_pairs == facts.answer_starts == 0


def test_keys_of_conversations_have_a_version_of_their_own(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(baseline=str(models["old"]), candidate=str(models["new"]), tokens=4000,
                        cache_dir=str(tmp_path), corpus=str(TEXTS))  # fmt: skip

    def keys(texts: list[dict[str, Any]] | None) -> dict[Any, str]:
        return plan.plan(settings, texts).harvest_keys

    before = keys(None), keys(conversations())
    monkeypatch.setattr(plan, "CONVERSATIONS_VERSION", plan.CONVERSATIONS_VERSION + 1)
    assert keys(None) == before[0]
    assert not {*keys(conversations()).values()} & {*before[1].values()}
