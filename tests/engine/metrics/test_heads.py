"""A model's head without the model: the same logits, or a refusal."""

from __future__ import annotations

import pytest
import torch
import transformers as tf

from pytest_crossdiff.engine.metrics.heads import UncomparableError, head_inputs, read_head
from support.tiny_models import GROUPED, batch, build, make

SCALED = {"granite": 8.0, "cohere": 0.25}


def scaled(family: str) -> tf.PreTrainedModel:
    """A model that multiplies or divides its logits by a number."""
    if family == "granite":
        config = tf.GraniteConfig(**GROUPED, logits_scaling=SCALED[family])
        return build(tf.AutoModelForCausalLM, config)
    config = tf.CohereConfig(**GROUPED, logit_scale=SCALED[family])
    return build(tf.AutoModelForCausalLM, config)


@pytest.fixture(params=["llama", "gpt2", "phi", "gemma2", "mamba", "granite", "cohere"])
def model(request):
    return scaled(request.param) if request.param in SCALED else make(request.param)


def test_the_stored_head_makes_the_logits_of_the_whole_model(model):
    ids_bp, mask_bp = batch()
    inputs = {"input_ids": ids_bp, "attention_mask": mask_bp}
    head = read_head(model, inputs)
    with torch.inference_mode():
        wanted = model(**inputs).logits.flatten(0, 1).log_softmax(-1)
    found = head.logits(head_inputs(model, inputs).flatten(0, 1)).log_softmax(-1)
    assert torch.allclose(found, wanted, atol=1e-6)


def test_a_plain_linear_head_is_rebuilt_bit_by_bit():
    ids_bp, mask_bp = batch()
    inputs = {"input_ids": ids_bp, "attention_mask": mask_bp}
    head = read_head(make("llama"), inputs)
    with torch.inference_mode():
        wanted = make("llama")(**inputs).logits
    assert torch.equal(head.logits(head_inputs(make("llama"), inputs)), wanted)


def test_a_softcap_is_kept():
    assert (
        read_head(
            make("gemma2"), dict(zip(("input_ids", "attention_mask"), batch(), strict=True))
        ).softcap
        == 30.0
    )


def test_a_head_that_is_more_than_a_linear_map_is_refused():
    class Squared(tf.LlamaForCausalLM):
        def forward(self, **inputs):
            made = super().forward(**inputs)
            made.logits = 40.0 * made.logits**2
            return made

    odd = build(Squared, tf.LlamaConfig(**GROUPED))
    ids_bp, mask_bp = batch()
    with pytest.raises(
        UncomparableError, match=r"Squared is more than a linear map .* off by up to"
    ):
        read_head(odd, {"input_ids": ids_bp, "attention_mask": mask_bp})


def test_a_model_without_a_head_is_refused():
    ids_bp, mask_bp = batch()
    with pytest.raises(UncomparableError, match="BertModel has no linear map as its head"):
        head_inputs(make("bert"), {"input_ids": ids_bp, "attention_mask": mask_bp})
