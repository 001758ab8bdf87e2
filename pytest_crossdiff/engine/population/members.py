"""Adds models to a set of references."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.engine.population.observing import observe_reference
from pytest_crossdiff.engine.population.readings import READING
from pytest_crossdiff.engine.population.reference_sets import ReferenceSet, SetRow, is_set
from pytest_crossdiff.engine.population.sources import members, reading_entry, writing_entry
from pytest_crossdiff.engine.population.writing import WRITTEN
from pytest_crossdiff.store.digest import content_digest

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.progress import Progress


def add_to_set(plan: Plan, model: str, folder: Path, progress: Progress) -> tuple[SetRow, ...]:
    """Put the reading of `model` into the set in `folder`, which need not exist; the rows added.

    Whatever the cache has of the model is used, so an earlier candidate is not read again.
    model: a path, a hub id, or another set.  Raises `ModelError`, `UncomparableError` for a model
    that predicts no next token, and `SettingsError` for a set of other texts.
    """
    found = ReferenceSet.read(folder) if is_set(folder) else ReferenceSet(folder)
    asked = plan._replace(settings=plan.settings.with_values(references=(model,)))
    asked.settings.sources["references"] = "crossdiff references add"
    rows = []
    for member in members(asked):
        observed = observe_reference(asked, member, progress)
        entry, writing = reading_entry(asked, member.key), writing_entry(asked, member.digest)
        sources = [member.file or entry.verified_path(READING)]
        if observed.written is not None:
            sources.append(member.written or writing.verified_path(WRITTEN))
        manifest = None if member.file else entry.read_manifest()
        name, digests = member.key[:16], [content_digest(source) for source in sources]
        row = SetRow(
            name=member.name,
            digest=member.digest,
            key=member.key,
            file=f"{name}.safetensors",
            sha256=digests[0],
            architecture=manifest.meta["architecture"] if manifest else "",
            written=f"{name}.{WRITTEN}" if len(sources) > 1 else "",
            written_sha256=digests[1] if len(sources) > 1 else "",
        )
        found = found.with_reading(row, *sources)
        rows.append(row)
    return tuple(rows)
