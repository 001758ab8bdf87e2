"""The configured references: models, and folders of readings without weights.

Imported at every cached run with references, so it imports neither torch nor numpy.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.engine.models.sources.archived import has_weights
from pytest_crossdiff.engine.models.sources.references import resolve
from pytest_crossdiff.engine.plan import POPULATION_VERSION, reading_key, writing_key
from pytest_crossdiff.engine.population.reference_sets import ReferenceSet, is_set
from pytest_crossdiff.errors import ModelError, SettingsError
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.store.digest import Json, digest
from pytest_crossdiff.store.manifest import DamagedEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.store.cache import Entry

READING_KIND, WRITING_KIND = "reading", "writing"
POPULATION = "population.json"
"""What a stored population is called in its entry of the cache."""
WHY_NONE = "why_none"
"""In that entry's metadata: why a pair could not be judged by its references."""


class Member(NamedTuple):
    """One configured reference.

    name: as written, or as it is called in its set.  digest: of the model.  key: of its reading.
    reference: None where there are no weights.  file, sha256: its reading in a set, else None.
    written, written_sha256: the same for what it writes.
    """

    name: str
    digest: str
    key: str
    reference: ModelReference | None = None
    file: Path | None = None
    sha256: str = ""
    written: Path | None = None
    written_sha256: str = ""


def members(plan: Plan) -> tuple[Member, ...]:
    """The references of a run, in the order in which they are written.

    Raises `ModelError` where one is neither a model, nor a set, nor read before, and
    `SettingsError` for a set that was read on other texts.
    """
    return tuple(
        member for written in plan.settings.references for member in _of_setting(plan, written)
    )


def population_key(plan: Plan, found: tuple[Member, ...]) -> str:
    """The key of the verdict over these references."""
    pair = [plan.references[side] for side in SIDES]
    keys = [reading_key(plan.settings, plan.sample, of.digest) for of in pair]
    facts: dict[str, Json] = {
        "version": POPULATION_VERSION,
        "pair": keys,
        "references": [[member.name, member.key] for member in found],
        "fdr": plan.settings.fdr,
    }
    if plan.settings.reference_writing:
        facts["writing"] = [
            *(_writing(plan, of.digest, gone=of.archived) for of in pair),
            *(
                of.written_sha256 if of.file else _writing(plan, of.digest, gone=not of.reference)
                for of in found
            ),
        ]
    return digest(facts)


def _writing(plan: Plan, model: str, *, gone: bool) -> str:
    """Which record of a model's writing a verdict can use, "" where there is none."""
    if not gone:
        return "own"
    try:
        return "own" if writing_entry(plan, model).read_manifest() is not None else ""
    except DamagedEntry:
        return ""


def reading_entry(plan: Plan, key: str) -> Entry:
    """Where a reading is kept."""
    return plan.store.entry(READING_KIND, key)


def writing_entry(plan: Plan, model: str) -> Entry:
    """Where it is kept what a model, given by its digest, writes."""
    return plan.store.entry(WRITING_KIND, writing_key(plan.settings, plan.sample, model))


def _of_setting(plan: Plan, written: str) -> Iterator[Member]:
    source = f"{plan.settings.sources.get('references', 'crossdiff_references')}"
    if is_set(Path(written)):
        folder = Path(written)
        for row in ReferenceSet.read(folder).rows:
            key = reading_key(plan.settings, plan.sample, row.digest)
            if key != row.key:
                raise SettingsError(
                    f"the reference {row.name} of the set {written} was read on other texts, or "
                    "with other settings of the texts",
                    source=source,
                    remedy="use the corpus and the settings that the set was made with, or add "
                    "its models again with `crossdiff references add`",
                )
            yield Member(
                row.name,
                row.digest,
                key,
                file=folder / row.file,
                sha256=row.sha256,
                written=folder / row.written if row.written else None,
                written_sha256=row.written_sha256,
            )
        return
    try:
        found = resolve(written, plan.store, source=source)
    except ModelError:
        known = None if has_weights(written) else _read_before(plan, written)
        if known is None:
            raise
        yield known
        return
    yield Member(
        written, found.digest, reading_key(plan.settings, plan.sample, found.digest), found
    )


def _read_before(plan: Plan, written: str) -> Member | None:
    """A reference whose weights are gone, but whose reading of these texts is in the cache."""
    for info in plan.store.list():
        if info.kind != READING_KIND or not info.complete:
            continue
        manifest = plan.store.entry(info.kind, info.key).read_manifest()
        if manifest is None or manifest.meta.get("model") != written:
            continue
        model = str(manifest.meta.get("digest"))
        if reading_key(plan.settings, plan.sample, model) == info.key:
            return Member(written, model, info.key)
    return None
