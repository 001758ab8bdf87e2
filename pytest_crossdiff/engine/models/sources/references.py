"""From what the user wrote to exactly one model: where it lies and the digest of what matters.

Nothing is loaded here and nothing heavy imported, so that a cached result is found in milliseconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pytest_crossdiff.engine.models.loading.gguf.header import is_gguf
from pytest_crossdiff.engine.models.loading.gguf.reading import corrections
from pytest_crossdiff.engine.models.sources.files import (
    ADAPTER_CONFIG,
    CONFIG,
    adapter_weights,
    check_weights,
    companion_files,
    custom_code,
    model_weights,
    read_json,
    tensor_names,
    tokenizer_files,
)
from pytest_crossdiff.engine.models.sources.hub import COMMIT, resolve_commit
from pytest_crossdiff.engine.models.suggestions import better_path, contents, similar_path
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.store.digest import content_digest, digest, file_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

_HUB_NAME = re.compile(
    r"(?P<id>[\w][\w.-]*(/[\w][\w.-]*)?)(@(?P<revision>[\w][\w./-]*))?", re.ASCII
)
_BASE = "base_model_name_or_path"


@dataclass(frozen=True)
class ModelReference:
    """One model, resolved.

    reference: as written.  location: folder, or id on the hub.  revision: commit, of a hub model.
    file: name of the GGUF file in the folder.  base: what an adapter was trained on.  digest: of
    everything that can change an activation, and of no path.  source: the setting it came from.
    remark: what the person at the terminal should know, or "".
    """

    reference: str
    kind: Literal["local", "hub", "gguf", "adapter"]
    location: str
    digest: str
    revision: str | None = None
    file: str | None = None
    base: ModelReference | None = None
    source: str = ""
    remark: str = ""

    @property
    def pinned(self) -> bool:
        """Whether the user chose this very content: a local file, or a commit spelt out."""
        if self.kind == "hub":
            return COMMIT.fullmatch(self.reference.rpartition("@")[2].strip()) is not None
        return self.base is None or self.base.pinned

    @property
    def root(self) -> ModelReference:
        """The model below all adapters."""
        return self if self.base is None else self.base.root

    @property
    def adapters(self) -> tuple[ModelReference, ...]:
        """The adapters on the root, the outermost first."""
        return () if self.base is None else (self, *self.base.adapters)


def resolve(reference: str, memo: Path | None = None, *, source: str = "") -> ModelReference:
    """The model that `reference` names: a folder, a .gguf file, or a hub id with `@revision`.

    A folder with an adapter resolves its base model too.  memo: where digests of large files are
    remembered.  source: the setting, for messages.  Raises `ModelError`.
    """
    return _resolve(reference, memo, source, ())


def _resolve(
    reference: str, memo: Path | None, source: str, adapters: tuple[Path, ...]
) -> ModelReference:
    written = reference.strip()
    if not written:
        raise ModelError(
            "no model is given",
            source=source,
            remedy="give a folder, a .gguf file, or a hub id with a revision: org/name@commit",
        )
    try:
        path = Path(written).expanduser()
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, RuntimeError) as error:  # a name too long, a user unknown
        raise ModelError(
            f"can't look for a model at {written!r}: {error}", source=source
        ) from error
    if is_folder and (path / ADAPTER_CONFIG).is_file():
        return _adapter(written, path.resolve(), memo, source, adapters)
    if is_folder:
        return _folder(written, path.resolve(), memo, source)
    if is_file:
        return _gguf(written, _named_file(path), memo, source)
    name = _HUB_NAME.fullmatch(written)
    if name is None or _is_gguf_name(path):
        raise ModelError(
            f"there is no model at {path.absolute()}",
            source=source,
            remedy=similar_path(path)
            or "check the path; relative ones start where pytest was started",
        )
    identity, asked = name["id"], name["revision"] or "main"
    commit, remark = resolve_commit(identity, asked, source=source, suggestion=similar_path(path))
    return ModelReference(
        reference=written,
        kind="hub",
        location=identity,
        revision=commit,
        digest=digest({"hub": identity, "commit": commit}),
        source=source,
        remark=remark,
    )


def same_tokenizer(a: ModelReference, b: ModelReference) -> bool:
    """Whether both models are known to have the same tokenizer.json, byte for byte."""
    if (a.location, a.revision, a.file) == (b.location, b.revision, b.file):
        return True
    files = [_tokenizer_file(reference) for reference in (a, b)]
    try:
        digests = [content_digest(file) for file in files if file is not None]
    except OSError:
        return False
    return len(digests) == len(files) and digests[0] == digests[1]


def _tokenizer_file(of: ModelReference) -> Path | None:
    """The file of a model in a folder, or of the base that an adapter took it from."""
    if of.kind not in ("local", "adapter"):
        return None
    file = Path(of.location) / "tokenizer.json"
    if file.is_file():
        return file
    return None if of.base is None else _tokenizer_file(of.base)


def _folder(written: str, folder: Path, memo: Path | None, source: str) -> ModelReference:
    if not (folder / CONFIG).is_file():
        raise ModelError(
            f"{folder} is no transformers model: it has neither {CONFIG} nor {ADAPTER_CONFIG}; "
            f"it holds {contents(folder)}",
            source=source,
            remedy=better_path(folder),
        )
    config = read_json(folder / CONFIG, source)
    weights = model_weights(folder, config, source)
    check_weights(weights, source)
    files = [
        *weights,
        *companion_files(folder),
        *(custom_code(folder) if "auto_map" in config else ()),
    ]
    return ModelReference(
        reference=written,
        kind="local",
        location=str(folder),
        digest=digest({"folder": _digests(folder, files, memo, source)}),
        source=source,
    )


def _named_file(path: Path) -> Path:
    """Where a file lies.  Stores by content, such as the hub's cache, keep it under a name that
    says nothing, and a link with the right one.
    """
    target = path.resolve()
    return target if _is_gguf_name(target) else path.parent.resolve() / path.name


def _is_gguf_name(path: Path) -> bool:
    return path.suffix.lower() == ".gguf"


def _gguf(written: str, path: Path, memo: Path | None, source: str) -> ModelReference:
    if not _is_gguf_name(path) and not is_gguf(path):
        raise ModelError(
            f"{path} is neither a folder nor a .gguf file",
            source=source,
            remedy=f"give the folder, {path.parent}"
            if (path.parent / CONFIG).is_file()
            else "give the folder that `save_pretrained` wrote",
        )
    check_weights([path], source)
    tokenizer = tokenizer_files(path.parent)
    own = any(file.name == "tokenizer.json" for file in tokenizer)
    found = corrections(path, own_tokenizer=own)
    return ModelReference(
        reference=written,
        kind="gguf",
        location=str(path.parent),
        file=path.name,
        digest=digest(
            {
                "gguf": _digests(path.parent, [path], memo, source)[path.name],
                "tokenizer": _digests(path.parent, tokenizer, memo, source),
                **({"corrections": found.names} if found.names else {}),
            }
        ),
        source=source,
        remark=found.remark,
    )


def _adapter(
    written: str, folder: Path, memo: Path | None, source: str, adapters: tuple[Path, ...]
) -> ModelReference:
    settings = folder / ADAPTER_CONFIG
    origin = f"{_BASE} in {settings}" + (f", {source}" if source else "")
    if folder in adapters:
        chain = " -> ".join(str(step) for step in (*adapters, folder))
        raise ModelError(
            f"adapters whose base is one another: {chain}",
            source=origin,
            remedy="name a model, not an adapter, as the base of one of them",
        )
    config = read_json(settings, source)
    weights = adapter_weights(folder, source)
    check_weights(weights, source)
    base = _base(config, folder, memo, origin, (*adapters, folder))
    own = {key: value for key, value in config.items() if key not in (_BASE, "revision")}
    files = [*weights, *(file for file in companion_files(folder) if file != settings)]
    return ModelReference(
        reference=written,
        kind="adapter",
        location=str(folder),
        base=base,
        digest=digest(
            {
                "adapter": _digests(folder, files, memo, source),
                "settings": own,
                "base": base.digest,
                **_adapter_reading(config, weights),
            }
        ),
        source=source,
        remark=base.remark,
    )


def _adapter_reading(config: dict[str, object], weights: list[Path]) -> dict[str, int]:
    """What enters the digest of an adapter that earlier versions read otherwise: one that reaches
    out of the blocks, where weights can be shared, or one of another class than its base.
    """
    names = [name for path in weights for name in tensor_names(path) or [""]]
    inside = all(any(part.isdigit() for part in name.split(".")) for name in names)
    usual = config.get("task_type") in {None, "CAUSAL_LM", "SEQ_2_SEQ_LM"}
    return {} if inside and usual else {"reading": 2}


def _base(
    config: dict[str, object],
    folder: Path,
    memo: Path | None,
    origin: str,
    adapters: tuple[Path, ...],
) -> ModelReference:
    named = config.get(_BASE)
    if not isinstance(named, str) or not named.strip():
        raise ModelError(
            f"the adapter {folder} doesn't say which model it adapts",
            source=origin,
            remedy=f"set {_BASE} there to a folder or a hub id",
        )
    beside = folder / Path(named).expanduser()
    if beside.exists():
        named = str(beside)
    elif isinstance(revision := config.get("revision"), str) and "@" not in named:
        named = named if Path(named).exists() else f"{named}@{revision}"
    try:
        return _resolve(named, memo, origin, adapters)
    except ModelError as error:
        if error.source != origin:  # an error inside the base, which says so itself
            raise
        raise ModelError(
            f"the base model of the adapter {folder} can't be used: {error.what}",
            source=origin,
            remedy=error.remedy,
        ) from error


def _digests(folder: Path, files: Iterable[Path], memo: Path | None, source: str) -> dict[str, str]:
    try:
        return {
            file.relative_to(folder).as_posix(): file_digest(file, memo)
            for file in sorted(set(files))
        }
    except OSError as error:
        raise ModelError(
            f"can't read {error.filename}: {error.strerror}",
            source=source,
            remedy="check the file and its permissions",
        ) from error
