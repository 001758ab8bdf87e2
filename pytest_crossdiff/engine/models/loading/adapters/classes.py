"""Which class of model an adapter was trained on, so that each of its weights finds its place."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import torch
import transformers
from torch import nn

from pytest_crossdiff.engine.models.sources.files import ADAPTER_CONFIG, read_json
from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_crossdiff.engine.models.sources.references import ModelReference

Loader: TypeAlias = Any
"""A class with `from_pretrained`: of one family, or one of transformers' auto classes."""
_PREFIX = "base_model.model."
_WHOLE = ("weight", "base_layer.weight", "modules_to_save.weight")
_TASKS = {
    "CAUSAL_LM": "AutoModelForCausalLM",
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
    "FEATURE_EXTRACTION": "AutoModel",
}


class AdaptedClass(NamedTuple):
    """What an adapter's base has to be loaded as.

    loader: a class with `from_pretrained`.  options: for its config.  vocabulary: rows of the
    embedding table, None: as many as the base has.  provided: weights that the adapter replaces.
    """

    loader: Loader
    options: Mapping[str, Any] = MappingProxyType({})
    vocabulary: int | None = None
    provided: frozenset[str] = frozenset()

    def build(self, config: transformers.PretrainedConfig) -> object:
        """The model without its weights."""
        if hasattr(self.loader, "from_config"):
            return _build(self.loader, config, trust=False)
        with torch.device("meta"):  # families that share a class have configs of their own
            return self.loader(config)


def find_adapted_class(
    adapters: Sequence[ModelReference],
    config: transformers.PretrainedConfig,
    own: Iterable[Loader],
    *,
    trust_remote_code: bool,
    source: str,
) -> AdaptedClass:
    """The class of the base that has every module which the adapters change.

    adapters: of one chain, the outermost first.  config: of the base.  own: classes that would
    load the base without an adapter, tried last.  Raises `ModelError`.
    """
    shapes = {name: shape for one in reversed(adapters) for name, shape in _shapes(one).items()}
    loaders = list(dict.fromkeys([*_named_classes(adapters, config, source), *own]))
    for loader in loaders:
        skeleton = _skeleton(loader, config, trust_remote_code)
        if skeleton is not None and all(_has_place(skeleton, name) for name in shapes):
            return _fitted(loader, skeleton, shapes, adapters[0], source)
    # PEFT knows renamed modules of older layouts; it says which weights found no place.
    return AdaptedClass(loaders[-1])


def grow_vocabulary(model: transformers.PreTrainedModel, size: int | None) -> None:
    """Give the model `size` token embeddings; the adapter brings their values."""
    table: Any = model.get_input_embeddings()
    if size is not None and size != table.weight.shape[0]:
        model.resize_token_embeddings(size, mean_resizing=False)


def _named_classes(
    adapters: Sequence[ModelReference], config: transformers.PretrainedConfig, source: str
) -> Iterator[Loader]:
    """Classes that the adapters and the base name, the likeliest first."""
    names: list[str] = []
    for adapter in adapters:
        settings = read_json(Path(adapter.location) / ADAPTER_CONFIG, source)
        mapping = settings.get("auto_mapping")
        names += [str(mapping.get("base_model_class"))] if isinstance(mapping, dict) else []
        names += [_TASKS.get(str(settings.get("task_type")), "")]
    for name in (*names, *(config.architectures or ())):
        found = getattr(transformers, name, None) if name else None
        if hasattr(found, "from_pretrained"):
            yield found


def _skeleton(
    loader: Loader, config: transformers.PretrainedConfig, trust: bool
) -> transformers.PreTrainedModel | None:
    """The model without weights; None where the class isn't one of this family."""
    try:
        model = _build(loader, config, trust=trust)
    except (ValueError, TypeError, AttributeError, KeyError):
        return None
    return model if isinstance(model, transformers.PreTrainedModel) else None


def _build(loader: Loader, config: transformers.PretrainedConfig, *, trust: bool) -> object:
    with torch.device("meta"):
        if hasattr(loader, "from_config"):
            return loader.from_config(config, trust_remote_code=trust)
        return loader(config) if loader.config_class is type(config) else None


def _has_place(model: nn.Module, name: str) -> bool:
    """Whether `name` lies in a module of the model that has weights of its own."""
    module, parts = model, name.split(".")
    for part in parts:
        child = getattr(module, "_modules", {}).get(part)
        if child is None:
            break
        module = child
    return next(module.parameters(recurse=False), None) is not None


def _fitted(
    loader: Loader,
    skeleton: transformers.PreTrainedModel,
    shapes: Mapping[str, tuple[int, ...]],
    adapter: ModelReference,
    source: str,
) -> AdaptedClass:
    """The class with as many labels and tokens as the adapter's weights have."""
    weights = {name: tuple(weight.shape) for name, weight in skeleton.named_parameters()}
    whole = {
        name.removesuffix(f".{end}") + ".weight": shape
        for name, shape in shapes.items()
        for end in _WHOLE
        if name.endswith(f".{end}") and name.removesuffix(f".{end}") + ".weight" in weights
    }
    labels = {
        whole[name][0]
        for name, shape in weights.items()
        if name in whole
        and not name.startswith(f"{skeleton.base_model_prefix}.")
        and shape[0] == skeleton.config.num_labels != whole[name][0]
        and shape[1:] == whole[name][1:]
    }
    options = {"num_labels": labels.pop()} if len(labels) == 1 else {}
    provided = frozenset(name for name in shapes if name in weights) | frozenset(whole)
    vocabulary = _vocabulary(skeleton, whole, shapes, adapter, source)
    return AdaptedClass(loader, options, vocabulary, provided)


def _vocabulary(
    skeleton: transformers.PreTrainedModel,
    whole: Mapping[str, tuple[int, ...]],
    shapes: Mapping[str, tuple[int, ...]],
    adapter: ModelReference,
    source: str,
) -> int | None:
    """How many tokens the adapter was trained with; None: as many as its base has."""
    model: Any = skeleton
    ends = [model.get_input_embeddings(), model.get_output_embeddings()]
    tables = [name for name, module in skeleton.named_modules() if module in ends]
    has = int(ends[0].weight.shape[0])
    sizes: dict[str, int] = {}
    for name in tables:
        if f"{name}.weight" in whole:
            sizes[name] = whole[f"{name}.weight"][0]
        elif f"{name}.lora_embedding_A" in shapes:
            sizes[name] = shapes[f"{name}.lora_embedding_A"][1]
        elif f"{name}.lora_B.weight" in shapes:
            sizes[name] = shapes[f"{name}.lora_B.weight"][0]
    wanted = {size for size in sizes.values() if size != has}
    if not wanted:
        return None
    tied = getattr(skeleton.config.get_text_config(), "tie_word_embeddings", False)
    kept = [name for name in tables if f"{name}.weight" in whole]
    if len(wanted) == 1 and (len(kept) == len(tables) or (tied and kept)):
        return wanted.pop()
    raise ModelError(
        f"the adapter {adapter.reference} was trained with {max(wanted)} token embeddings, its "
        f"base has {has}, and the adapter doesn't hold the others",
        source=source,
        remedy="save it with save_embedding_layers=True, or resize the base and save it, too",
    )


def _shapes(adapter: ModelReference) -> dict[str, tuple[int, ...]]:
    """Of each weight in the adapter's file, by its name in the base model."""
    folder = Path(adapter.location)
    safe = folder / "adapter_model.safetensors"
    if safe.is_file():
        from safetensors import safe_open

        with safe_open(safe, "pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    else:
        tensors = torch.load(folder / "adapter_model.bin", map_location="cpu", weights_only=True)
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    return {
        name.removeprefix(_PREFIX): shape
        for name, shape in found.items()
        if name.startswith(_PREFIX)
    }
