"""What texts begin with is read once, and they go on from there as if each had been read whole."""

import pytest
import torch

from pytest_crossdiff.engine.models import shared_prefix
from pytest_crossdiff.engine.models.loaded import also_at, load
from pytest_crossdiff.engine.models.one_pass import read_layers
from support import tiny_models

PREFIX, LENGTHS = 12, (19, 15, 22)
CARRIED_ON = ("llama", "qwen3_moe", "gemma2", "mistral", "phi", "gpt2", "gpt_neox", "opt", "falcon")


def texts():
    """Ids and a mask of three texts that begin alike, padded; nothing counts in the beginning."""
    generator = torch.Generator().manual_seed(0)
    ids_bp = torch.randint(3, 26, (3, max(LENGTHS)), generator=generator)
    ids_bp[:, :PREFIX] = ids_bp[0, :PREFIX]
    mask_bp = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    counted_bp = mask_bp.clone()
    counted_bp[:, : PREFIX + 1] = 0
    return ids_bp * mask_bp, mask_bp, counted_bp


def views(family, folder):
    where = str(tiny_models.save(tiny_models.make(family), folder))
    output = load(where, layer="output", dtype="float32", device="cpu")
    return [output, also_at(output, 0.5)]


def prefix_of(models, ids_bp):
    wholes = [ids[None, :length] for ids, length in zip(ids_bp, LENGTHS, strict=True)]
    return shared_prefix.read_prefix(models, ids_bp[:1, :PREFIX], wholes)


@pytest.mark.parametrize("family", CARRIED_ON)
def test_texts_are_read_as_without_it(family, tmp_path):
    models, (ids_bp, mask_bp, counted_bp) = views(family, tmp_path), texts()
    prefix = prefix_of(models, ids_bp)
    assert prefix is not None
    assert prefix.length == PREFIX
    for _ in range(2):  # a batch leaves the prefix as it is
        behind = prefix.read(models, ids_bp, mask_bp, counted_bp)
        whole = read_layers(models, ids_bp, mask_bp, counted_bp)
        for found, expected in zip(behind, whole, strict=True):
            real_bp = mask_bp.bool()
            torch.testing.assert_close(
                found.vectors_bpd[real_bp], expected.vectors_bpd[real_bp], rtol=1e-4, atol=1e-5
            )
            torch.testing.assert_close(
                found.nll_bp[counted_bp.bool()], expected.nll_bp[counted_bp.bool()],
                equal_nan=True, rtol=1e-4, atol=1e-5,
            )  # fmt: skip
            torch.testing.assert_close(
                found.probability_w, expected.probability_w, rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize("family", ["mamba", "jamba", "bloom"])
def test_a_family_with_another_memory_is_read_right_or_as_a_whole(family, tmp_path):
    models, (ids_bp, mask_bp, counted_bp) = views(family, tmp_path), texts()
    prefix = prefix_of(models, ids_bp)
    if prefix is not None:
        (found, *_), (expected, *_) = (
            read(models, ids_bp, mask_bp, counted_bp) for read in (prefix.read, read_layers)
        )
        real_bp = mask_bp.bool()
        torch.testing.assert_close(
            found.vectors_bpd[real_bp], expected.vectors_bpd[real_bp], rtol=1e-3, atol=1e-4
        )


def test_a_model_that_reads_something_else_behind_it_is_read_as_a_whole(tmp_path, monkeypatch):
    models, (ids_bp, *_) = views("llama", tmp_path), texts()
    forward = models[0].model.model.forward

    def forgetful(*arguments, past_key_values=None, **named):
        return forward(*arguments, past_key_values=None, **named)

    monkeypatch.setattr(models[0].model.model, "forward", forgetful)
    assert prefix_of(models, ids_bp) is None


def test_an_encoder_and_a_short_prefix_are_not_shared(tmp_path):
    ids_bp, *_ = texts()
    encoder = load(
        str(tiny_models.save(tiny_models.make("bert"), tmp_path / "bert")), dtype="float32",
        device="cpu",
    )  # fmt: skip
    assert prefix_of([encoder], ids_bp) is None
    models = views("llama", tmp_path / "llama")
    assert shared_prefix.read_prefix(models, ids_bp[:1, :7], [ids_bp[:1, :19]]) is None
