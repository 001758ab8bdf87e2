"""Keys of artefacts: a cache that an earlier version filled still answers."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import pytest

from pytest_crossdiff.engine import plan as planning
from pytest_crossdiff.engine.plan import plan
from pytest_crossdiff.settings import Settings, fields
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from pathlib import Path


VERSIONS = {"HARVEST": 3, "PREDICTIONS": 1, "CROSSCODER": 7}
VERSIONS |= {"VERIFICATION": 18, "RESULT": 5, "EXPLANATION": 7}
"""What the code made of its inputs when the packages were introduced."""


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """Two model folders and texts, of bytes that never change."""
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    config |= {"hidden_size": 4, "num_hidden_layers": 2}
    vocabulary = {"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 0}}}
    header = json.dumps({"w": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}}).encode()
    for name, byte in (("old", b"\0"), ("new", b"\1")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "tokenizer.json").write_text(json.dumps(vocabulary))
        weights = struct.pack("<Q", len(header)) + header + byte * 8
        (folder / "model.safetensors").write_bytes(weights)
    texts = ({"text": f"The {i} words of document {i}. " * 20} for i in range(60))
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(t) + "\n" for t in texts))
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "harvests", "first_crosscoder", "controls"),
    [
        (
            {"layer": 0.5},
            ["0974e363de203ad3", "ce19b925df2b519a"],
            "7c148f95fe4cba57",
            ["f14e5fd34253b9a6", "b74cb0f83ae47591"],
        ),
        (
            {"layer": "output"},
            ["8754ed31d8134363", "68b669400443bf03"],
            "303fee6351a6b0da",
            ["49bdf5f642f85e96", "31882f4e8ca435c4"],
        ),
        (
            {"layer": 0, "probe_layers": "1", "maps": "curved", "min_strength": 0.002},
            ["ecf081dd52501ccd", "715679aaac5617d7"],
            "5941ec15a7b36992",
            ["4151e480378f900e", "63ff4f35485227b7"],
        ),
    ],
)
def test_keys_are_those_of_the_version_before_the_packages(
    pair, settings, harvests, first_crosscoder, controls, monkeypatch
):
    for name, version in VERSIONS.items():
        monkeypatch.setattr(planning, f"{name}_VERSION", version)
    settings |= {side: str(pair / name) for side, name in zip(SIDES, ("old", "new"), strict=True)}
    made = plan(
        Settings(
            corpus=str(pair / "texts.jsonl"),
            cache_dir=str(pair / "cache"),
            tokens=8000,
            seeds=2,
            **settings,
        )
    )
    assert [made.harvest_keys[side][:16] for side in SIDES] == harvests
    assert made.crosscoder_keys[0][:16] == first_crosscoder  # the others have been whole, too
    assert [made.control_keys[kind][:16] for kind in ("spiked", "null")] == controls


OTHERS: dict[str, object] = {
    "layer": 1,
    "baseline_layer": 0,
    "candidate_layer": 0,
    "baseline_blocks": "model.layers",
    "candidate_blocks": "model.layers",
    "dtype": "float32",
    "chat_template": "plain",
    "corpus_column": "user:text",
    "tokens": 7000,
    "context": 128,
    "heldout": 0.4,
    "architecture": "dfc",
    "maps": "curved",
    "features": 256,
    "exclusive_share": 0.1,
    "k": 8,
    "steps": 500,
    "batch_size": 128,
    "dictionary_shards": 2,
    "reader": "vllm",
    "learning_rate": 1e-4,
    "seeds": 1,
    "seed": 1,
    "exclusivity": 0.6,
    "probe": "ridge",
    "probe_layers": "0",
    "fdr": 0.1,
    "bootstrap": 200,
    "min_r2": 0.3,
    "controls": False,
    "min_strength": 0.002,
    "rewritten": False,
    "effect": False,
    "metrics": False,
}
"""Of each setting that changes what is measured a value that is not the default."""

IN_NO_KEY = {"baseline", "candidate", "corpus", "device", "device_map", "trust_remote_code"}
IN_NO_KEY |= {"cache_dir", "train"}
"""Settings that say where something is or how it is run; models and texts count by contents."""


IN_A_KEY_OF_ITS_OWN = {
    "compare_replies", "replies", "references", "reference_writing", "reference_corpus",
}  # fmt: skip
"""The setting of what is measured beside the result and added to it."""


@pytest.mark.parametrize(
    "name",
    [f.name for f in fields() if not f.decides and f.name not in IN_NO_KEY | IN_A_KEY_OF_ITS_OWN],
)
def test_a_setting_that_changes_what_is_measured_changes_the_key_of_the_result(pair, name):
    assert name in OTHERS, "a new setting: give it a value in OTHERS (CONTRIBUTING.md)"
    usual = {
        side: str(pair / folder) for side, folder in (("baseline", "old"), ("candidate", "new"))
    }
    usual |= {"corpus": str(pair / "texts.jsonl"), "cache_dir": str(pair / "cache"), "tokens": 8000}
    keys = {plan(Settings(**usual | change)).result_key for change in ({}, {name: OTHERS[name]})}
    assert len(keys) == 2


def test_longer_replies_are_other_replies_and_change_no_result(pair):
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So. " * 400}]
    records = [{"messages": [turns[0] | {"content": f"Why {i}?"}, turns[1]]} for i in range(60)]
    usual = {"baseline": str(pair / "old"), "candidate": str(pair / "new")}
    usual |= {"cache_dir": str(pair / "cache"), "tokens": 20_000}
    short, long = (plan(Settings(**usual, replies=tokens), records) for tokens in (8, 16))
    assert len(short.prompts) == 60
    assert short.reply_keys["baseline"] != long.reply_keys["baseline"]
    assert short.comparison_key != long.comparison_key
    assert short.result_key == long.result_key
    assert plan(Settings(**usual, replies=0), records).prompts == ()


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"tokens": 40_960}, False),
        ({"tokens": 40_961}, True),
        ({"tokens": 100_000, "features": 512}, False),
    ],
)
def test_a_dictionary_that_the_widths_may_bound_has_another_key(
    pair, settings, changed, monkeypatch
):
    given = {"baseline": str(pair / "old"), "candidate": str(pair / "new"), **settings}
    given |= {"corpus": str(pair / "texts.jsonl"), "cache_dir": str(pair / "cache")}
    now = plan(Settings(**given)).crosscoder_keys
    monkeypatch.setattr(planning, "BOUNDED_FROM", 10**9)
    assert (plan(Settings(**given)).crosscoder_keys != now) == changed
