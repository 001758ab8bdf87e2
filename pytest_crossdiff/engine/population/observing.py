"""What one model of a run gives to the held-out texts and writes after their first words: from the
cache, from a set of references, or from the model, which is loaded once for both.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pytest_crossdiff.engine.metrics.final_states import FinalStates
from pytest_crossdiff.engine.metrics.measure import chosen_pieces
from pytest_crossdiff.engine.models.devices import choose_device, crosscoder_device
from pytest_crossdiff.engine.models.loaded import load
from pytest_crossdiff.engine.plan import reading_key
from pytest_crossdiff.engine.population.readings import Observed, Reading, from_states, read_model
from pytest_crossdiff.engine.population.reference_sets import verified
from pytest_crossdiff.engine.population.sources import reading_entry, writing_entry
from pytest_crossdiff.engine.population.writing import Written, beginnings, save_written, write
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.store.artefact import is_whole, read_or_build
from pytest_crossdiff.store.manifest import DamagedEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.engine.population.sources import Member
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.sides import Side
    from pytest_crossdiff.store.cache import Entry


def observe_reference(plan: Plan, member: Member, progress: Progress) -> Observed:
    """One reference.  What it writes is None where its set does not hold it, and where its weights
    are gone and the cache does not hold it.

    Raises `UncomparableError` for a model that predicts no next token, `ModelError` and
    `StoreError` for one that can't be read.
    """
    if member.file is not None:
        reading = Reading.from_file(verified(member.file, member.sha256))
        if member.written is None or not plan.settings.reference_writing:
            return Observed(reading)
        return Observed(reading, Written.from_file(verified(member.written, member.written_sha256)))
    of = _Model(plan, member.reference, f"reference {member.name}", progress)
    with contextlib.closing(of) as model:
        return Observed(model.reading(member.key), model.written(member.digest))


def observe_side(plan: Plan, side: Side, progress: Progress) -> Observed:
    """A model of the pair.  Its reading comes from its final states where the cache has them."""
    of = plan.references[side]
    key = reading_key(plan.settings, plan.sample, of.digest)
    with contextlib.closing(_Model(plan, of, side, progress)) as model:
        return Observed(model.reading(key, lambda: _states(plan, side)), model.written(of.digest))


def _states(plan: Plan, side: Side) -> FinalStates | None:
    entry = plan.store.entry("states", plan.state_keys[side])
    try:
        return FinalStates.load(entry) if entry.read_manifest() is not None else None
    except DamagedEntry:
        return None


class _Model:
    """A model of a run, which is loaded where the cache does not answer, and then once.

    of: None, or archived, where its weights are gone.
    """

    def __init__(
        self, plan: Plan, of: ModelReference | None, label: str, progress: Progress
    ) -> None:
        self.plan, self.of, self.label, self.progress = plan, of, label, progress
        self._weights: LoadedModel | None = None

    def close(self) -> None:
        if self._weights is not None:
            self._weights.unload()

    def reading(self, key: str, states: Callable[[], FinalStates | None] = lambda: None) -> Reading:
        """What it gives to the tokens of the texts.  states: from which that follows, if known."""
        plan, progress = self.plan, self.progress

        def build(entry: Entry) -> None:
            known = states()
            if known is not None:
                device = crosscoder_device(choose_device(plan.settings.device))
                from_states(known, device, self.label, progress).save(entry)
                entry.complete(self._facts())
                return
            with self._loaded(entry) as model:
                found = read_model(
                    model,
                    chosen_pieces(plan),
                    chat_template=plan.settings.chat_template,
                    label=self.label,
                    progress=progress,
                )
                found.save(entry)

        return read_or_build(reading_entry(plan, key), build, Reading.load, progress.note)

    def written(self, digest: str) -> Written | None:
        """What it writes; None where that is not asked for, or can't be had any more."""
        plan, progress = self.plan, self.progress
        if not plan.settings.reference_writing:
            return None
        entry = writing_entry(plan, digest)
        if self.of is None or self.of.archived:
            with entry.lock(progress.note):
                if not is_whole(entry):
                    return None

        def build(entry: Entry) -> None:
            with self._loaded(entry) as model:
                found = write(
                    model,
                    beginnings(chosen_pieces(plan).values()),
                    chat_template=plan.settings.chat_template,
                    label=self.label,
                    progress=progress,
                )
                save_written(found, entry)

        return read_or_build(entry, build, Written.load, progress.note)

    @contextlib.contextmanager
    def _loaded(self, entry: Entry) -> Iterator[LoadedModel]:
        """The model; the entry is completed when it is still the same afterwards."""
        settings = self.plan.settings
        if self.of is None:
            raise ModelError(
                f"what the cache has of the {self.label} is damaged, and its weights are gone",
                source="crossdiff_references",
                remedy="remove the reference, or bring its weights back",
            )
        if self._weights is None:
            self.progress.detail(f"loading the {self.label}")
            self._weights = load(
                self.of,
                layer=1.0,
                dtype=settings.dtype,
                device=settings.device,
                trust_remote_code=settings.trust_remote_code,
                source=self.of.source,
            )
        with entry.checked_by(self.of.must_be_unchanged):
            yield self._weights
            entry.complete(self._facts(self._weights.architecture))

    def _facts(self, architecture: str = "") -> dict[str, str]:
        of = self.of
        return {
            "model": of.reference if of else "",
            "digest": of.digest if of else "",
            "texts": self.plan.sample.digest,
            "architecture": architecture,
        }
