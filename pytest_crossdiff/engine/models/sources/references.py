"""From what the user wrote to exactly one model: where it lies and the digest of what matters.

Nothing is loaded here and nothing heavy imported, so that a cached result is found in milliseconds.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pytest_crossdiff.engine.models.loading.gguf.header import is_gguf
from pytest_crossdiff.engine.models.loading.gguf.reading import corrections
from pytest_crossdiff.engine.models.sources.digested import DigestedFiles, must_be_unchanged
from pytest_crossdiff.engine.models.sources.files import (
    ADAPTER_CONFIG,
    CONFIG,
    adapter_files,
    adapter_weights,
    check_weights,
    folder_files,
    gguf_files,
    is_regular,
    model_weights,
    read_json,
    tensor_names,
)
from pytest_crossdiff.engine.models.sources.hub import COMMIT, resolve_commit
from pytest_crossdiff.engine.models.suggestions import better_path, contents, similar_path
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.store.digest import content_digest, digest

if TYPE_CHECKING:
    from pytest_crossdiff.engine.models.sources.digested import DigestedFile
    from pytest_crossdiff.store.cache import Store

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
    remark: what the person at the terminal should know, or "".  files: those that the digest was
    taken of, with those of the base; none of a hub model, which its commit names.  archived: its
    weights are not here; `location` has its configuration and tokenizer (see `archived.py`).
    store: the cache, where what is made of a GGUF file is kept; None: nothing is kept.
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
    files: dict[Path, DigestedFile] = field(default_factory=dict, compare=False, repr=False)
    archived: bool = False
    store: Store | None = field(default=None, compare=False, repr=False)

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

    def must_be_unchanged(self, *, none_new: bool = False) -> None:
        """Raise `ModelError` where a file is no longer what the digest was taken of.

        none_new: also where there is a file more.
        """
        listed = _listed(self) if none_new and not self.archived else ()
        must_be_unchanged(self.files, self.reference, self.source, listed)


def resolve(reference: str, store: Store | None = None, *, source: str = "") -> ModelReference:
    """The model that `reference` names: a folder, a .gguf file, or a hub id with `@revision`.

    A folder with an adapter resolves its base model too.  store: the cache, where digests of
    large files are remembered.  source: the setting, for messages.  Raises `ModelError`.
    """
    digests = DigestedFiles(None if store is None else store.memo)
    found = _resolve(reference, digests, source, ())
    return _with_store(dataclasses.replace(found, files=digests.files), store)


def _with_store(of: ModelReference, store: Store | None) -> ModelReference:
    base = None if of.base is None else _with_store(of.base, store)
    return dataclasses.replace(of, base=base, store=store)


def _resolve(
    reference: str, digests: DigestedFiles, source: str, adapters: tuple[Path, ...]
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
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, a user unknown
        raise ModelError(
            f"can't look for a model at {written!r}: {error}", source=source
        ) from error
    if is_folder and is_regular(path / ADAPTER_CONFIG, source):
        return _adapter(written, path.resolve(), digests, source, adapters)
    if is_folder:
        return _folder(written, path.resolve(), digests, source)
    if is_file:
        return _gguf(written, _named_file(path), digests, source)
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


def _listed(of: ModelReference) -> list[Path]:
    """The files that a digest of the model would be taken of now.  Raises `ModelError`."""
    below = [] if of.base is None else _listed(of.base)
    folder = Path(of.location)
    if of.kind == "adapter":
        return [*adapter_files(folder, of.source), *below]
    if of.kind == "gguf":
        return [*gguf_files(folder / str(of.file), of.source), *below]
    return folder_files(folder, of.source) if of.kind == "local" else below


def _folder(written: str, folder: Path, digests: DigestedFiles, source: str) -> ModelReference:
    if not is_regular(folder / CONFIG, source):
        raise ModelError(
            f"{folder} is no transformers model: it has neither {CONFIG} nor {ADAPTER_CONFIG}; "
            f"it holds {contents(folder)}",
            source=source,
            remedy=better_path(folder),
        )
    files = folder_files(folder, source)
    check_weights(model_weights(folder, read_json(folder / CONFIG, source), source), source)
    return ModelReference(
        reference=written,
        kind="local",
        location=str(folder),
        digest=digest({"folder": digests.take_all(folder, files, source)}),
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


def _gguf(written: str, path: Path, digests: DigestedFiles, source: str) -> ModelReference:
    if not _is_gguf_name(path) and not is_gguf(path):
        raise ModelError(
            f"{path} is neither a folder nor a .gguf file",
            source=source,
            remedy=f"give the folder, {path.parent}"
            if (path.parent / CONFIG).is_file()
            else "give the folder that `save_pretrained` wrote",
        )
    check_weights([path], source)
    _, *tokenizer = gguf_files(path, source)
    own = any(file.name == "tokenizer.json" for file in tokenizer)
    found = corrections(path, own_tokenizer=own)
    return ModelReference(
        reference=written,
        kind="gguf",
        location=str(path.parent),
        file=path.name,
        digest=digest(
            {
                "gguf": digests.take_all(path.parent, [path], source)[path.name],
                "tokenizer": digests.take_all(path.parent, tokenizer, source),
                **({"corrections": found.names} if found.names else {}),
            }
        ),
        source=source,
        remark=found.remark,
    )


def _adapter(
    written: str, folder: Path, digests: DigestedFiles, source: str, adapters: tuple[Path, ...]
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
    base = _base(config, folder, digests, origin, (*adapters, folder))
    own = {key: value for key, value in config.items() if key not in (_BASE, "revision")}
    found = digests.take_all(folder, adapter_files(folder, source), source)
    del found[ADAPTER_CONFIG]  # its content is in the digest, less where the base lies
    return ModelReference(
        reference=written,
        kind="adapter",
        location=str(folder),
        base=base,
        digest=digest(
            {
                "adapter": found,
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
    digests: DigestedFiles,
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
    try:
        beside = folder / Path(named).expanduser()
        is_there = beside.exists()
    except (OSError, RuntimeError, ValueError):  # no path, or nobody's home
        is_there = False
    if is_there:
        named = str(beside)
    elif isinstance(revision := config.get("revision"), str) and "@" not in named:
        named = named if Path(named).exists() else f"{named}@{revision}"
    try:
        return _resolve(named, digests, origin, adapters)
    except ModelError as error:
        if error.source != origin:  # an error inside the base, which says so itself
            raise
        raise ModelError(
            f"the base model of the adapter {folder} can't be used: {error.what}",
            source=origin,
            remedy=error.remedy,
        ) from error
