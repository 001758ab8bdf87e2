"""Passes with a changed residual stream, against the whole model run with a hook."""

import pytest
import torch

from pytest_crossdiff.engine.explanation.intervention import read_out, record, replay, steered
from pytest_crossdiff.engine.models.loaded import LoadedModel
from support import tiny_models

HEADS = dict.fromkeys(tiny_models.ENCODERS, "")


def loaded(family, layer=1, seed=0):
    model, name = tiny_models.make(family, seed), tiny_models.FAMILIES[family][0]
    return LoadedModel(
        model=model,
        tokenizer=tiny_models.make_tokenizer(),
        reference=None,
        blocks_name=name,
        layers=len(model.get_submodule(name)),
        layer=layer,
        width=32,
        architecture=type(model).__name__,
        dtype=torch.float32,
        device=torch.device("cpu"),
        max_length=None,
        head=HEADS.get(family, "causal"),
    )


def output(of, ids):
    with torch.inference_mode():
        found = of.model(input_ids=ids, attention_mask=torch.ones_like(ids))
    return found.logits if of.head else found.last_hidden_state


def hooked(of, ids, change_bpd):
    """The whole model, with the change added by a plain hook."""

    def add(module, args, out):
        return (out[0] + change_bpd, *out[1:]) if isinstance(out, tuple) else out + change_bpd

    handle = of.blocks[of.layer].register_forward_hook(add)
    try:
        return output(of, ids)
    finally:
        handle.remove()


@pytest.mark.parametrize("family", tiny_models.FAMILIES)
def test_only_the_blocks_behind_run_anew_and_the_outcome_is_that_of_a_whole_pass(family):
    of, (ids, _) = loaded(family), tiny_models.batch()
    recorded = record(of, ids)
    torch.testing.assert_close(recorded.out, output(of, ids), rtol=0, atol=0)
    change = torch.randn(*ids.shape, 32, generator=torch.Generator().manual_seed(1))
    ran = []
    handles = [b.register_forward_pre_hook(lambda *_: ran.append(1)) for b in of.blocks[0].modules()
               if b is not of.blocks[0]]  # fmt: skip
    found = replay(of, recorded, change)
    for handle in handles:
        handle.remove()
    assert not ran
    torch.testing.assert_close(found, hooked(of, ids, change))
    assert not torch.allclose(found, recorded.out)


@pytest.mark.parametrize("family", tiny_models.FAMILIES)
def test_no_change_changes_not_one_bit_and_the_model_is_left_as_it_was(family):
    of, (ids, _) = loaded(family), tiny_models.batch()
    recorded = record(of, ids)
    assert torch.equal(replay(of, recorded, torch.zeros(*ids.shape, 32)), recorded.out)
    assert torch.equal(output(of, ids), recorded.out)


def test_a_pass_that_fails_leaves_the_model_as_it_was():
    of, (ids, _) = loaded("llama"), tiny_models.batch()
    recorded = record(of, ids)
    with pytest.raises(RuntimeError):
        replay(of, recorded, torch.zeros(1, 1, 5))
    recorded.outputs[1] = torch.zeros(2, 7, 5)
    with pytest.raises(RuntimeError):
        replay(of, recorded, torch.zeros(1, 1, 1))
    assert torch.equal(output(of, ids), recorded.out)


def test_what_the_model_makes_of_a_vector_is_its_norm_and_unembedding():
    of, (ids, _) = loaded("llama"), tiny_models.batch()
    x = torch.randn(*ids.shape, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        by_hand = of.model.lm_head(of.model.model.norm(x))
    torch.testing.assert_close(read_out(of, record(of, ids), x), by_hand)


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_each_text_is_steered_its_own_way(family):
    of, (ids, _) = loaded(family), tiny_models.batch()
    change = torch.randn(2, 32, generator=torch.Generator().manual_seed(3))
    with steered(of, change):
        found = output(of, ids)
    torch.testing.assert_close(found, hooked(of, ids, change[:, None]))
    assert torch.equal(output(of, ids), record(of, ids).out)
