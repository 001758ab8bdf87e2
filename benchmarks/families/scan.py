"""One class: built, saved, loaded by the project, read, and compared.

Axes: b texts of a batch, p positions, d model width.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch
import transformers

from benchmarks.families import references
from benchmarks.families.classes import build, save_tokenizer
from benchmarks.families.references import WITHIN, by_place, deviation
from pytest_crossdiff.engine.explanation import intervention
from pytest_crossdiff.engine.models.loaded import load, read, vectors
from pytest_crossdiff.engine.models.loading.load import silence_transformers
from pytest_crossdiff.engine.models.reading.predictions import token_signs
from pytest_crossdiff.engine.models.reading.self_check import check
from pytest_crossdiff.engine.models.reading.source_and_target import row_of
from pytest_crossdiff.engine.models.skeletons import inspect_model
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.errors import CrossDiffError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from benchmarks.families.classes import Job
    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.engine.models.reading.predictions import ModelReadout

TEXTS = (
    "The with statement wraps the execution of a block with methods defined by a context manager.",
    "A generator function returns an iterator which yields points.",
)
LAYERS = (0, 0.5, 1.0)
EXACT: Any = {"source": "crossdiff_baseline", "dtype": "float32", "device": "cpu"}
PADDED_WITHIN, EFFECT_WITHIN, AHEAD_WITHIN = 2e-3, 2e-3, 1e-3


def scan(job: Job, folder: str) -> dict[str, Any]:
    """What came of one class.  block, output: right, wrong, refused, raised (an error that is not
    ours), or none (no such head); their notes say more.
    """
    row: dict[str, Any] = {**job._asdict(), "built": True}
    try:
        with silence_transformers():
            model = build(job)
            model.save_pretrained(folder)
            save_tokenizer(folder)
            torch.save({}, f"{folder}/spk_dict.pt")  # voices, which Qwen2.5-Omni looks for
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
            ids = [torch.tensor([tokenizer(text)["input_ids"]]) for text in TEXTS]
    except Exception as error:  # noqa: BLE001
        return {**row, "built": False, "why": f"{type(error).__name__}: {str(error)[:200]}"}
    for part, compare in (("block", _check_block), ("output", _check_output)):
        row[part], row[f"{part}_note"] = _outcome(lambda of=compare: of(model, folder, ids, row))
    if job.mapping == "text encoder":
        row["output"], row["output_note"] = "none", ""
    return row


def _outcome(compare: Callable[[], tuple[str, str]]) -> tuple[str, str]:
    try:
        with silence_transformers():
            return compare()
    except CrossDiffError as error:
        return "refused", _without_paths(error.what.partition("\n")[0])
    except Exception as error:  # noqa: BLE001
        said = str(error).partition("\n")[0]
        return "raised", _without_paths(f"{type(error).__name__}: {said}")


def _without_paths(text: str) -> str:
    return re.sub(r"\S*/family-\S*/model", "the model", text)[:300]


def _check_block(
    model: Any,  # noqa: ANN401
    folder: str,
    ids: list[Tensor],
    row: dict[str, Any],
) -> tuple[str, str]:
    source = references.text_model(model, ids[0])
    reported = references.hidden_states(source, ids[0])
    notes, confirmed = [], {}
    for layer in LAYERS:
        try:
            loaded = load(folder, layer=layer, **EXACT)
        except CrossDiffError as error:
            if layer != LAYERS[-1]:
                raise
            notes.append(str(error).partition("\n")[0])  # e.g. a block that only pictures run
            confirmed[layer] = ""
            continue
        found = vectors(loaded, ids[0], torch.ones_like(ids[0]))
        confirmed[layer] = _confirmed(loaded, found, reported, ids[0])
        changed = _padding(loaded, ids)
        if changed > PADDED_WITHIN:
            return "wrong", f"padding changes layer {layer} by {changed:.2g} standard deviations"
    middle = load(folder, layer=0.5, **EXACT)
    row |= {
        "blocks": middle.blocks_name, "layers": middle.layers, "width": middle.width,
        "batching": middle.batching, "layout": list(middle.layout),
    }  # fmt: skip
    shape = inspect_model(resolve(folder), layer=0.5, source="crossdiff_baseline")
    if (shape.width, shape.layer, shape.layers) != (middle.width, middle.layer, middle.layers):
        notes.append(f"`doctor` expects width {shape.width}, layer {shape.layer} of {shape.layers}")
    row["effects"] = _effects(middle, ids[0])
    row["self_check"] = check(middle, [ids[0], ids[1], ids[0][:, 5:]])._asdict()
    if middle.form.reads == "source":
        row["decoder"] = _decoder(model, folder, ids[0])
        if row["decoder"].startswith("wrong"):
            return "wrong", f"the decoder: {row['decoder']}"
    unconfirmed = [layer for layer in LAYERS[:2] if confirmed[layer]]
    if unconfirmed:
        return "wrong", f"layer {unconfirmed[0]}: {confirmed[unconfirmed[0]]}"
    if confirmed[1.0]:
        notes.append("the last block is not confirmed")
    return "right", "; ".join(notes)


def _decoder(model: Any, folder: str, ids_1p: Tensor) -> str:  # noqa: ANN401
    """Whether the middle block of the decoder is read as the model reports it."""
    try:
        loaded = load(folder, layer=0.5, blocks="decoder", **EXACT)
        found = _read(loaded, _with_sources(loaded, [ids_1p])[0]).vectors_bpd
    except CrossDiffError as error:
        return f"refused: {_without_paths(error.what.partition(chr(10))[0])}"
    out = references.run_both(model, ids_1p, _source(loaded, ids_1p), output_hidden_states=True)
    states = getattr(out, "decoder_hidden_states", None)
    if not states:
        return "unconfirmed"
    off = deviation(found[:, : ids_1p.shape[1]], states[loaded.layer + 1])
    return "right" if off < WITHIN else f"wrong: {off:.2g} standard deviations off"


def _confirmed(loaded: LoadedModel, found: Tensor, reported: list[Tensor], ids_1p: Tensor) -> str:
    """ "" where an independent value is what was read, or how far they are apart."""
    places = ids_1p.shape[1]
    states = [by_place(state, places) for state in reported]
    passed_on = references.inputs_of_passes(loaded.reader, loaded.blocks, ids_1p)
    first = by_place(passed_on[0], places) if passed_on else None
    # Some families leave out the embeddings, and so count from the first block.
    with_embeddings = len(states) != loaded.layers or _same(first, states[0])
    index = loaded.layer + with_embeddings
    wanted = [states[index]] if index < len(states) else []
    if loaded.layer + 1 < len(passed_on):
        wanted.append(by_place(passed_on[loaded.layer + 1], places))
    if index == len(states) - 1 and states[-1] is not None and len(wanted) == 1:
        normed = [found, *_normed(loaded, found)]  # the last hidden state may have a norm on it
        return "" if any(_same(value, states[-1]) for value in normed) else "unconfirmed"
    distances = [deviation(found, value) for value in wanted if value is not None]
    if not distances:
        return "no independent value"
    return "" if min(distances) < WITHIN else f"{min(distances):.2g} standard deviations off"


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    return a is not None and b is not None and deviation(a, b) < WITHIN


def _normed(loaded: LoadedModel, found: Tensor) -> list[Tensor]:
    """`found` behind each norm beside the blocks."""
    parent = loaded.model.get_submodule(loaded.blocks_name.partition(",")[0].rpartition(".")[0])
    made = []
    for name, module in [*parent.named_children(), *loaded.model.named_children()]:
        if "norm" in name.lower() or name.startswith("ln_"):
            try:
                with torch.inference_mode():
                    made.append(module(found))
            except Exception:  # noqa: BLE001
                continue
    return made


def _source(loaded: LoadedModel, ids_1p: Tensor) -> Tensor | None:
    """What the encoder reads beside a target: its tokens backwards, and the first of them again."""
    if loaded.form.reads != "source and target":
        return None
    return torch.cat([ids_1p.flip(1), ids_1p[:, :3]], 1)


def _with_sources(loaded: LoadedModel, ids: list[Tensor]) -> list[Tensor]:
    """Texts as the model reads them: where its decoder is read as targets with their sources."""
    sources = [_source(loaded, text) for text in ids]
    return [t if s is None else row_of(t, s) for t, s in zip(ids, sources, strict=True)]


def _read(loaded: LoadedModel, ids_1p: Tensor) -> ModelReadout:
    return read(loaded, ids_1p, torch.ones_like(ids_1p))


def _padding(loaded: LoadedModel, ids: list[Tensor]) -> float:
    """How far the shorter text is changed by a batch with the longer."""
    longer, shorter = ids
    length = shorter.shape[1]
    batch = torch.zeros(2, longer.shape[1], dtype=torch.long)
    batch[0], batch[1, :length] = longer[0], shorter[0]
    mask = torch.ones_like(batch)
    mask[1, length:] = 0
    alone = vectors(loaded, shorter, torch.ones_like(shorter))
    return deviation(vectors(loaded, batch, mask)[1:, :length], alone)


def _effects(loaded: LoadedModel, ids_1p: Tensor) -> str:
    """Whether a changed residual stream has the effect that it has in a whole run."""
    try:
        recorded = intervention.record(loaded, ids_1p)
        change = 0.5 * torch.randn(
            1, ids_1p.shape[1], loaded.width, generator=torch.Generator().manual_seed(1)
        )
        unchanged = intervention.replay(loaded, recorded, torch.zeros_like(change))
        if deviation(unchanged, recorded.out) > EFFECT_WITHIN:
            return "wrong: no change has an effect"
        if loaded.passes and len({id(block) for block in loaded.passes}) < len(loaded.passes):
            return "unconfirmed: shared blocks"

        seen = []

        def add(_block: object, _arguments: object, output: object) -> object:
            seen.append(1)
            stream = loaded.layout.read(output, ids_1p.shape[1])
            return loaded.layout.write(output, stream + change)

        handle = loaded.blocks[loaded.layer].register_forward_hook(add)
        try:
            expected = intervention.record(loaded, ids_1p).out
        finally:
            handle.remove()
        if not seen:
            return "unconfirmed: the model passes by hooks"
        off = deviation(intervention.replay(loaded, recorded, change), expected)
        if off > EFFECT_WITHIN:
            return f"wrong: {off:.2g} standard deviations off"
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
    return "right"


def _check_output(
    model: Any,  # noqa: ANN401
    folder: str,
    ids: list[Tensor],
    row: dict[str, Any],
) -> tuple[str, str]:
    loaded = load(folder, layer="output", **EXACT)
    assert loaded.predictions is not None
    row["head"] = loaded.head
    texts = _with_sources(loaded, ids)
    row["output_self_check"] = check(
        loaded, [*texts, _with_sources(loaded, [ids[0][:, 5:]])[0]]
    )._asdict()
    found, places = _read(loaded, texts[0]), ids[0].shape[1]
    p_bpv = references.logits(model, ids[0], _source(loaded, ids[0])).float().softmax(-1)
    p_bpw = loaded.predictions.by_word(p_bpv[0])[None]
    expected = p_bpw.sqrt() @ token_signs(loaded.predictions.words)
    off = deviation(found.vectors_bpd[:, :places], expected)
    if off > WITHIN:
        return "wrong", f"{off:.2g} standard deviations off"
    changed = _padding(loaded, texts)
    if changed > PADDED_WITHIN:
        return "wrong", f"padding changes predictions by {changed:.2g} standard deviations"
    if loaded.predictions.next_token:
        nll = -p_bpv[0, :-1].gather(1, ids[0][0, 1:, None])[:, 0].log()
        if deviation(found.nll_bp[0, 1:places], nll) > WITHIN:
            return "wrong", "surprise of the next token"
        other, last = texts[0].clone(), places - 1
        other[0, last] = (other[0, last] + 7) % 400 + 5
        ahead = deviation(_read(loaded, other).vectors_bpd[:, :last], found.vectors_bpd[:, :last])
        if ahead > AHEAD_WITHIN:
            return "wrong", "taken for next-token predictions, but sees later tokens"
    return "right", ""
