"""A verdict over reference models: what it says, with its assumption, and what it requires."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_crossdiff.results.population import (
    JudgedModel,
    Population,
    PopulationFeature,
    ReferenceModel,
)
from pytest_crossdiff.sides import SIDES, Side
from pytest_crossdiff.text import number, percent, plural

if TYPE_CHECKING:
    from pytest_crossdiff.results.result import Result

PopulationStatus = Literal["within", "exceeded", "undecided", "unmeasured"]
NAMED = 3
"""Features that a sentence names."""
MORE_REFERENCES = (
    "more reference models (crossdiff_references), accepted for the same job: whether some of them "
    "have the named features too"
)

OTHER_TOKENIZERS = (
    "no reference has the {side}'s tokenizer, and such references are no yardstick: where at most "
    "11 % of models with nothing planted may be flagged, they flag 44 %; name one with its "
    "tokenizer in crossdiff_references"
)
"""Measured: docs/how-to/another-model-family.md."""

MADE_FROM_IT = (
    "; references that were made from the baseline differ from it together: if these were, judge "
    "the candidate alone (crossdiff_references_judge = candidate)"
)


@dataclass(frozen=True)
class PopulationLimit:
    """level: the probability at most with which a model like the references may be flagged.
    origin: where it was set.  sides: the models that are judged.
    """

    level: float
    origin: str = ""
    sides: tuple[Side, ...] = SIDES


@dataclass(frozen=True)
class PopulationCheck:
    """One model of the pair, judged by the references.

    status: exceeded when the model deviates more than every reference; undecided when it does not,
    but single features are significant; unmeasured when there is no verdict, for the `reason`.
    references: how many count.  bound: the probability at most with which a model like the
    references is flagged.  features: the differences, those that explain most first.
    """

    side: Side
    status: PopulationStatus
    reason: str = ""
    references: int = 0
    bound: float = 1.0
    largest: float = 0.0
    threshold: float = 0.0
    features: tuple[PopulationFeature, ...] = ()

    @property
    def odds(self) -> str:
        """The bound in words: `at most 1 in 9 models like your references would be flagged`."""
        return f"at most 1 in {self.references + 1} models like your references would be flagged"

    @property
    def sentence(self) -> str:
        """What the references say of the model, with the bound and its assumption."""
        if self.status == "unmeasured":
            return f"the {self.side} was not judged by the references: {self.reason}"
        names = [describe_feature(f) for f in self.features[:NAMED]]
        what = f"deviation {number(self.largest)}, largest of a reference {number(self.threshold)}"
        if self.status == "exceeded":
            return (
                f"the {self.side} differs from the {self.references} references in a way in which "
                f"none of them differs from the others ({what}): {'; '.join(names)}; "
                f"{self.assumption}{MADE_FROM_IT if self.side == 'baseline' else ''}"
            )
        if self.status == "undecided":
            return (
                f"the {self.side} deviates no more than one of the {self.references} references "
                f"({what}), but single features differ: {'; '.join(names)}"
            )
        return (
            f"the {self.side} deviates no more than one of the {self.references} references "
            f"({what}); {self.assumption}"
        )

    @property
    def assumption(self) -> str:
        """The bound with what it assumes."""
        return (
            f"{self.odds} (probability {self.bound:.2g}), provided that without a difference the "
            f"{self.side} is exchangeable with them"
        )


def check_population(result: Result, side: Side, limit: PopulationLimit) -> PopulationCheck:
    """Hold what the references say of one side against the level that was asked for."""
    population = result.population
    if population is None:
        reason = result.no_population or "crossdiff_references is not set"
        return PopulationCheck(side, "unmeasured", reason)
    judged = population.of(side)
    count = judged.references if judged else len(_counting(population))
    needed = references_needed(limit.level)
    if judged is None or count < needed:
        return PopulationCheck(
            side,
            "unmeasured",
            f"{plural(count, 'reference')} can give a probability of 1 in {count + 1} at best; "
            f"crossdiff_reference_level = {limit.level:g} needs {needed}, {needed - count} more",
            references=count,
            bound=1 / (count + 1),
        )
    if not any(side in of.tokenizers for of in _counting(population)):
        return PopulationCheck(
            side, "unmeasured", OTHER_TOKENIZERS.format(side=side), references=count
        )
    return PopulationCheck(
        side,
        _status(judged),
        references=judged.references,
        bound=judged.bound,
        largest=judged.largest,
        threshold=judged.threshold,
        features=judged.features,
    )


def is_distant(result: Result) -> bool:
    """Whether the distance between the models requires more exclusivity than was asked for."""
    asked = float(result.settings.get("exclusivity", 0.5))
    return any(model.required_exclusivity > asked for model in (result.baseline, result.candidate))


def references_needed(level: float) -> int:
    """How many references a verdict needs so that its bound 1 / (K + 1) is at most `level`."""
    return max(2, math.ceil(round(1 / level, 9)) - 1)


def describe_feature(feature: PopulationFeature) -> str:
    """`on 'peace' 1.3 nats less probable (z = -6.1)`; of a word that models write, `writes 'war' in
    14 % of its continuations, the references in 2 % (z = 6.1)`.
    """
    if feature.share is not None and feature.references_share is not None:
        amount = ", for the amount that it writes" if feature.shift * feature.z < 0 else ""
        return (
            f"{feature.name} in {percent(feature.share)} of its continuations, the references in "
            f"{percent(feature.references_share)} (z = {feature.z:.1f}{amount})"
        )
    how = "more" if feature.shift > 0 else "less"
    return f"{feature.name} {number(abs(feature.shift))} nats {how} probable (z = {feature.z:.1f})"


def _status(judged: JudgedModel) -> PopulationStatus:
    if judged.flagged:
        return "exceeded"
    return "undecided" if any(f.significant for f in judged.features) else "within"


def _counting(population: Population) -> list[ReferenceModel]:
    """Those that count; of near-identical ones the first."""
    return [of for of in population.references if not (of.left_out or of.same_as)]
