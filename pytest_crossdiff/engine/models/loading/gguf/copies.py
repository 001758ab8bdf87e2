"""What is made of a GGUF file, kept in the cache: its config, its tokenizer, its weights.

transformers reads the header of a GGUF file for each of the three, in Python, which takes most
of the time of loading a small model; dequantising takes most of that of a large one.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from pytest_crossdiff.errors import CrossDiffError
from pytest_crossdiff.store.artefact import is_whole
from pytest_crossdiff.store.digest import digest
from pytest_crossdiff.store.files import TEMPORARY, translate_os_errors
from pytest_crossdiff.store.manifest import DamagedEntry
from pytest_crossdiff.text import size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.store.cache import Entry, Store

KIND = "dequantised"
VERSION = 1
"""Raised when the same file is read otherwise than before, as where more of it is corrected."""
MOST_OF_DISK = 0.5
"""Weights that would take more of the free space than this are dequantised each time."""
_PACKAGES = "transformers", "gguf", "tokenizers"
_WEIGHTS = "*.safetensors*", "generation_config.json"
_TOLD = (
    "chat_template",
    "special_tokens_map",
    "model_max_length",
    "padding_side",
    "truncation_side",
    "model_input_names",
    "clean_up_tokenization_spaces",
)


def kept_config(file: ModelReference) -> Path | None:
    """The folder with the config of `file`, a GGUF reference; None where it isn't kept."""
    return _kept(file, "config")


def keep_config(file: ModelReference, config: PretrainedConfig) -> None:
    """Keep it, if what is read back is the same."""

    def is_same(folder: Path) -> bool:
        again = AutoConfig.from_pretrained(folder)
        return type(again) is type(config) and _told(again) == _told(config)

    _keep(file, "config", config.save_pretrained, is_same)


def kept_tokenizer(file: ModelReference) -> Path | None:
    """The folder with the tokenizer of `file`; None where it isn't kept."""
    return _kept(file, "tokenizer")


def keep_tokenizer(file: ModelReference, tokenizer: PreTrainedTokenizerBase) -> None:
    """Keep it, if what is read back is the same."""

    def is_same(folder: Path) -> bool:
        again = AutoTokenizer.from_pretrained(folder)
        pieces = [one.backend_tokenizer.to_str() for one in (again, tokenizer)]
        told = [[getattr(one, name, None) for name in _TOLD] for one in (again, tokenizer)]
        return type(again) is type(tokenizer) and pieces[0] == pieces[1] and told[0] == told[1]

    _keep(file, "tokenizer", tokenizer.save_pretrained, is_same)


def kept_weights(file: ModelReference, dtype: torch.dtype) -> Path | None:
    """The folder with the dequantised weights of `file`; None where they aren't kept."""
    return _kept(file, _number_type(dtype))


def keep_weights(file: ModelReference, model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Keep them, where there is room, and say how much they take."""
    store = file.store
    taken = sum(p.numel() * p.element_size() for p in model.parameters())
    if store is None or not store.root.is_dir():
        return
    if taken > MOST_OF_DISK * shutil.disk_usage(store.root).free:
        return

    def is_same(folder: Path) -> bool:
        return _told(GenerationConfig.from_pretrained(folder)) == _told(model.generation_config)

    if _keep(file, _number_type(dtype), model.save_pretrained, is_same, _WEIGHTS):
        store.note(
            f"the dequantised weights of {file.file} are kept in the cache ({size(taken)}), "
            "so they are loaded faster from now on"
        )


def _number_type(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _entry(store: Store, file: ModelReference, what: str) -> Entry:
    made_by = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return store.entry(
        KIND, digest({"gguf": file.digest, "what": what, "by": made_by, "version": VERSION})
    )


def _kept(file: ModelReference, what: str) -> Path | None:
    if file.store is None:
        return None
    entry = _entry(file.store, file, what)
    try:
        manifest = entry.read_manifest()
        if manifest is None or not manifest.meta["same"]:
            return None
        for name in manifest.files:
            entry.verified_path(name)
    except DamagedEntry as damage:
        with contextlib.suppress(CrossDiffError):  # it is read from the file
            entry.set_aside(damage.what)
        return None
    except CrossDiffError:
        return None
    return entry.path


def _keep(
    file: ModelReference,
    what: str,
    save: Callable[[Path], object],
    is_same: Callable[[Path], bool],
    patterns: Sequence[str] = ("*",),
) -> bool:
    """Write it unless it is there; whether it was written.  A cache that can't be written is no
    reason to fail.
    """
    if file.store is None:
        return False
    entry = _entry(file.store, file, what)
    with contextlib.suppress(CrossDiffError, OSError), entry.lock(file.store.note):
        if is_whole(entry):
            return False
        try:
            with entry.checked_by(file.must_be_unchanged), _folder_in(entry) as folder:
                save(folder)
                same = is_same(folder)
                for path in (path for name in patterns for path in folder.glob(name) if same):
                    with entry.writing(path.name) as part:
                        path.replace(part)
                entry.complete({"file": file.file, "what": what, "same": same})
                return same
        except (CrossDiffError, OSError, RuntimeError, ValueError):  # no room, or not to be saved
            entry.keep_only(())
    return False


@contextlib.contextmanager
def _folder_in(entry: Entry) -> Iterator[Path]:
    with translate_os_errors(entry.path, "write"):
        entry.path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=entry.path) as folder:
            yield Path(folder)


def _told(config: PretrainedConfig | GenerationConfig | None) -> dict[str, Any]:
    """What it says of the model."""
    told = {} if config is None else config.to_dict()
    return {k: v for k, v in told.items() if k not in ("_name_or_path", "transformers_version")}
