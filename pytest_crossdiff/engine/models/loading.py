"""From a resolved reference to a model and a tokenizer in memory: whole, or a clear error."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import transformers
from transformers.models.auto.tokenization_auto import get_tokenizer_config
from transformers.utils import logging as transformers_logging

from pytest_crossdiff.engine.models.files import tokenizer_files
from pytest_crossdiff.engine.models.heads import (
    CAUSAL_SUFFIXES,
    OPTIONAL_HEADS,
    Head,
    choose_head,
    named_class,
)
from pytest_crossdiff.engine.models.lost_weights import (
    lost_in_backbone,
    made_up_at_random,
    must_be_whole,
)
from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.engine.models.references import ModelReference

_EXTRAS = {"gguf": ("gguf", "accelerate"), "peft": ("peft",)}


class ModelAndTokenizer(NamedTuple):
    """A model in evaluation mode, without gradients, and its fast tokenizer."""

    model: transformers.PreTrainedModel
    tokenizer: transformers.PreTrainedTokenizerBase
    head: Head


@contextlib.contextmanager
def silence_transformers() -> Iterator[None]:
    """No progress bars, log lines or warnings of transformers inside; as before afterwards."""
    log: Any = transformers_logging
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()


def load_model_and_tokenizer(
    reference: ModelReference,
    dtype: torch.dtype,
    *,
    trust_remote_code: bool,
    source: str,
    with_head: bool = False,
) -> ModelAndTokenizer:
    """Load the model, on the CPU, and its tokenizer.

    with_head: a masked language model or a tagger comes with its head, too; a causal one always
    does.  Raises `ModelError`.
    """
    if trust_remote_code and not reference.pinned:
        raise ModelError(
            f"code of {reference.reference} may not be run: a branch or tag can change",
            source="crossdiff_trust_remote_code",
            remedy=f"pin the revision: {reference.location}@{reference.revision}",
        )
    with silence_transformers(), model_errors(reference, source):
        model, head = _load_model(reference, dtype, trust_remote_code, source, with_head)
    tokenizer = load_tokenizer(reference, trust_remote_code=trust_remote_code, source=source)
    model.train(mode=False)
    model.requires_grad_(requires_grad=False)
    return ModelAndTokenizer(model, tokenizer, head)


def resolve_blocks_name(model: transformers.PreTrainedModel, blocks: str) -> str:
    """The dotted name of a list of blocks in `model`, given as it is with or without a head."""
    prefix = model.base_model_prefix
    if not blocks or _has_module(model, blocks.partition(", ")[0]) or not prefix:
        return blocks
    inner = ", ".join(f"{prefix}.{name}" for name in blocks.split(", "))
    if type(model).__name__.endswith(tuple(OPTIONAL_HEADS)) or _has_module(
        model, inner.partition(", ")[0]
    ):
        return inner
    return blocks


def _has_module(model: transformers.PreTrainedModel, name: str) -> bool:
    try:
        model.get_submodule(name)
    except AttributeError:
        return False
    return True


def load_tokenizer(
    reference: ModelReference, *, trust_remote_code: bool, source: str
) -> transformers.PreTrainedTokenizerBase:
    """The model's tokenizer.  Raises `ModelError` when it can't be loaded or isn't a fast one."""
    with silence_transformers(), model_errors(reference, source):
        tokenizer = _load_tokenizer(reference, trust_remote_code, source)
    if not tokenizer.is_fast:
        raise ModelError(
            f"{reference.reference} has no fast tokenizer, and only those tell which characters "
            "each token covers",
            source=source,
            remedy="convert it: AutoTokenizer.from_pretrained(..., use_fast=True) and save it as "
            "tokenizer.json",
        )
    return tokenizer


def _load_model(
    reference: ModelReference, dtype: torch.dtype, trust: bool, source: str, with_head: bool
) -> tuple[transformers.PreTrainedModel, Head]:
    if reference.base is not None:
        base, head = _load_model(reference.base, dtype, trust, source, with_head)
        return _with_adapter(reference, base, source), head
    options: dict[str, Any] = {"dtype": dtype, "trust_remote_code": trust}
    if reference.kind == "gguf":
        require_extra("gguf", reference, source)
        options |= {"gguf_file": reference.file}
        options |= {"quantization_config": transformers.GgufConfig(dequantize=True)}
        architectures, config = [CAUSAL_SUFFIXES[0]], dict[str, Any]()
    else:
        options |= {"revision": reference.revision} if reference.revision else {}
        config, _ = transformers.PretrainedConfig.get_config_dict(
            reference.location, revision=reference.revision
        )
        tokenizer = get_tokenizer_config(reference.location, revision=reference.revision)
        if trust:
            for settings in (config, tokenizer):
                _only_own_code(settings.get("auto_map"), reference)
        architectures = config.get("architectures") or []
    # A model's own code is loaded by the auto classes, which find it.
    own_code = reference.kind == "gguf" or bool(config.get("auto_map"))
    known = (
        None
        if own_code
        else transformers.AutoConfig.from_pretrained(
            reference.location, revision=reference.revision or "main"
        )
    )
    head, kind = choose_head(architectures, with_head=with_head, config=known)
    # Reading a GGUF file draws a bar of its own; one of a long download may be seen.
    hidden = io.StringIO() if reference.file else None
    with contextlib.redirect_stderr(hidden) if hidden else contextlib.nullcontext():
        model, info = _from_pretrained(kind, reference, options)
        named = named_class(architectures, known)
        if named not in (None, type(model)) and lost_in_backbone(model, info):
            # The weights may fit the class that saved them, with other names than without its head.
            again, its_info = _from_pretrained(named, reference, options)
            if not lost_in_backbone(again, its_info):
                model, info = again, its_info
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ModelError(
            f"{reference.reference} is an adapter on the hub, whose base model isn't pinned",
            source=source,
            remedy="download it and give the path of the folder",
        )
    must_be_whole(model, info, reference, source)
    return model, "" if info["missing_keys"] else head


def _from_pretrained(
    kind: Any,  # noqa: ANN401
    reference: ModelReference,
    options: dict[str, Any],
) -> tuple[transformers.PreTrainedModel, dict[str, Any]]:
    """The model, and what its files lack; of that only what is random, see `made_up_at_random`."""
    model, info = kind.from_pretrained(
        reference.location, output_loading_info=True, ignore_mismatched_sizes=True, **options
    )
    assert isinstance(model, transformers.PreTrainedModel)
    info["missing_keys"] = made_up_at_random(model, sorted(info["missing_keys"]))
    return model, info


def _load_tokenizer(
    reference: ModelReference, trust: bool, source: str
) -> transformers.PreTrainedTokenizerBase:
    if reference.base is not None and not _has_tokenizer(reference):
        return _load_tokenizer(reference.base, trust, source)
    options: dict[str, Any] = {"revision": reference.revision} if reference.revision else {}
    options |= {"gguf_file": reference.file} if reference.file else {}
    try:
        return transformers.AutoTokenizer.from_pretrained(
            reference.location, use_fast=True, trust_remote_code=trust, **options
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(
            f"the tokenizer of {reference.reference} can't be loaded: {_first_line(error)}",
            source=source,
            remedy="save it with the model, in one folder: tokenizer.save_pretrained(folder)",
        ) from error


def _has_tokenizer(adapter: ModelReference) -> bool:
    names = {file.name for file in tokenizer_files(Path(adapter.location))}
    return bool(names & {"tokenizer.json", "tokenizer_config.json"})


def _with_adapter(
    reference: ModelReference, base: transformers.PreTrainedModel, source: str
) -> transformers.PreTrainedModel:
    """The base model with the adapter's change added to its weights."""
    require_extra("peft", reference, source)
    from peft import PeftModel

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        adapted: Any = PeftModel.from_pretrained(base, reference.location)
    missing = [str(w.message) for w in caught if "missing adapter keys" in str(w.message)]
    if missing:
        # They stay at zero: the base model would be taken for the fine-tune.
        raise ModelError(
            f"the adapter {reference.reference} doesn't fit its base model: {missing[0][:300]}",
            source=source,
            remedy="check base_model_name_or_path in its adapter_config.json",
        )
    kind = adapted.peft_config["default"].peft_type.value
    if not hasattr(adapted.base_model, "merge_and_unload"):
        raise ModelError(
            f"the adapter {reference.reference} is of type {kind}, which is no change of weights",
            source=source,
            remedy="only adapters that can be merged are read, such as LoRA",
        )
    merged = adapted.merge_and_unload(safe_merge=True)
    assert isinstance(merged, transformers.PreTrainedModel)
    return merged


def _only_own_code(auto_map: object, reference: ModelReference) -> None:
    """Refuse code that the model takes from another repository, where no revision is pinned."""
    classes = auto_map.values() if isinstance(auto_map, dict) else [auto_map]
    foreign = [name for entry in classes for name in _flat(entry) if "--" in name]
    if foreign:
        raise ModelError(
            f"{reference.reference} would run code of another repository: {foreign[0]}",
            source="crossdiff_trust_remote_code",
            remedy="copy the code into the model's folder and name it in auto_map without '--'",
        )


def _flat(entry: object) -> list[str]:
    return [str(name) for name in entry] if isinstance(entry, (list, tuple)) else [str(entry)]


def require_extra(extra: str, reference: ModelReference, source: str) -> None:
    """Raise `ModelError` when the packages of an extra aren't there."""
    absent = [name for name in _EXTRAS[extra] if importlib.util.find_spec(name) is None]
    if absent:
        raise ModelError(
            f"{reference.reference} can't be loaded without {' and '.join(absent)}",
            source=source,
            remedy=f"pip install 'pytest-crossdiff[{extra}]'",
        )


@contextlib.contextmanager
def model_errors(reference: ModelReference, source: str) -> Iterator[None]:
    """Turn whatever keeps a model from loading into a `ModelError`."""
    try:
        yield
    except ModelError:
        raise
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{reference.reference} doesn't fit into memory",
            source=source,
            remedy="set crossdiff_device = cpu, or crossdiff_dtype = bfloat16",
        ) from error
    except Exception as error:
        remedy = "check the model: does AutoModel.from_pretrained load it?"
        if "trust_remote_code" in str(error):
            remedy = "if you trust its code, pin the revision and set crossdiff_trust_remote_code"
        raise ModelError(
            f"{reference.reference} can't be loaded: {_first_line(error)}",
            source=source,
            remedy=remedy,
        ) from error


def _first_line(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if isinstance(error, KeyError) or not text else text
