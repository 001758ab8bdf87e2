"""How large a dictionary is, and for how long it is trained, by what there is to learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.engine.dictionary.crosscoder import CrosscoderConfig
from pytest_crossdiff.engine.dictionary.training import TrainingConfig
from pytest_crossdiff.errors import InsufficientData
from pytest_crossdiff.settings.kinds import BOUNDED_FROM

if TYPE_CHECKING:
    from pytest_crossdiff.settings import Settings

PAIRS_PER_FEATURE = 20
"""Training pairs a feature, where the size is ours to choose: twice as many features and steps find
no more of what is planted (docs/explanation/how-it-works.md)."""
MIN_PAIRS_PER_FEATURE = 5
MIN_FEATURES = 128
EXPANSION = 4
"""The larger of the widths times this is the most features where the size is ours to choose, unless
that is fewer than `BOUNDED_FROM` pairs give: so time is linear in the tokens."""
EPOCHS, MIN_STEPS, MAX_STEPS = 8, 500, 10_000


def choose_training_config(settings: Settings, count: int) -> TrainingConfig:
    """How a dictionary is trained on `count` pairs."""
    batch = min(settings.batch_size, count)
    steps = settings.steps or min(max(EPOCHS * count // batch, MIN_STEPS), MAX_STEPS)
    return TrainingConfig(steps, batch, settings.learning_rate)


def features(settings: Settings, count: int, width: int) -> int:
    """How many features a dictionary for `count` training pairs has.  width: the larger one."""
    most = max(BOUNDED_FROM // PAIRS_PER_FEATURE, EXPANSION * width)
    wanted = max(MIN_FEATURES, count // PAIRS_PER_FEATURE // 32 * 32)
    return settings.features or min(wanted, most)


def choose_crosscoder_config(
    settings: Settings, count: int, width_a: int, width_b: int
) -> CrosscoderConfig:
    """The dictionary for `count` training pairs.

    Raises `InsufficientData` when they are too few, saying how many are needed.
    """
    wanted = features(settings, count, max(width_a, width_b))
    needed = wanted * MIN_PAIRS_PER_FEATURE
    if count < needed:
        raise InsufficientData(
            f"the corpus gives {count:,} training tokens; a dictionary of {wanted} features needs "
            f"{needed:,}",
            source=f"crossdiff_corpus, crossdiff_tokens = {settings.tokens:,}, "
            f"crossdiff_features = {settings.features or 'auto'}",
            remedy="add texts, raise crossdiff_tokens"
            + (" or lower crossdiff_features" if settings.features else ""),
        )
    return divided(settings, wanted, width_a, width_b)


def divided(settings: Settings, wanted: int, width_a: int, width_b: int) -> CrosscoderConfig:
    """The dictionary of `wanted` features, divided into shared and exclusive ones."""
    own = (
        0
        if settings.architecture == "standard"
        else max(1, round(wanted * settings.exclusive_share))
    )
    return CrosscoderConfig(
        settings.architecture, width_a, width_b, wanted - 2 * own, own, own, min(settings.k, wanted)
    )
