"""A model whose weights are gone: what an archive in the cache keeps of it.

An archive is an entry of the cache with the model's configuration and tokenizer.  Beside it lie
what the model was read as: activations, predictions, replies.  Nothing heavy is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_crossdiff.engine.models.sources.references import ModelReference, resolve
from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_crossdiff.store.cache import Entry, Store

ARCHIVE = "archive"
"""The kind of its entry."""
PREFIX = "archive:"
"""Before the first letters of a digest, as a reference to an archived model."""
_WEIGHTS = (".safetensors", ".bin", ".gguf")


def resolve_or_archived(
    reference: str, store: Store, *, source: str = "", by_name: bool = True
) -> ModelReference:
    """The model that `reference` names, or where it isn't there what the cache has archived of it.

    A model that is there and can't be read is not answered for by an archive, which may be of an
    earlier one.  by_name: False for a candidate, which would be compared as the baseline where its
    folder has the same name.  Raises `ModelError` as `references.resolve` does.
    """
    if reference.startswith(PREFIX):
        found = _archived(reference, store, source)
        if found is None:
            raise ModelError(
                f"the cache has no archive {reference.removeprefix(PREFIX)!r}",
                source=source,
                remedy=f"import it: crossdiff baseline import FILE; the cache is {store.root}",
            )
        return found
    try:
        return resolve(reference, store, source=source)
    except ModelError:
        answered = by_name and not has_weights(reference)
        found = _archived(reference, store, source) if answered else None
        if found is None:
            raise
        return found


def has_weights(reference: str) -> bool:
    """Whether there is a file of weights at this path, whatever is in it."""
    try:
        path = Path(reference.strip()).expanduser()
        return path.is_file() or any(file.suffix in _WEIGHTS for file in path.iterdir())
    except (OSError, RuntimeError, ValueError):  # no folder, nobody's home, no name
        return False


def archived_facts(reference: ModelReference, store: Store) -> list[Mapping[str, Any]]:
    """What each archive of the model says of how it was read."""
    return [meta["facts"] for _, meta in _archives(store) if meta["digest"] == reference.digest]


def _archived(reference: str, store: Store, source: str) -> ModelReference | None:
    """The archived model of this name; of several the one that was archived last."""
    for entry, meta in _archives(store):
        if _is_named(reference, meta):
            for name in meta["files"]:
                entry.verified_path(name)
            return ModelReference(
                reference=meta["reference"],
                kind="local",
                location=str(entry.path),
                digest=meta["digest"],
                source=source,
                remark=f"{meta['reference']}: its weights are not read; what an archive keeps of "
                "it is used",
                archived=True,
            )
    return None


def _is_named(reference: str, meta: Mapping[str, Any]) -> bool:
    """Whether a reference means the archived model: by its digest, as it was written, or by a path
    that ends with its path in its project.
    """
    if reference.startswith(PREFIX):
        digest = reference.removeprefix(PREFIX)
        return bool(digest) and str(meta["digest"]).startswith(digest)
    ends = f"/{reference}".endswith(f"/{meta['name']}")
    return bool(reference == meta["reference"] or ends)


def _archives(store: Store) -> Iterator[tuple[Entry, Mapping[str, Any]]]:
    infos = [info for info in store.list() if info.kind == ARCHIVE and info.complete]
    for info in sorted(infos, key=lambda info: -info.mtime):
        entry = store.entry(info.kind, info.key)
        manifest = entry.read_manifest()
        if manifest is not None:
            yield entry, manifest.meta
