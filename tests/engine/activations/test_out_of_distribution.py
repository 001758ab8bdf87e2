"""Texts that are beyond a model: it expects their tokens less than counting them would."""

import numpy as np
import pytest

from pytest_crossdiff.engine.activations import out_of_distribution, pairs
from pytest_crossdiff.engine.models.loaded import load, read
from pytest_crossdiff.errors import InsufficientData
from support import tiny_models

RANDOM = np.random.default_rng(0)
TEXT_N = np.repeat([3, 5, 8, 9], [200, 200, 200, 6])
IDS_N = RANDOM.integers(0, 40, len(TEXT_N))
COUNTED = np.log(40)
"""What counting makes of tokens that are all as frequent, in nats."""


def nlls(*of_texts: float) -> np.ndarray:
    return np.repeat(np.array(of_texts, dtype=np.float32), [200, 200, 200, 6])


def test_a_text_is_beyond_a_model_that_does_worse_than_counting():
    found = out_of_distribution.out_of_distribution(
        TEXT_N, IDS_N, nlls(COUNTED + 0.2, COUNTED - 0.2, 9.0, 1.0)
    )
    assert found.tolist() == [3, 8]


def test_what_is_not_predicted_says_nothing_and_few_tokens_say_too_little():
    nll_n = nlls(np.nan, 1.0, 1.0, 9.0)
    assert out_of_distribution.out_of_distribution(TEXT_N, IDS_N, nll_n).tolist() == []
    nll_n[:100] = 9.0
    assert out_of_distribution.out_of_distribution(TEXT_N, IDS_N, nll_n).tolist() == [3]


def test_a_text_is_counted_without_itself():
    """Tokens that only one text has are no easier for its having them often."""
    ids_n = np.where(TEXT_N == 3, 100 + IDS_N % 4, IDS_N)
    by_itself = np.log(4)
    for surprise, found in ((by_itself + 1.0, []), (COUNTED + 4.0, [3])):
        assert (
            out_of_distribution.out_of_distribution(TEXT_N, ids_n, nlls(surprise, 1, 1, 1)).tolist()
            == found
        )


def test_surprises_are_the_models_own_next_token_losses(tmp_path):
    folder = tiny_models.save(tiny_models.make("llama"), tmp_path)
    ids_bp, mask_bp = tiny_models.batch()
    found_bp = read(load(str(folder), layer="output", dtype="float32"), ids_bp, mask_bp).nll_bp
    logits_bpv = tiny_models.make("llama")(ids_bp).logits.detach()
    for row, ids_p in enumerate(ids_bp):
        for at in range(1, len(ids_p)):
            logp_v = logits_bpv[row, at - 1].log_softmax(-1)
            assert float(found_bp[row, at]) == pytest.approx(-float(logp_v[ids_p[at]]), rel=1e-4)
    assert found_bp[:, 0].isnan().all()
    block = read(load(str(folder), layer=0.5, dtype="float32"), ids_bp, mask_bp)
    assert block.nll_bp.isnan().all()


class ModelReadout:
    """A harvest as far as texts are judged."""

    def __init__(self, *surprise_of_texts: float) -> None:
        self.piece_n, self.ids_n = TEXT_N, IDS_N
        self.nll_n = nlls(*surprise_of_texts)


def test_texts_that_one_of_the_models_knows_are_kept():
    one = ModelReadout(9.0, 9.0, 1.0, 1.0)
    assert pairs.out_of_distribution_for_both(one, ModelReadout(9.0, 1.0, 9.0, 1.0)).tolist() == [3]
    assert (
        pairs.out_of_distribution_for_both(one, ModelReadout(np.nan, 1.0, 9.0, 1.0)).tolist() == []
    )


def test_models_that_know_hardly_any_of_the_texts_are_refused():
    lost = ModelReadout(9.0, 9.0, 9.0, 1.0)
    said = "3 of 4 texts are out of distribution for both models"
    with pytest.raises(InsufficientData, match=said) as caught:
        pairs.out_of_distribution_for_both(lost, lost)
    assert "crossdiff_layer = 0.5" in caught.value.remedy
