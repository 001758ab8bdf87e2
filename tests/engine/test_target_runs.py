"""Whole measurements of encoder-decoders on texts with targets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.activations import out_of_distribution
from pytest_crossdiff.errors import CorpusError
from support import planted
from support.tokenizers import TEXTS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_text_is_out_of_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_of_distribution, "MIN_JUDGED_TOKENS", 10**9)  # random weights know none


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("translators")
    return {
        "old": planted.translator(root / "old", "in"),
        "copy": planted.translator(root / "copy", "in"),
        "new": planted.translator(root / "new", "of"),
        "speaker": planted.speaker(root / "speaker", "in"),
    }


def pairs() -> list[dict[str, str]]:
    """A text as the input, and another as the target."""
    texts = [json.loads(line)["text"] for line in TEXTS.read_text("utf-8").splitlines()]
    both = zip(texts, texts[1:] + texts[:1], strict=True)
    return [{"input": text, "target": target} for text, target in both]


@pytest.mark.long
@pytest.mark.slow
def test_another_word_that_a_decoder_says_is_found_in_the_targets_and_nowhere_else(
    models: dict[str, Path], tmp_path: Path
) -> None:
    settings = planted.spoken(models["old"], models["new"], tmp_path)
    result = pipeline.run(settings, pairs()).result
    begins = {f"record {n}": len(pair["input"]) + 1 for n, pair in enumerate(pairs(), 1)}
    planted.said_only_behind(result, begins)
    facts = result.corpus.conversations
    assert facts is not None
    assert facts.answer_starts == facts.conversations


@pytest.mark.parametrize(
    "reading",
    [{"layer": "output"}, {"baseline_blocks": "decoder", "candidate_blocks": "decoder"}, {}],
    ids=["output", "decoder", "encoder"],
)
def test_the_same_weights_do_not_differ_wherever_they_are_read(
    models: dict[str, Path], tmp_path: Path, reading: dict[str, str]
) -> None:
    settings = planted.quick(models["old"], models["copy"], tmp_path, features=96, **reading)
    result = pipeline.run(settings, pairs()).result
    assert result.differences == ()
    assert result.baseline.unmapped == pytest.approx(0.0, abs=1e-6)
    assert result.baseline.aligned_tokens > 1_000


def test_what_a_decoder_says_is_compared_with_what_a_language_model_says(
    models: dict[str, Path], tmp_path: Path
) -> None:
    settings = planted.quick(
        models["old"], models["speaker"], tmp_path, layer="output", features=96,
        chat_template="plain",
    )  # fmt: skip
    result = pipeline.run(settings, pairs()).result
    # The language model reads the input and the target as one text, of which the target counts.
    assert result.candidate.tokens > 1_000
    assert 0 < result.baseline.aligned_tokens <= result.candidate.tokens
    facts = result.corpus.conversations
    assert facts is not None
    assert facts.answer_starts > 0
    assert facts.context_pairs == 0


def test_running_text_has_no_target_that_a_decoder_could_read(
    models: dict[str, Path], tmp_path: Path
) -> None:
    settings = planted.quick(models["old"], models["copy"], tmp_path, layer="output", features=96)
    with pytest.raises(CorpusError, match="reads a target, and the corpus has running text"):
        pipeline.run(settings)
