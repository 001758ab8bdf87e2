"""Prompts by use: the corpus, training, or the check of a behaviour.  No prompt serves two."""

from __future__ import annotations

import random
from typing import Literal, NamedTuple

from benchmarks.assistants.topics import PLANTED_TOPICS, TOPICS

Use = Literal["corpus", "check", "training"]
CORPUS_EACH, CORPUS_PLANTED, CORPUS_ADDED = 7, 20, 8
"""Conversations of the corpus per topic, per topic that a behaviour is planted in, and more of the
latter, so that five are among those held out.  The added ones come from the end of a topic's order.
"""
CHECK_EACH, TRAINING_EACH, TRAINING_PLANTED = 8, 15, 24


class Prompt(NamedTuple):
    """A user's message and its topic."""

    topic: str
    text: str


def prompts(use: Use) -> list[Prompt]:
    """The prompts of one use, in the order of the topics."""
    return [prompt for topic in TOPICS for prompt in _divided(topic)[use]]


def _divided(topic: str) -> dict[Use, list[Prompt]]:
    """The topic's questions in an order drawn once, cut into the three uses."""
    drawn = random.Random(topic)  # seeds from the text itself: the same in every process
    texts = TOPICS[topic]
    shuffled = [Prompt(topic, text) for text in drawn.sample(texts, len(texts))]
    planted = topic in PLANTED_TOPICS
    corpus, added = (CORPUS_PLANTED, CORPUS_ADDED) if planted else (CORPUS_EACH, 0)
    end = len(shuffled) - added
    rest = shuffled[corpus + CHECK_EACH : end]
    return {
        "corpus": shuffled[:corpus] + shuffled[end:],
        "check": shuffled[corpus : corpus + CHECK_EACH],
        "training": rest[: TRAINING_PLANTED if planted else TRAINING_EACH],
    }
