"""The readings of a planned pair and of its references, and the verdict over them."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING

from pytest_crossdiff.engine.metrics.final_states import FinalStates
from pytest_crossdiff.engine.metrics.heads import UncomparableError
from pytest_crossdiff.engine.metrics.measure import chosen_pieces
from pytest_crossdiff.engine.models.devices import choose_device, crosscoder_device
from pytest_crossdiff.engine.models.loaded import load
from pytest_crossdiff.engine.plan import reading_key
from pytest_crossdiff.engine.population.compare import Candidates, HeldOutTexts, compare
from pytest_crossdiff.engine.population.readings import Reading, from_states, read_model
from pytest_crossdiff.engine.population.reference_sets import verified
from pytest_crossdiff.engine.population.sources import (
    POPULATION,
    Member,
    population_key,
    reading_entry,
)
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.store.artefact import read_or_build
from pytest_crossdiff.store.manifest import DamagedEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.sides import Side
    from pytest_crossdiff.store.cache import Entry


def measure(plan: Plan, references: Sequence[Member], progress: Progress) -> None:
    """Fill the entry of the plan's population, which is locked and open.

    Raises `ModelError` and `ActivationError` where a model can't be read, and `InsufficientData`
    where the models can't be judged.
    """
    began = time.perf_counter()
    pair = {side: _of_side(plan, side, progress) for side in SIDES}
    found = compare(
        pair, _references(plan, references, progress), held_out_texts(plan), plan.settings.fdr
    )
    entry = plan.store.entry("population", population_key(plan, tuple(references)))
    entry.write(POPULATION, json.dumps(dataclasses.asdict(found), allow_nan=False).encode())
    keys = [member.key for member in references]
    entry.complete({"readings": keys, "seconds": time.perf_counter() - began})


def held_out_texts(plan: Plan) -> HeldOutTexts:
    """The pieces that are read, as the verdict sees them."""
    pieces, groups = chosen_pieces(plan), plan.piece_groups()
    return HeldOutTexts(
        {number: piece.shared_text for number, piece in pieces.items()},
        {number: groups[number] for number in pieces},
        {number: plan.corpus.documents[piece.document].part for number, piece in pieces.items()},
    )


def read_reference(plan: Plan, member: Member, progress: Progress) -> Reading:
    """The reading of one reference: from the set, from the cache, or by reading the model now.

    Raises `UncomparableError` for a model that predicts no next token.
    """
    if member.file is not None:
        return Reading.from_file(verified(member.file, member.sha256))

    def build(entry: Entry) -> None:
        if member.reference is None:
            raise ModelError(
                f"the reading of {member.name} is damaged, and its weights are gone",
                source="crossdiff_references",
                remedy="remove the reference, or bring its weights back",
            )
        _read(plan, member.reference, entry, f"reference {member.name}", progress)

    return read_or_build(reading_entry(plan, member.key), build, Reading.load, progress.note)


def _references(plan: Plan, references: Sequence[Member], progress: Progress) -> Candidates:
    own = {plan.references[side].digest: f"it is the {side} itself" for side in SIDES}
    readings: dict[str, Reading] = {}
    left_out: dict[str, str] = {}
    first: dict[str, str] = {}
    for member in references:
        if member.digest in own or member.digest in first or member.name in readings:
            twin = first.get(member.digest, member.name)
            left_out[member.name] = own.get(member.digest, f"it is the same model as {twin}")
            continue
        first[member.digest] = member.name
        try:
            readings[member.name] = read_reference(plan, member, progress)
        except UncomparableError as error:
            left_out[member.name] = error.what
    return Candidates(readings, left_out)


def _of_side(plan: Plan, side: Side, progress: Progress) -> Reading:
    """The reading of a model of the pair: from its final states where they are in the cache."""
    of = plan.references[side]

    def build(entry: Entry) -> None:
        states = plan.store.entry("states", plan.state_keys[side])
        try:
            known = FinalStates.load(states) if states.read_manifest() is not None else None
        except DamagedEntry:
            known = None
        if known is None:
            _read(plan, of, entry, side, progress)
            return
        device = crosscoder_device(choose_device(plan.settings.device))
        _keep(entry, from_states(known, device, side, progress), of, plan)

    key = reading_key(plan.settings, plan.sample, of.digest)
    return read_or_build(reading_entry(plan, key), build, Reading.load, progress.note)


def _read(plan: Plan, of: ModelReference, entry: Entry, label: str, progress: Progress) -> None:
    progress.note(f"loading the {label}")
    settings = plan.settings
    model = load(
        of,
        layer=1.0,
        dtype=settings.dtype,
        device=settings.device,
        trust_remote_code=settings.trust_remote_code,
        source=of.source,
    )
    try:
        found = read_model(
            model,
            chosen_pieces(plan),
            chat_template=settings.chat_template,
            label=label,
            progress=progress,
        )
        with entry.checked_by(of.must_be_unchanged):
            _keep(entry, found, of, plan, model.architecture)
    finally:
        model.unload()


def _keep(
    entry: Entry, found: Reading, of: ModelReference, plan: Plan, architecture: str = ""
) -> None:
    found.save(entry)
    entry.complete(
        {
            "model": of.reference,
            "digest": of.digest,
            "texts": plan.sample.digest,
            "architecture": architecture,
            "tokens": len(found.logp_n),
        }
    )
