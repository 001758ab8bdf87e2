"""The files of a model's folder: which of them matter, and whether the weights are whole."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"

# In the order in which transformers looks for them.
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")

_COMPANIONS = ("*.json", "*.jinja", "*.model", "*.tiktoken", "*.txt", "additional_chat_templates/*")
_TOKENIZER = (
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "additional_chat_templates/*",
)
_VOCABULARIES = ("tokenizer*", "*vocab*", "*.model", "*.tiktoken", "tekken.json", "*.spm", "*.bpe*")
# Written by trainers and people; nothing that a model is loaded from.
_IRRELEVANT_FILES = {
    "trainer_state.json",
    "all_results.json",
    "train_results.json",
    "eval_results.json",
    "modelcard.json",
    "license.txt",
    "readme.txt",
    "requirements.txt",
}
# What training and people leave in a folder, and weights: no code reads its vocabulary from these.
_OUTPUTS = (
    *("*.safetensors", "*.gguf", "*.pt", "*.pth", "*.h5", "*.msgpack", "*.onnx", "*.ckpt"),
    *("*pytorch_model*.bin", "adapter_model.bin", "training_args.bin", "optimizer.bin"),
    *("scheduler.bin", "*.md", "*.log", "*.tfevents*", "*.png", "*.jpg", "*.pyc", "*.index.json"),
)
_HIDDEN = re.compile(r"\.|__pycache__$|checkpoint-\d+$|runs$")
_LFS_POINTER = b"version https://git-lfs"
_LONGEST_HEADER = 100_000_000  # bytes; safetensors itself refuses longer ones
_LONGEST_NAME = 200
_DEEPEST = 50
"""Levels of JSON in a model's files; configs in use have a handful."""


def read_json(path: Path, source: str) -> dict[str, Any]:
    """The JSON object in a file.  Raises `ModelError`."""
    try:
        content = shallow_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} can't be read: {error}",
            source=source,
            remedy="copy or download it again",
        ) from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} is no JSON object", source=source)
    return content


def model_weights(folder: Path, config: dict[str, Any], source: str) -> list[Path]:
    """The files that transformers would load the weights from.  Raises `ModelError`."""
    explicit = config.get("transformers_weights")
    for name in (explicit,) if isinstance(explicit, str) else _WEIGHTS:
        if not is_regular(_inside(folder, name, folder / CONFIG, source), source):
            continue
        if name.endswith(".index.json"):
            return [folder / name, *_shards(folder / name, source)]
        return [folder / name]
    others = sorted(
        path.name
        for pattern in ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.h5", "*.msgpack", "*.onnx")
        for path in folder.glob(pattern)
    )
    raise ModelError(
        f"{folder} has a {CONFIG} but no weights"
        + (f"; {', '.join(others[:6])} can't be loaded as such" if others else ""),
        source=source,
        remedy=f"transformers needs one of {', '.join(_WEIGHTS)} there",
    )


def adapter_weights(folder: Path, source: str) -> list[Path]:
    """The file of an adapter's weights.  Raises `ModelError`."""
    for name in _ADAPTER_WEIGHTS:
        if is_regular(folder / name, source):
            return [folder / name]
    raise ModelError(
        f"{folder} has an {ADAPTER_CONFIG} but no weights",
        source=source,
        remedy=f"peft needs {' or '.join(_ADAPTER_WEIGHTS)} there",
    )


def _shards(index: Path, source: str) -> list[Path]:
    weight_map = read_json(index, source).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{index} lists no weights", source=source)
    names = sorted({str(name) for name in weight_map.values()})
    shards = [_inside(index.parent, name, index, source) for name in names]
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise ModelError(
            f"{index.parent} lacks {len(missing)} of {len(shards)} files of weights: "
            + ", ".join(missing[:3]),
            source=source,
            remedy="copy or download the folder again",
        )
    return shards


def _inside(folder: Path, name: str, where: Path, source: str) -> Path:
    """The file of that name in `folder`.  Raises `ModelError` where it is elsewhere."""
    plain = PurePath(name.replace("\\", "/"))
    if not name.isprintable() or len(name) > _LONGEST_NAME or plain.is_absolute():
        inside = False
    else:
        inside = bool(plain.parts) and ".." not in plain.parts
    if not inside:
        raise ModelError(
            f"{where} names weights that are no file of its folder: {name[:_LONGEST_NAME]!r}",
            source=source,
            remedy="copy or download the folder again",
        )
    return folder / name


def companion_files(folder: Path, source: str = "") -> list[Path]:
    """Config, tokenizer and templates: whatever isn't weights and may change an activation.

    Raises `ModelError` where one is a pipe.
    """
    return [
        path
        for path in _matching(folder, _COMPANIONS, source)
        if path.name.lower() not in _IRRELEVANT_FILES and not path.name.endswith(".index.json")
    ]


def tokenizer_files(folder: Path, source: str = "") -> list[Path]:
    """What a tokenizer may be read from besides a GGUF file."""
    return _matching(folder, _TOKENIZER, source)


def has_vocabulary(folder: Path) -> bool:
    """Whether a folder has any file that a tokenizer's words are in."""
    return any(next(folder.glob(pattern), None) for pattern in _VOCABULARIES)


def folder_files(folder: Path, source: str) -> list[Path]:
    """The files of a model's folder that can change an activation.  Raises `ModelError`."""
    config = read_json(folder / CONFIG, source)
    weights = model_weights(folder, config, source)
    return [*weights, *companion_files(folder, source), *custom_code(folder, source)]


def adapter_files(folder: Path, source: str) -> list[Path]:
    """The same of an adapter's folder, its config included.  Raises `ModelError`."""
    weights, companions = adapter_weights(folder, source), companion_files(folder, source)
    return [*weights, *companions, *custom_code(folder, source)]


def gguf_files(path: Path, source: str = "") -> list[Path]:
    """The same of a GGUF file: itself, and the tokenizer beside it."""
    folder = path.parent
    return [path, *tokenizer_files(folder, source), *custom_code(folder, source)]


def custom_code(folder: Path, source: str = "") -> list[Path]:
    """Where a model or tokenizer of a class of its own may run: the Python files, and whatever
    else that code may read and no other list of files has.
    """
    if not any(_names_code(folder / name, source) for name in (CONFIG, TOKENIZER_CONFIG)):
        return []
    return [
        path
        for path in folder.rglob("*")
        if path.suffix == ".py" or not _is_output(path)
        if not any(_HIDDEN.match(part) for part in path.relative_to(folder).parts)
        and not path.is_dir()
        and is_regular(path, source)
    ]


def _is_output(path: Path) -> bool:
    """Whether training writes such a file, or it holds weights, which a list of their own has."""
    name = path.name.lower()
    return name in _IRRELEVANT_FILES or any(fnmatch(name, pattern) for pattern in _OUTPUTS)


def _names_code(path: Path, source: str) -> bool:
    """Whether a config names classes of its own, which code in its folder defines."""
    try:
        return is_regular(path, source) and "auto_map" in shallow_json(path.read_bytes())
    except (OSError, ValueError, TypeError):  # loading it says so
        return False


def _matching(folder: Path, patterns: Iterable[str], source: str) -> list[Path]:
    found = (path for pattern in patterns for path in folder.glob(pattern))
    return [path for path in found if is_regular(path, source)]


def is_regular(path: Path, source: str) -> bool:
    """Whether a file is there, to be read.  Raises `ModelError` for a pipe or a device, which would
    be waited for.
    """
    if path.is_file():
        return True
    if path.exists() and not path.is_dir():
        raise ModelError(
            f"{path} is no file but a pipe or a device",
            source=source,
            remedy="put a file in its place, or remove it",
        )
    return False


def check_weights(files: Iterable[Path], source: str) -> None:
    """Notice, without reading the weights, files that are cut short or were never downloaded.

    Raises `ModelError`.
    """
    for path in files:
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                start = file.read(len(_LFS_POINTER))
                if start == _LFS_POINTER:
                    raise ModelError(
                        f"{path} is a Git LFS pointer, not the weights",
                        source=source,
                        remedy="run `git lfs pull` in that folder",
                    )
                if path.suffix == ".safetensors":
                    file.seek(8)
                    length = int.from_bytes(start[:8], "little")
                    header = file.read(min(length, _LONGEST_HEADER, size))
                    _check_safetensors(path, size, length, header, source)
        except OSError as error:
            raise ModelError(f"can't read {path}: {error.strerror}", source=source) from error
        if path.suffix.lower() == ".gguf" and not start.startswith(b"GGUF"):
            raise ModelError(f"{path} is no GGUF file: it begins with {start[:4]!r}", source=source)
        if size == 0:
            raise _cut_short(path, "it is empty", source)


def tensor_names(path: Path) -> list[str] | None:
    """The names of the weights in a file that `check_weights` passed; None where only loading it
    would tell.
    """
    if path.suffix != ".safetensors":
        return None
    with path.open("rb") as file:
        header = file.read(int.from_bytes(file.read(8), "little"))
    return [name for name in shallow_json(header) if name != "__metadata__"]


def _check_safetensors(path: Path, size: int, length: int, header: bytes, source: str) -> None:
    if size < 8 or len(header) < length:
        raise _cut_short(path, f"{size} bytes don't hold its header", source)
    try:
        ends = _ends(shallow_json(header))
    except ValueError as error:
        raise ModelError(
            f"{path} is no safetensors file: its header is malformed ({error})",
            source=source,
            remedy="copy or download it again",
        ) from error
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise _cut_short(path, f"{size} bytes instead of {expected}", source)


def _ends(header: Any) -> list[int]:  # noqa: ANN401  whatever JSON holds
    """Where each tensor of a safetensors header ends.  Raises `ValueError`."""
    if not isinstance(header, dict):
        raise ValueError("no object")  # noqa: TRY004  one kind of error for the caller
    ends = []
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
        if not (
            isinstance(offsets, list)
            and len(offsets) == 2
            and all(type(offset) is int for offset in offsets)
            and 0 <= offsets[0] <= offsets[1] < 2**63
        ):
            raise ValueError(f"no valid data_offsets of {name[:80]!r}")
        ends.append(offsets[1])
    return ends


def shallow_json(data: bytes) -> Any:  # noqa: ANN401  whatever JSON holds
    """The value of JSON from outside.  Raises `ValueError`, also for what is nested so deeply that
    code which follows it would fail.
    """
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level = [value]
    for _ in range(_DEEPEST):
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [
            x
            for values in inner
            if isinstance(values, Collection)
            for x in values
            if isinstance(x, (dict, list))
        ]
        if not level:
            return value
    raise ValueError(f"it is nested more than {_DEEPEST} levels deep")


def _cut_short(path: Path, how: str, source: str) -> ModelError:
    return ModelError(
        f"{path} is cut short: {how}", source=source, remedy="copy or download it again"
    )
