"""A fine-tune's change, scaled, and whether more of it ever counts less."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.scaled import SCALES, drawn, grows, scaled


@pytest.fixture
def pair(tmp_path):
    for name, value in (("base", 1.0), ("tuned", 3.0)):
        folder = tmp_path / name
        folder.mkdir()
        save_file({"w": torch.full((2, 3), value)}, folder / "model.safetensors")
        (folder / "config.json").write_text(f'{{"name": "{name}"}}', "utf-8")
    return tmp_path / "base", tmp_path / "tuned"


@pytest.mark.parametrize(("scale", "expected"), [(0.0, 1.0), (0.5, 2.0), (1.0, 3.0), (2.0, 5.0)])
def test_every_weight_goes_that_far(pair, tmp_path, scale, expected):
    made = scaled(*pair, scale, tmp_path / "made")
    assert load_file(made / "model.safetensors")["w"].unique().tolist() == [expected]
    assert (made / "config.json").read_text("utf-8") == '{"name": "tuned"}'


def row(status: str, strength: float) -> dict[str, object]:
    return {"status": status, "strength": {"baseline": 0.0, "candidate": strength}}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("within", 0.0), ("inconclusive", 0.0), ("exceeded", 0.01), ("exceeded", 0.0095)], True),
        ([("within", 0.0), ("exceeded", 0.01), ("inconclusive", 0.01)], False),
        ([("within", 0.0), ("exceeded", 0.02), ("exceeded", 0.01)], False),
    ],
)
def test_more_of_a_change_is_never_milder_nor_clearly_weaker(rows, expected):
    assert grows([row(*of) for of in rows]) is expected


def test_only_what_was_measured_at_every_scale_is_in_the_table():
    whole = [{"name": f"swap-peace/block/{s}", **row("exceeded", s / 100)} for s in SCALES]
    started = [{"name": "swap-peace/output/0.0", **row("within", 0.0)}]
    (line,) = drawn([*whole, *started]).splitlines()[2:]
    assert [cell.strip() for cell in line.strip("|").split("|")][:4] == [
        "swap-peace", "block", "✗ 0.0000", "✗ 0.0025",
    ]  # fmt: skip
