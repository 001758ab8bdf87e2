"""From a resolved reference to a model and a tokenizer in memory: whole, or a clear error."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import transformers
from torch import nn
from transformers.utils import logging as transformers_logging

from pytest_crossdiff.engine.models.loading.adapters.classes import (
    AdaptedClass,
    find_adapted_class,
    grow_vocabulary,
)
from pytest_crossdiff.engine.models.loading.adapters.merging import merge
from pytest_crossdiff.engine.models.loading.extras import require_extra
from pytest_crossdiff.engine.models.loading.foreign_code import must_run_only_own_code
from pytest_crossdiff.engine.models.loading.gguf.copies import keep_tokenizer, kept_tokenizer
from pytest_crossdiff.engine.models.loading.gguf.files import (
    complete_model,
    complete_tokenizer,
    gguf_config,
    where_weights_lie,
)
from pytest_crossdiff.engine.models.loading.heads import (
    choose_head,
    named_class,
)
from pytest_crossdiff.engine.models.loading.lost_weights import (
    lost_in_backbone,
    made_up_at_random,
    must_be_whole,
    must_count_few_blocks,
)
from pytest_crossdiff.engine.models.loading.quantised import dequantising, quantisation_errors
from pytest_crossdiff.engine.models.sources.files import has_vocabulary, tokenizer_files
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.settings.default_layers import CAUSAL_SUFFIXES, Head

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_crossdiff.engine.models.sources.references import ModelReference


_FROM_PRETRAINED: Any = vars(transformers.PreTrainedModel)["from_pretrained"].__func__


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
    device: torch.device | None = None,
    placement: Mapping[str, Any] | None = None,
) -> ModelAndTokenizer:
    """Load the model, on the CPU, and its tokenizer.

    with_head: a masked language model or a tagger comes with its head, too; a causal one always
    does.  device: where an adapter is merged.  placement: options that deal it out to devices, if
    it isn't an adapter.  Raises `ModelError`.
    """
    if reference.archived:
        raise ModelError(
            f"{reference.reference} has no weights here, only an archive of what it was read as",
            source=source,
            remedy="bring back the model for what needs its weights",
        )
    if trust_remote_code and not reference.pinned:
        raise ModelError(
            f"code of {reference.reference} may not be run: a branch or tag can change",
            source="crossdiff_trust_remote_code",
            remedy=f"pin the revision: {reference.location}@{reference.revision}",
        )
    with silence_transformers(), model_errors(reference, source):
        model, head = _load_model(
            reference, dtype, trust_remote_code, source, with_head, device, placement or {}
        )
    tokenizer = load_tokenizer(reference, trust_remote_code=trust_remote_code, source=source)
    model.train(mode=False)
    model.requires_grad_(requires_grad=False)
    return ModelAndTokenizer(model, tokenizer, head)


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
    reference.must_be_unchanged(none_new=True)
    return tokenizer


def _load_model(
    reference: ModelReference,
    dtype: torch.dtype,
    trust: bool,
    source: str,
    with_head: bool,
    device: torch.device | None,
    placement: Mapping[str, Any],
) -> tuple[transformers.PreTrainedModel, Head]:
    root = reference.root
    options: dict[str, Any] = {"dtype": dtype, "trust_remote_code": trust, **placement}
    config: dict[str, Any] = {}
    location, keeps = root.location, reference.base is None and not placement
    if root.kind == "gguf":
        require_extra("gguf", root, source)
        location, how = where_weights_lie(root, dtype if keeps else None)
        options |= {"config": gguf_config(root, source), **how}
        architectures = [CAUSAL_SUFFIXES[0]]
    else:
        options |= where_it_lies(root)
        config, _ = transformers.PretrainedConfig.get_config_dict(
            root.location, revision=root.revision
        )
        if trust:
            must_run_only_own_code(root)
        architectures = config.get("architectures") or []
    # A model's own code is loaded by the auto classes, which find it.
    own_code = root.kind == "gguf" or bool(config.get("auto_map"))
    with quantisation_errors(config, root, source):
        known = None if own_code else load_config(root, trust_remote_code=False, source=source)
    head, chosen = choose_class(
        reference, architectures, known, with_head=with_head, trust=trust, source=source
    )
    # Reading a GGUF file draws a bar of its own; one of a long download may be seen.
    hidden = io.StringIO() if root.file else None
    with (
        contextlib.redirect_stderr(hidden) if hidden else contextlib.nullcontext(),
        quantisation_errors(config, root, source),
    ):
        options |= {**dequantising(config, device), **chosen.options}
        model, info = from_pretrained(chosen, location, options)
        named = named_class(architectures, known) if reference.base is None else None
        if named not in (None, type(model)) and lost_in_backbone(model, info):
            # The weights may fit the class that saved them, with other names than without its head.
            again, its_info = from_pretrained(AdaptedClass(named), location, options)
            if not lost_in_backbone(again, its_info):
                model, info = again, its_info
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ModelError(
            f"{root.reference} is an adapter on the hub, whose base model isn't pinned",
            source=source,
            remedy="download it and give the path of the folder",
        )
    with quantisation_errors(config, root, source):
        must_be_whole(model, info, root, source)
    if root.file:
        complete_model(model, root, source, dtype if keeps else None)
    if reference.base is None:
        return model, "" if info["missing_keys"] else head
    if device is not None:
        nn.Module.to(model, device)
    grow_vocabulary(model, chosen.vocabulary)
    for adapter in reversed(reference.adapters):
        model = merge(adapter, model, source)
    head, _ = choose_head([type(model).__name__], with_head=with_head, config=model.config)
    return model if head else without_head(model), "" if info["missing_keys"] else head


def from_pretrained(
    chosen: AdaptedClass, location: str, options: dict[str, Any]
) -> tuple[transformers.PreTrainedModel, dict[str, Any]]:
    """The model at `location`, and what its files lack that no adapter provides; of missing weights
    only those that are random, see `made_up_at_random`.
    """
    load: Any = chosen.loader.from_pretrained
    if isinstance(chosen.loader, type) and issubclass(chosen.loader, transformers.PreTrainedModel):
        # Not that of a subclass, which may not know of `output_loading_info`.
        load = functools.partial(_FROM_PRETRAINED, chosen.loader)
    model, info = load(location, output_loading_info=True, ignore_mismatched_sizes=True, **options)
    assert isinstance(model, transformers.PreTrainedModel)
    missing = sorted(set(info["missing_keys"]) - chosen.provided)
    info["missing_keys"] = made_up_at_random(model, missing)
    info["mismatched_keys"] = [m for m in info["mismatched_keys"] if m[0] not in chosen.provided]
    return model, info


def choose_class(
    reference: ModelReference,
    architectures: Sequence[str],
    known: transformers.PretrainedConfig | None,
    *,
    with_head: bool,
    trust: bool,
    source: str,
) -> tuple[Head, AdaptedClass]:
    """What loads the model: for an adapter, the class that it was trained on.

    architectures: classes that the config of the root names.  known: that config, None where only
    the auto classes know how to load it.  Raises `ModelError`.
    """
    head, kind = choose_head(architectures, with_head=with_head, config=known)
    if reference.base is None:
        return head, AdaptedClass(kind)
    require_extra("peft", reference, source)
    root = reference.root
    config = load_config(root, trust_remote_code=trust, source=source)
    own = (choose_head(architectures, with_head=True, config=known)[1], kind)
    return head, find_adapted_class(
        reference.adapters, config, own, trust_remote_code=trust, source=source
    )


def load_config(
    root: ModelReference, *, trust_remote_code: bool, source: str
) -> transformers.PretrainedConfig:
    """The config of a model that is no adapter.  Raises `ModelError`."""
    if root.file:
        return gguf_config(root, source)
    found: transformers.PretrainedConfig = transformers.AutoConfig.from_pretrained(
        root.location, trust_remote_code=trust_remote_code, **where_it_lies(root)
    )
    must_count_few_blocks(found, root, source)
    return found


def without_head(model: transformers.PreTrainedModel) -> transformers.PreTrainedModel:
    """The model below its head."""
    below = model.base_model
    assert isinstance(below, transformers.PreTrainedModel)
    return below


def where_it_lies(reference: ModelReference) -> dict[str, str]:
    """The revision and the GGUF file, as arguments of `from_pretrained`."""
    named = {"revision": reference.revision, "gguf_file": reference.file}
    return {name: value for name, value in named.items() if value}


def _load_tokenizer(
    reference: ModelReference, trust: bool, source: str
) -> transformers.PreTrainedTokenizerBase:
    if reference.base is not None and not _has_tokenizer(reference):
        return _load_tokenizer(reference.base, trust, source)
    if trust:
        must_run_only_own_code(reference)
    kept = kept_tokenizer(reference) if reference.file else None
    if kept is not None:
        again: transformers.PreTrainedTokenizerBase = transformers.AutoTokenizer.from_pretrained(
            kept
        )
        again.name_or_path = reference.location
        return again
    folder = Path(reference.location)
    if reference.kind == "local" and folder.is_dir() and not has_vocabulary(folder):
        # Of a folder without one, older versions of transformers make an empty one up.
        raise _no_tokenizer(reference, "its folder has none", source)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            reference.location, use_fast=True, trust_remote_code=trust, **where_it_lies(reference)
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise _no_tokenizer(reference, _first_line(error), source) from error
    if reference.file:
        complete_tokenizer(tokenizer, reference)
        keep_tokenizer(reference, tokenizer)
    assert isinstance(tokenizer, transformers.PreTrainedTokenizerBase)
    return tokenizer


def _no_tokenizer(reference: ModelReference, why: str, source: str) -> ModelError:
    return ModelError(
        f"the tokenizer of {reference.reference} can't be loaded: {why}",
        source=source,
        remedy="save it with the model, in one folder: tokenizer.save_pretrained(folder)",
    )


def _has_tokenizer(adapter: ModelReference) -> bool:
    names = {file.name for file in tokenizer_files(Path(adapter.location))}
    return bool(names & {"tokenizer.json", "tokenizer_config.json"})


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
