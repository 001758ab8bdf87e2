"""A model of which only what is read is loaded gives what the whole model gives, in less memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file
from transformers import core_model_loading

from pytest_crossdiff.engine.activations.harvest import Harvest
from pytest_crossdiff.engine.model_reading import read_models
from pytest_crossdiff.engine.models.lineage import WeightSample
from pytest_crossdiff.engine.models.loaded import LoadedModel, also_at, load, read, read_batch
from pytest_crossdiff.engine.models.loading.partial import load_part
from pytest_crossdiff.engine.models.not_loaded import NotLoadedError
from pytest_crossdiff.engine.models.parts import part_up_to
from pytest_crossdiff.engine.models.reading.self_check import check
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.engine.plan import plan
from pytest_crossdiff.progress import SilentProgress
from support import planted, tiny_models

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_crossdiff.engine.models.loading.partial import Part

FLOAT = {"dtype": "float32", "device": "cpu"}
LAYER, LAYERS = 1, 4


def saved(family: str, folder: Path, **options: Any) -> Path:
    tiny_models.make(family).save_pretrained(folder, **options)
    tiny_models.make_tokenizer().save_pretrained(folder)
    return folder


def both(folder: Path, layer: int = LAYER) -> tuple[LoadedModel, LoadedModel]:
    """The model, whole and only up to `layer`."""
    reference = resolve(str(folder))
    part = part_up_to(reference, [layer])
    assert part is not None
    return load(reference, layer=layer, **FLOAT), load(reference, layer=layer, part=part, **FLOAT)


def has_weights(module: torch.nn.Module) -> bool:
    return not any(weight.is_meta for weight in module.parameters())


@pytest.mark.parametrize(
    "family",
    [
        "llama",
        "qwen3_moe",
        "gemma3",
        "gpt2",
        "gpt_neox",
        "opt",
        "bloom",
        "mamba",
        "bert",
        "deberta",
        "modernbert",
    ],
)
def test_the_blocks_that_are_read_give_the_same_bits(family: str, tmp_path: Path) -> None:
    whole, part = both(saved(family, tmp_path))
    assert [has_weights(block) for block in part.blocks] == [True, True, False, False]
    assert torch.equal(*(read(of, *tiny_models.batch()).vectors_bpd for of in (whole, part)))
    facts = ("blocks_name", "layers", "layer", "width", "architecture", "max_length", "head")
    for fact in (*facts, "batching", "layout", "form"):
        assert getattr(part, fact) == getattr(whole, fact), fact
    ids = [torch.arange(5, 5 + length)[None] for length in (4, 7, 9)]
    assert check(part, ids)[:2] == (0.0, "the next block's input")


def test_an_output_table_of_its_own_stays_in_the_files(tmp_path: Path) -> None:
    _, part = both(saved("llama", tmp_path))
    assert not has_weights(part.model.lm_head)
    assert has_weights(part.model.model.embed_tokens)


def test_files_of_several_shards_are_read_as_one(tmp_path: Path) -> None:
    folder = saved("llama", tmp_path, max_shard_size="20KB")
    assert len(list(folder.glob("*.safetensors"))) > 3
    whole, part = both(folder)
    assert torch.equal(*(read(of, *tiny_models.batch()).vectors_bpd for of in (whole, part)))


def test_weights_of_another_number_type_are_converted_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So no more than one is in memory twice."""
    folder = saved("llama", tmp_path)
    reference, part = resolve(str(folder)), part_up_to(resolve(str(folder)), [LAYER])
    threads: set[int] = set()

    def watched(*given: Any, **named: Any) -> torch.Tensor:
        threads.add(threading.get_ident())
        return materialize(*given, **named)

    materialize = core_model_loading._materialize_copy
    monkeypatch.setattr(core_model_loading, "_materialize_copy", watched)
    monkeypatch.delenv("HF_DEACTIVATE_ASYNC_LOAD", raising=False)
    load(reference, layer=LAYER, part=part, dtype="bfloat16", device="cpu")
    assert threads == {threading.get_ident()}
    assert "HF_DEACTIVATE_ASYNC_LOAD" not in os.environ
    threads.clear()
    load(reference, layer=LAYER, part=part, **FLOAT)
    assert threading.get_ident() not in threads


def test_what_was_left_out_is_not_run(tmp_path: Path) -> None:
    _, part = both(saved("llama", tmp_path))
    with pytest.raises(NotLoadedError):
        part.model(torch.tensor([[1, 2, 3]]))


def test_another_layer_of_the_part_can_be_read(tmp_path: Path) -> None:
    whole, part = both(saved("llama", tmp_path))
    first = [also_at(of, 0) for of in (whole, part)]
    assert torch.equal(*(read_batch(of, *tiny_models.batch()).vectors_bpd for of in first))


def test_a_weight_that_the_files_lack_is_found_in_the_whole_model(tmp_path: Path) -> None:
    folder = saved("llama", tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.3.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    reference = resolve(str(folder))
    part = part_up_to(reference, [LAYER])
    with pytest.raises(Exception, match=r"lacks 1 weights .* model.layers.3.mlp.up_proj"):
        load(reference, layer=LAYER, part=part, **FLOAT)


def test_blocks_that_the_config_does_not_count_are_refused_of_a_part_too(tmp_path: Path) -> None:
    """The last block is of mixtures; the block that is read, and loaded alone, is not."""
    config = tf.Qwen3MoeConfig(
        **tiny_models.SHORT, num_experts=2, moe_intermediate_size=8, mlp_only_layers=[0, 1]
    )
    tiny_models.save(tf.Qwen3MoeForCausalLM(config), tmp_path)
    changed = json.loads((tmp_path / "config.json").read_text()) | {"num_hidden_layers": 3}
    (tmp_path / "config.json").write_text(json.dumps(changed))
    reference = resolve(str(tmp_path))
    part = part_up_to(reference, [0])
    assert part is not None
    assert load_part(reference, part, torch.float32, "") is None
    with pytest.raises(Exception, match=r"4 blocks .* counts 3: 1 would be left out"):
        load(reference, layer=0, part=part, **FLOAT)


@pytest.mark.parametrize(
    ("what", "kind", "config"),
    [
        ("a block that runs several times", tf.AlbertModel, tf.AlbertConfig(
            **tiny_models.SHORT, embedding_size=16)),
        ("an encoder-decoder", tf.T5Model, tf.T5Config(
            vocab_size=64, d_model=32, d_kv=8, d_ff=64, num_layers=4, num_heads=4,
            decoder_start_token_id=0)),
    ],
)  # fmt: skip
def test_a_model_whose_blocks_do_not_follow_one_another_is_loaded_whole(
    what: str, kind: Any, config: Any, tmp_path: Path
) -> None:
    folder = tiny_models.save(tiny_models.build(kind, config), tmp_path)
    assert part_up_to(resolve(str(folder)), [0]) is None


def test_the_last_block_and_the_output_need_the_whole_model(tmp_path: Path) -> None:
    reference = resolve(str(saved("llama", tmp_path)))
    assert part_up_to(reference, [0, LAYERS - 1]) is None
    assert part_up_to(reference, [0, "output"]) is None


def test_a_run_loads_a_part_and_keeps_what_the_whole_model_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = planted.plain(tmp_path / "model")
    made = {
        name: plan(planted.quick(folder, folder, tmp_path / name, layer=0, tokens=4_000))
        for name in ("part", "whole")
    }
    found: list[Part | None] = []

    def watched(*given: Any) -> Part | None:
        found.append(part_up_to(*given))
        return found[-1]

    with monkeypatch.context() as patched:
        patched.setattr("pytest_crossdiff.engine.model_reading.part_up_to", watched)
        read_models(made["part"], SilentProgress())
        patched.setattr("pytest_crossdiff.engine.model_reading.part_up_to", lambda *_: None)
        read_models(made["whole"], SilentProgress())
    assert found[0] is not None
    harvests, samples = [], []
    for of in made.values():
        harvests.append(Harvest(of.store.entry("harvest", of.harvest_keys["baseline"])))
        samples.append(WeightSample.load(of.store.entry("weights", of.weights_keys["baseline"])))
    assert torch.equal(*(of.vectors(np.arange(len(of))) for of in harvests))
    assert harvests[0].meta | {"seconds": 0} == harvests[1].meta | {"seconds": 0}
    for name in ("signatures", "layers"):
        assert getattr(samples[0], name) == getattr(samples[1], name)
    for number, weights in samples[0].weights.items():
        np.testing.assert_array_equal(weights, samples[1].weights[number])


READ = """
import json, sys, threading, time, torch
from pathlib import Path
from pytest_crossdiff.engine.activations import shard_reading
from pytest_crossdiff.engine.model_reading import read_models
from pytest_crossdiff.engine.plan import plan
from pytest_crossdiff.progress import SilentProgress
from support import planted

shard_reading.BATCH_TOKENS["cpu"] = 64  # so that the weights decide

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024

def planned(model, layer):
    shape = dict(layer=layer, tokens=400, context=8)
    return plan(planted.quick(Path(model), Path(model), Path(sys.argv[3]), **shape))

def run(made):
    peak, done = [0], threading.Event()
    def watch():
        while not done.is_set():
            peak[0] = max(peak[0], anonymous())
            time.sleep(0.001)
    watcher = threading.Thread(target=watch)
    watcher.start()
    read_models(made, SilentProgress())
    done.set()
    watcher.join()
    return peak[0]

before = run(planned(sys.argv[1], 0))
print(json.dumps(run(planned(sys.argv[2], int(sys.argv[4]))) - before))
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("width", "blocks", "layer"), [(1024, 12, 5), (1536, 6, 1)])
def test_reading_a_block_takes_the_memory_of_what_is_up_to_it(
    tmp_path: Path, width: int, blocks: int, layer: int
) -> None:
    small, large = planted.plain(tmp_path / "small"), tmp_path / "large"
    tokenizer = tf.AutoTokenizer.from_pretrained(small)
    config = tf.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=4 * width,
        num_hidden_layers=blocks, num_attention_heads=width // 128,
    )  # fmt: skip
    with torch.device("meta"):
        model = tf.LlamaForCausalLM(config)
    model = model.to(torch.bfloat16).to_empty(device="cpu")
    for weight in model.parameters():
        weight.data.uniform_(-0.03, 0.03)
    tiny_models.save(model, large, tokenizer)
    up_to = [model.model.embed_tokens, *model.model.layers[: layer + 1], model.model.norm]
    loaded = 4 * sum(weight.numel() for module in up_to for weight in module.parameters())
    found = subprocess.run(
        [sys.executable, "-c", READ, small, large, tmp_path / "cache", str(layer)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) < 1.15 * loaded
