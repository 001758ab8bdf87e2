"""What the next candidate is judged by when the baseline's weights are gone, in one file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import transformers

from pytest_crossdiff.engine.models.loading.load import load_tokenizer, silence_transformers
from pytest_crossdiff.engine.models.sources.archived import ARCHIVE, PREFIX
from pytest_crossdiff.engine.models.sources.files import companion_files
from pytest_crossdiff.engine.plan import plan
from pytest_crossdiff.engine.population.sources import writing_entry
from pytest_crossdiff.errors import InsufficientData, StoreError
from pytest_crossdiff.store.digest import digest
from pytest_crossdiff.store.transfer import pack, read_facts, unpack
from pytest_crossdiff.version import VERSION

if TYPE_CHECKING:
    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side
    from pytest_crossdiff.store.cache import Entry, Store

PURPOSE = "crossdiff-baseline"
SIDE: Side = "baseline"


class Exported(NamedTuple):
    """reference, digest: of the model.  kinds: of what was packed.  size: of the file, in bytes.
    missing: what a later comparison will lack, in words.
    """

    reference: str
    digest: str
    kinds: tuple[str, ...]
    size: int
    missing: tuple[str, ...]


class Imported(NamedTuple):
    """reference, digest: of the model.  added: entries that the cache did not have."""

    reference: str
    digest: str
    added: int


def export_baseline(settings: Settings, file: Path, root: Path | None = None) -> Exported:
    """Pack what the cache has of the baseline for the settings' corpus and layers.

    root: of the project; a model inside is found by its path from there, wherever the project is.
    Raises `InsufficientData` where the baseline was not read yet, and `StoreError`.
    """
    plans = [_plan_of_baseline(at_layer) for at_layer in settings.by_layer().values()]
    first = plans[0]
    store, reference = first.store, first.references[SIDE]
    needed = [
        store.entry("harvest", key)
        for planned in plans
        for key in (planned.harvest_keys[SIDE], *planned.probe_keys[SIDE])
    ]
    needed.append(store.entry("weights", first.weights_keys[SIDE]))
    if any(entry.read_manifest() is None for entry in needed):
        raise InsufficientData(
            "the cache does not have the baseline's activations for these texts and layers",
            source=f"cache {store.root}",
            remedy="measure once, with any candidate: crossdiff train",
        )
    further = {
        "predictions (no output metrics)": store.entry("states", first.state_keys[SIDE]),
        "replies": store.entry("replies", first.reply_keys[SIDE]),
    }
    if settings.references and settings.reference_writing:
        writing = writing_entry(first, reference.digest)
        further["words that it writes (references judge the texts alone)"] = writing
    present = [entry for entry in further.values() if entry.read_manifest() is not None]
    missing = tuple(what for what, entry in further.items() if entry not in present)
    archived = _archive_entry(plans, store, reference, _name(reference, root))
    entries = list({entry.name: entry for entry in (archived, *needed, *present)}.values())
    manifest = archived.read_manifest()
    assert manifest is not None, "it is complete"
    facts = {"reference": reference.reference, "digest": reference.digest, "version": VERSION}
    size = pack(file, entries, PURPOSE, facts)
    kinds = tuple(dict.fromkeys(entry.name.partition("/")[0] for entry in entries))
    return Exported(reference.reference, reference.digest, kinds, size, missing)


def import_baseline(file: Path, store: Store) -> Imported:
    """Add what `export_baseline` packed to the cache.  Raises `StoreError` for a damaged file."""
    facts = read_facts(file, PURPOSE)
    reference, model_digest = facts.get("reference"), facts.get("digest")
    if not (isinstance(reference, str) and isinstance(model_digest, str)):
        raise StoreError(f"{file} does not say of which model it is", remedy="export it again")
    return Imported(reference, model_digest, unpack(file, PURPOSE, store))


def refuse_unfit(settings: Settings, model_digest: str) -> None:
    """Raise `CorpusError` where the archive of the model is of other texts or settings."""
    for at_layer in settings.by_layer().values():
        _plan_of_baseline(at_layer.with_values(baseline=PREFIX + model_digest))


def _plan_of_baseline(settings: Settings) -> Plan:
    """The plan, in which nothing of the baseline depends on the candidate."""
    return plan(settings.with_values(candidate=settings.baseline, candidate_layer=None))


def _name(reference: ModelReference, root: Path | None) -> str:
    path = Path(reference.reference)
    inside = root is not None and path.is_absolute() and path.is_relative_to(root)
    return path.relative_to(root).as_posix() if inside and root else reference.reference


def _archive_entry(plans: list[Plan], store: Store, reference: ModelReference, name: str) -> Entry:
    """The entry with the model's configuration and tokenizer, made now where it is missing."""
    facts = [planned.archive_facts(SIDE) for planned in plans]
    entry = store.entry(ARCHIVE, digest({"model": reference.digest, "name": name, "facts": facts}))
    with entry.lock():
        if entry.read_manifest() is None:
            files = _model_files(reference)
            for part, data in files.items():
                entry.write(part, data)
            merged: dict[str, Any] = {
                what: sorted({str(of[what]) for of in facts}) for what in facts[0]
            }
            entry.complete(
                {
                    "reference": reference.reference,
                    "name": name,
                    "digest": reference.digest,
                    "files": sorted(files),
                    "facts": {**merged, "version": [VERSION]},
                }
            )
    return entry


def _model_files(reference: ModelReference) -> dict[str, bytes]:
    """Configuration, tokenizer and chat template by file name; of a folder as they are."""
    if reference.kind == "local":
        folder = Path(reference.location)
        return {
            path.name: path.read_bytes()
            for path in companion_files(folder)
            if path.parent == folder and path.name not in ("manifest.json", "parts.json")
        }
    root = reference.root
    options = {"revision": root.revision, "gguf_file": root.file}
    given = {name: value for name, value in options.items() if value is not None}
    with tempfile.TemporaryDirectory() as temporary, silence_transformers():
        load_tokenizer(reference, trust_remote_code=False, source="").save_pretrained(temporary)
        transformers.AutoConfig.from_pretrained(root.location, **given).save_pretrained(temporary)
        return {
            path.name: path.read_bytes() for path in Path(temporary).iterdir() if path.is_file()
        }
