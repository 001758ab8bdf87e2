"""A text read by both models is held side by side as in the measurement."""

import numpy as np
import torch

from pytest_crossdiff.engine.corpus.sampling import Piece
from pytest_crossdiff.engine.explanation import reading
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.settings import Settings
from support import tiny_models


def test_tags_without_names_are_read_as_those_at_the_same_positions(tmp_path):
    named = tiny_models.tagger(tmp_path / "old", ("keep", "cut", "swap"))
    numbered = tiny_models.tagger(tmp_path / "new", ("LABEL_0", "LABEL_1", "LABEL_2"))
    settings = Settings(baseline=str(named), candidate=str(numbered), layer="output", device="cpu")
    pieces = [Piece(0, 0, "abcabdac", (), heldout=False)]
    both = {
        side: reading._run(side, pieces, settings, resolve(str(folder)), SilentProgress(), "own")
        for side, folder in (("baseline", named), ("candidate", numbered))
    }
    raw = [both[side].pieces[0][1] for side in both]
    assert not np.allclose(*raw)
    found = reading._in_named_tags(both)
    x_a, x_b = (found[side][0][1] for side in ("baseline", "candidate"))
    torch.testing.assert_close(x_a, raw[0])
    torch.testing.assert_close(x_b, x_a, rtol=1e-4, atol=1e-5)
