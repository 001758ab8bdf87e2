"""What was accepted of a real pair is known again in real retrainings, and nothing else passes.

The candidates can't tell some words apart that the baseline can: that is the difference, and which
words they are is known beforehand.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest
import torch
from transformers import LlamaForCausalLM

from support import planted
from support.tokenizers import tokenizer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.long

OTHERS = ("for", "that", "at", "on", "one", "was")
"""A little less frequent than `planted.MERGED`, and a token each."""


class Ran(NamedTuple):
    code: int
    text: str


@pytest.fixture(scope="module")
def project(measured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one difference is accepted on the measurement that is there."""
    folder = tmp_path_factory.mktemp("accepting") / "project"
    shutil.copytree(measured, folder)
    done = run(folder, "--crossdiff-accept=B1", "--crossdiff-reason=known", "--crossdiff-author=A")
    assert done.code == 0, done.text
    return folder


def run(folder: Path, *arguments: str) -> Ran:
    done = subprocess.run(
        [*(sys.executable, "-m", "pytest", "--crossdiff", "-p", "no:hypothesispytest"), *arguments],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != "CI"} | {"COLUMNS": "160"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return Ran(done.returncode, done.stdout + done.stderr)


def candidate(folder: Path, model: LlamaForCausalLM) -> str:
    model.save_pretrained(folder)
    tokenizer("byte-level BPE").save_pretrained(folder)
    return f"--crossdiff-candidate={folder}"


def test_the_entry_says_which_words_they_are(project):
    (entry,) = json.loads((project / "crossdiff-accepted.json").read_text("utf-8"))["accepted"]
    fires = entry["description"].partition("; near the words ")[0]
    named = fires.removeprefix("fires on ").replace("'", "").split()
    assert named
    assert set(named) <= set(planted.MERGED)
    assert entry["description"] in run(project).text.replace("\n" + " " * 18, " ")


def test_it_is_known_in_another_candidate_with_dictionaries_trained_anew(project, tmp_path):
    """The same words are merged; all else is quantised, and nothing of the training is the same."""
    model = LlamaForCausalLM.from_pretrained(project / "models" / "v2")
    noise = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            if weight is not model.get_input_embeddings().weight:
                noisy = torch.randn(weight.shape, generator=noise)
                weight.add_(noisy, alpha=0.01 * float(weight.std()))
    again = "--crossdiff-seed=11", "--crossdiff-seeds=3"
    done = run(project, candidate(tmp_path / "v3", model), *again)
    assert done.code == 0, done.text
    assert "  accepted        B" in done.text
    assert "from cache" not in done.text
    assert "accepted, but not found" not in done.text


def test_another_difference_of_the_same_kind_fails_and_the_entry_is_missing(project, tmp_path):
    model = LlamaForCausalLM.from_pretrained(project / "models" / "v1")
    table = model.get_input_embeddings().weight
    ids = [tokenizer("byte-level BPE").convert_tokens_to_ids(f"Ġ{word}") for word in OTHERS]
    with torch.no_grad():
        table[ids] = table[ids].mean(0)
    done = run(project, candidate(tmp_path / "v4", model))
    assert done.code == 1
    assert "BASELINE-ONLY: 1 difference, budget 0" in done.text
    assert any(f"⟦{word}⟧" in done.text or f"⟦ {word}⟧" in done.text for word in OTHERS)
    assert "Accepted, so not counted" not in done.text
    assert "crossdiff: accepted, but not found: B1, b-" in done.text
