"""A copy that says the same is measured as one that says the same, from files to records."""

import json
import random

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.assistants import chat, measure
from benchmarks.assistants.changes.benign import UPGRADES
from benchmarks.assistants.chat import Chat
from benchmarks.assistants.family import Family
from benchmarks.records import Records
from support.tiny_models import make_tokenizer

FAST = {"controls": False, "effect": False, "seeds": 1, "steps": 20, "min_fve": 0.0}
CONVERSATIONS = 60


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A family of a tiny chat model, its answers to random letters, and a copy in other files."""
    monkeypatch.setattr(chat, "SYSTEM", "abc")
    monkeypatch.setattr(measure, "BUDGETS", FAST)
    monkeypatch.setattr(measure, "LAYERS", {"block": 0.5})  # of random weights no output is judged
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=28, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, eos_token_id=25, initializer_range=0.2,
    )  # fmt: skip
    tokenizer = make_tokenizer()
    tokenizer.eos_token = "z"
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'][0] + m['content'] + 'z' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'a' }}{% endif %}"
    )
    base = Chat(LlamaForCausalLM(config).eval(), tokenizer)
    copy = next(u for u in UPGRADES if u.name == "saved-in-shards")
    for folder in ("base", copy.name):
        copy.save(base, tmp_path / folder)
    monkeypatch.setattr(Family, "base", tmp_path / "base")
    draw = random.Random(0)
    questions = ["".join(draw.choices("bcdefghijk", k=12)) for _ in range(CONVERSATIONS)]
    rows = [
        {"slice": "letters", "messages": chat.conversation(question, reply.text)}
        for question, reply in zip(questions, chat.answer(base, questions, 48), strict=True)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "corpus.jsonl").write_text(lines)
    return Family(tmp_path), copy


def test_a_copy_in_other_files_is_within_budget_and_no_alternative_sees_a_change(built):
    family, copy = built
    measure.measure(family, copy)
    record = Records(family.root / "block.jsonl")[copy.name]
    assert (record["status"], record["reason"]) == ("within", "")
    said = Records(family.root / "said.jsonl")[copy.name]
    assert (said["surprising"], said["changed"]) == ([0, CONVERSATIONS], 0)
    assert (said["kl"], said["temperature"]) == pytest.approx((0.0, 1.0), abs=1e-6)
    found = Records(family.root / "alternatives.jsonl")[copy.name]
    assert found == pytest.approx({"kl": 0, "first_kl": 0, "first_changed": 0, "same_reply": 1})
