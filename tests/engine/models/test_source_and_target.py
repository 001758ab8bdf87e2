"""An encoder-decoder's decoder is read with the source that its encoder reads: values are those of
the model called as transformers documents it.
"""

import pytest
import torch
import transformers as tf

from pytest_crossdiff.engine.models.loaded import load, read
from pytest_crossdiff.engine.models.reading.predictions import token_signs
from pytest_crossdiff.engine.models.reading.self_check import check
from pytest_crossdiff.engine.models.reading.source_and_target import (
    InputForm,
    as_long_as,
    decoder_start,
    lengths,
    row_of,
)
from pytest_crossdiff.engine.models.skeletons import inspect_model
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.errors import ModelError
from support import tiny_models

FLOAT = {"dtype": "float32", "device": "cpu", "source": "crossdiff_baseline"}
T5 = {"vocab_size": 64, "d_model": 32, "d_ff": 64, "d_kv": 8, "num_layers": 3, "num_heads": 4}
T5 |= {"num_decoder_layers": 4, "decoder_start_token_id": 0, "pad_token_id": 0}
BART = {"vocab_size": 64, "d_model": 32, "encoder_layers": 3, "decoder_layers": 4}
BART |= {"encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 64}
BART |= {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
BART |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
FAMILIES = {
    "T5": (tf.T5ForConditionalGeneration, tf.T5Config(**T5), 0),
    "BART": (tf.BartForConditionalGeneration, tf.BartConfig(**BART, decoder_start_token_id=2), 2),
    "mBART": (tf.MBartForConditionalGeneration, tf.MBartConfig(**BART), None),
    "FSMT": (
        tf.FSMTForConditionalGeneration,
        tf.FSMTConfig(
            langs=["en", "de"], src_vocab_size=64, tgt_vocab_size=64,
            **{k: v for k, v in BART.items() if k != "vocab_size"},
        ),
        None,
    ),
}  # fmt: skip
every_family = pytest.mark.parametrize("family", FAMILIES)


def saved(family, folder):
    """The model with weights large enough for every part to matter."""
    kind, config, _ = FAMILIES[family]
    model = tiny_models.build(kind, config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.2)
    return model.eval(), str(tiny_models.save(model, folder))


def texts(*lengths_):
    """Pairs of a target and a source of these lengths."""
    generator = torch.Generator().manual_seed(3)
    return [
        tuple(torch.randint(3, 27, (1, length), generator=generator) for length in pair)
        for pair in lengths_
    ]


def run(model, target, source, **more):
    with torch.inference_mode():
        return model(input_ids=source, decoder_input_ids=target, use_cache=False, **more)


@every_family
def test_predictions_are_those_of_the_decoder_given_the_source(tmp_path, family):
    model, folder = saved(family, tmp_path)
    loaded = load(folder, layer="output", **FLOAT)
    ((target, source),) = texts((7, 11))
    row = row_of(target, source)
    found = read(loaded, row, torch.ones_like(row))
    p_btv = run(model, target, source).logits.softmax(-1)
    expected = p_btv.sqrt() @ token_signs(loaded.predictions.words)
    torch.testing.assert_close(found.vectors_bpd[:, :7], expected, atol=1e-5, rtol=1e-4)
    assert not found.vectors_bpd[:, 7:].any()


@every_family
def test_surprises_are_those_of_the_loss_that_the_model_is_trained_with(tmp_path, family):
    model, folder = saved(family, tmp_path)
    loaded = load(folder, layer="output", **FLOAT)
    ((labels, source),) = texts((7, 11))
    _, _, start = FAMILIES[family]
    target = labels.roll(1)
    target[0, 0] = labels[0, -1] if start is None else start
    row = row_of(target, source)
    found = read(loaded, row, torch.ones_like(row)).nll_bp[0, 1:7]
    # FSMT's forward pass puts its source before the decoder where only labels are given.
    named = {"labels": labels}
    if family == "FSMT":
        named = {"decoder_input_ids": model.prepare_decoder_input_ids_from_labels(labels)}
    with torch.inference_mode():
        logits = model(input_ids=source, use_cache=False, **named).logits
    expected = torch.nn.functional.cross_entropy(logits[0], labels[0], reduction="none")
    torch.testing.assert_close(found, expected[:-1], atol=1e-4, rtol=1e-4)


@every_family
def test_blocks_of_the_decoder_are_its_hidden_states(tmp_path, family):
    model, folder = saved(family, tmp_path)
    ((target, source),) = texts((7, 11))
    expected = run(model, target, source, output_hidden_states=True).decoder_hidden_states
    row = row_of(target, source)
    for layer in range(FAMILIES[family][1].to_dict().get("decoder_layers", 4) - 1):
        loaded = load(folder, layer=layer, blocks="decoder", **FLOAT)
        found = read(loaded, row, torch.ones_like(row)).vectors_bpd
        torch.testing.assert_close(found[:, :7], expected[layer + 1])
        assert not found[:, 7:].any()


@every_family
@pytest.mark.parametrize("reading", [{"layer": "output"}, {"layer": 1, "blocks": "decoder"}])
def test_rows_in_a_batch_are_read_as_each_alone(tmp_path, family, reading):
    _, folder = saved(family, tmp_path)
    loaded = load(folder, **reading, **FLOAT)
    rows = [row_of(*pair) for pair in texts((7, 11), (3, 14), (9, 2), (1, 1))]
    longest = max(row.shape[1] for row in rows)
    ids, mask = (torch.zeros(len(rows), longest, dtype=torch.long) for _ in range(2))
    for i, row in enumerate(rows):
        ids[i, : row.shape[1]], mask[i, : row.shape[1]] = row[0], 1
    together = read(loaded, ids, mask).vectors_bpd
    for i, row in enumerate(rows):
        alone = read(loaded, row, torch.ones_like(row)).vectors_bpd[0]
        targets = lengths(row)[0]
        torch.testing.assert_close(together[i, :targets], alone[:targets], atol=1e-5, rtol=1e-4)


@every_family
def test_another_source_changes_what_is_read_and_a_later_target_token_does_not(tmp_path, family):
    _, folder = saved(family, tmp_path)
    loaded = load(folder, layer="output", **FLOAT)
    (target, source), (_, other) = texts((7, 11), (1, 11))
    later = target.clone()
    later[0, -1] += 1
    rows = [row_of(*pair) for pair in ((target, source), (target, other), (later, source))]
    own, of_other, of_later = (read(loaded, r, torch.ones_like(r)).vectors_bpd[0] for r in rows)
    assert (own - of_other)[:6].abs().max() > 1e-3
    torch.testing.assert_close(own[:6], of_later[:6], atol=1e-6, rtol=0)
    assert loaded.head == "causal"


@every_family
def test_the_target_begins_by_the_models_own_rule_for_labels(tmp_path, family):
    model, folder = saved(family, tmp_path)
    expected = InputForm("source and target", FAMILIES[family][2])
    assert decoder_start(model, "") == expected.start
    assert load(folder, layer="output", **FLOAT).form == expected
    assert load(folder, layer=0.5, blocks="decoder", **FLOAT).form == expected
    assert load(folder, layer=0.5, **FLOAT).form == InputForm("source")
    shape = inspect_model(resolve(folder), layer=0.5, blocks="decoder")
    assert (shape.form, shape.width, shape.layers) == (expected, 32, 4)


def test_a_model_whose_first_token_nobody_names_is_refused(tmp_path):
    config = {k: v for k, v in T5.items() if k != "decoder_start_token_id"}
    model = tiny_models.build(tf.T5ForConditionalGeneration, tf.T5Config(**config))
    folder = str(tiny_models.save(model, tmp_path))
    with pytest.raises(ModelError, match="with which token its decoder begins") as caught:
        load(folder, layer="output", **FLOAT)
    assert caught.value.remedy == "set decoder_start_token_id in its config.json"


@every_family
def test_the_self_check_compares_rows_with_the_models_own_values(tmp_path, family):
    _, folder = saved(family, tmp_path)
    rows = [row_of(*pair) for pair in texts((7, 11), (3, 14), (9, 2))]
    for reading in ({"layer": "output"}, {"layer": 1, "blocks": "decoder"}):
        found = check(load(folder, **reading, **FLOAT), rows)
        assert found.independent < 1e-5
        assert found.compared
        assert found.padded < 1e-4
        assert found.batching == "padded"


def test_a_row_is_cut_to_the_lengths_of_another_in_both_its_parts():
    (long_target, long_source), (target, source) = texts((9, 4), (3, 6))
    cut = as_long_as(row_of(long_target, long_source), row_of(target, source))
    assert lengths(cut) == (3, 6)
    assert cut[0, :3].tolist() == long_target[0, :3].tolist()
    assert (~cut[0, 3:]).tolist() == (long_source[0].tolist() * 2)[:6]
    assert as_long_as(long_target, target).tolist() == long_target[:, :3].tolist()
