"""Both controls of a run: dictionaries on two other pairs (METHOD 5), without shared features where
the exclusive ones read and reconstruct what no shared one does.

The null pair is the baseline twice, so whatever is found there is false. The spiked pair is the
run's own with signals planted into either model, and what is found of them says how weak a
difference it would have seen. The signals are kept out of the run itself: between two versions of
one model they are more than what differs, and the exclusive features would stand for little else.

Axes: s signals of a side, p tested features.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_crossdiff.engine.controls.null import null_pairs
from pytest_crossdiff.engine.controls.planted_signals import (
    SIGNAL_LEVELS,
    PlantedSignals,
    match_signals,
    plant_signals,
)
from pytest_crossdiff.engine.dictionary.crosscoders import new_trainers
from pytest_crossdiff.engine.dictionary.sizing import (
    choose_crosscoder_config,
    choose_training_config,
)
from pytest_crossdiff.engine.dictionary.trained import CHECKPOINT
from pytest_crossdiff.engine.dictionary.training import train
from pytest_crossdiff.engine.phases import (
    CONTROL_TRAIN,
    CONTROL_VERIFY,
    NULL_CONTROL,
    PLANTED_SIGNALS,
    at_layer,
)
from pytest_crossdiff.engine.verification.grouping import groups
from pytest_crossdiff.engine.verification.signal_strength import FeatureSet, strengths
from pytest_crossdiff.engine.verification.verify import verify
from pytest_crossdiff.results.controls import Controls, NullControl, PlantedSignal
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.store.artefact import read_or_build

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.engine.verification.verify import Verification
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.store.cache import Entry

Metadata: TypeAlias = "dict[str, Any]"
CONTROLS = SPIKED, NULL = "spiked", "null"
"""The kinds of their entries in the cache."""
LABELS = {SPIKED: PLANTED_SIGNALS, NULL: NULL_CONTROL}
"""What a control is called on the progress display."""


def as_controls(found: Mapping[str, Metadata]) -> Controls:
    """Both controls, of what describes each."""
    return Controls(
        tuple(PlantedSignal(**signal) for signal in found[SPIKED]["found"]),
        NullControl(**found[NULL]),
    )


def control(
    kind: str,
    plan: Plan,
    pairs: Pairs,
    device: torch.device,
    progress: Progress,
    maps_from: Crosscoder | None = None,
) -> Metadata:
    """What describes a control, from the cache or made here.

    maps_from: a dictionary of the run, where there is one already; it saves fitting its maps again.
    """
    spiked = plant_signals(pairs) if kind == SPIKED else None
    build = functools.partial(
        _train_and_verify,
        plan=plan,
        pairs=spiked or null_pairs(pairs),
        config=control_config(plan, pairs),
        maps_from=maps_from,
        device=device,
        progress=progress,
        kind=kind,
        summarise=functools.partial(recovered_signals, pairs=spiked)
        if spiked
        else functools.partial(differences, least=plan.settings.least_strength),
    )
    entry = plan.store.entry(kind, plan.control_keys[kind])
    return read_or_build(entry, build, _meta, progress.note)


def _train_and_verify(
    entry: Entry,
    *,
    plan: Plan,
    pairs: Pairs,
    config: CrosscoderConfig,
    maps_from: Crosscoder | None,
    device: torch.device,
    progress: Progress,
    kind: str,
    summarise: Callable[[Verification], Any],
) -> None:
    """Fill `entry` with what `summarise` makes of a smaller dictionary of `pairs`."""
    settings, count = plan.settings, len(pairs.training())
    width_a, width_b = pairs.a.harvest.width, pairs.b.harvest.width
    config = dataclasses.replace(config, width_a=width_a, width_b=width_b)
    training_config = choose_training_config(settings, count)
    known = maps_from if kind == SPIKED else None  # the pairs are the run's own, and so the maps
    curved = settings.maps == "curved"
    configs = {settings.seed: config}
    (trainer,) = new_trainers(configs, training_config, pairs, device, known, curved=curved)
    label = at_layer(LABELS[kind], settings)
    train([trainer], pairs, [entry], device, progress, label + CONTROL_TRAIN)
    with progress.phase(label + CONTROL_VERIFY, len(pairs.group_n), "token") as bar:
        (found,) = verify([trainer.model], [settings.seed], pairs, settings, device, bar)
    facts = {"features": config.features, "steps": training_config.steps, "found": summarise(found)}
    entry.complete(facts, without=(CHECKPOINT,))


def differences(found: Verification, least: float) -> int:
    """How many of at least that strength there are."""
    return sum(len(groups([found], side, least)) for side in SIDES)


def recovered_signals(found: Verification, pairs: Pairs) -> list[Metadata]:
    """What became of each signal planted into `pairs`, as fields of `PlantedSignal`."""
    assert isinstance(pairs.planted_signals, PlantedSignals)
    signals = []
    for side in SIDES:
        verified = found.positions(side)
        planted_ns = pairs.planted_signals.activations(side, pairs.heldout()).numpy()
        realised_s = pairs.planted_signals.summed_squares(
            side, planted_ns
        ) / found.held.ablation.variance(side)
        signal_p = match_signals(planted_ns, found.held.f_np[:, verified])
        of_s = [
            [p for p, s in zip(verified, signal_p, strict=True) if s == n]
            for n in range(len(SIGNAL_LEVELS))
        ]
        measured_s = strengths([FeatureSet(found.held, of) for of in of_s], side)
        for level, realised, measured in zip(
            SIGNAL_LEVELS, realised_s.tolist(), measured_s, strict=True
        ):
            stands = {"realised": realised, "measured": measured}
            signals.append({"side": side, **level._asdict(), **stands})
    return signals


def _meta(entry: Entry) -> Metadata:
    manifest = entry.read_manifest()
    assert manifest is not None, "read when it is complete"
    return manifest.meta


def control_config(plan: Plan, pairs: Pairs) -> CrosscoderConfig:
    """The dictionary of a run's controls: its own, without shared features."""
    widths = pairs.a.harvest.width, pairs.b.harvest.width
    return choose_crosscoder_config(plan.settings, len(pairs.training()), *widths).exclusive_only()
