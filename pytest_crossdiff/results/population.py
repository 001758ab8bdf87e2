"""The models of a pair judged by a population of reference models (METHOD 7)."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_crossdiff.sides import Side


@dataclass(frozen=True)
class PopulationFeature:
    """A feature of the texts, or a word written, in which a model deviates from the references.

    name: in words, e.g. `on 'peace'`, `writes 'peace'`.  shift: the model's mean log p less the
    references', ability and token counts removed, in nats a span.  z: the deviation over the
    standard deviation that it has when nothing differs.  p_value: of z, moderated t.  significant:
    by Benjamini-Hochberg over all features.  smallest_flagged: shift in nats above which this
    feature alone flags the model.  spans, documents: on which it was measured.  also: other
    features on mostly the same spans.

    Of a word that models write: share, references_share: of what the model goes on with after the
    first words of texts, and of what the references do, the share that contains the word; z
    compares them for the same amount written.  shift, smallest_flagged: in shares.  spans,
    documents: the model's continuations that contain it.
    """

    name: str
    shift: float
    z: float
    p_value: float
    significant: bool
    smallest_flagged: float
    spans: int
    documents: int
    also: tuple[str, ...] = ()
    share: float | None = None
    references_share: float | None = None


@dataclass(frozen=True)
class JudgedModel:
    """One model of the pair against the references.

    references: how many count; near-identical ones count once.  largest: the largest |z| of the
    model over all features.  threshold: the largest |z| of any reference, judged by all others in
    the same way.  features: the three that explain most of what deviates, then the significant
    ones by |z|.
    """

    side: Side
    references: int
    largest: float
    threshold: float
    features: tuple[PopulationFeature, ...]

    @property
    def flagged(self) -> bool:
        """Whether it deviates more than every reference."""
        return self.largest > self.threshold

    @property
    def bound(self) -> float:
        """The probability at most with which a model like the references is flagged."""
        return 1 / (self.references + 1)


@dataclass(frozen=True)
class ReferenceModel:
    """A reference model.

    name: as it was written.  left_out: why it does not count, "" where it counts.  same_as: the
    reference that it is nearly identical with, and with which it counts once.  largest: its largest
    |z| when it is judged by the candidate and the other references, None where it does not count.
    loss: nats a character.  tokenizers: the sides whose tokens are the same as its own.
    """

    name: str
    left_out: str = ""
    same_as: str = ""
    largest: float | None = None
    loss: float | None = None
    tokenizers: tuple[Side, ...] = ()


@dataclass(frozen=True)
class Population:
    """The references and what they say of either model.

    spans, documents: of the held-out texts, that all models predict.  features: of the texts.
    judged: the candidate and the baseline; none where there are too few references to judge by.
    warnings: sentences on what limits the verdict.  words: that models write and that were judged,
    too.  continuations: of texts, that each model wrote; 0 where the texts alone were judged.
    """

    references: tuple[ReferenceModel, ...]
    spans: int
    documents: int
    features: int
    judged: tuple[JudgedModel, ...]
    warnings: tuple[str, ...] = ()
    words: int = 0
    continuations: int = 0

    def of(self, side: Side) -> JudgedModel | None:
        """What is said of one side, None where nothing could be said."""
        return next((model for model in self.judged if model.side == side), None)
