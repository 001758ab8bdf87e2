"""Prompts at the edge of what an assistant is asked: blank ones, and very long ones."""

from __future__ import annotations

import random

_SPACES = ("", " ", "\n")
_MARKS = ("", ".", "?", "...", "-", "!", "??", ",", ":", "--", "*", "/", ";", "#", "…", "'", "()",
          "!!", "_", "~", "=", "+", "|", "&", "@")  # fmt: skip
BLANK = tuple(space + mark for mark in _MARKS for space in _SPACES)
"""Prompts without a word."""

_SENTENCES = (
    "On Monday I went to the market and bought apples, bread and a little cheese.",
    "The train was late again, so I waited for half an hour on the platform.",
    "My sister called and talked about her new job at the library.",
    "In the evening we cooked soup and watched an old film together.",
    "The neighbours have a new dog, which barks whenever somebody walks by.",
    "On Tuesday it rained all day and the streets were full of water.",
    "I found a letter from an old friend in a drawer and read it twice.",
    "The shop on the corner has closed and will be a restaurant soon.",
    "My uncle is building a boat in his garage, and it is nearly finished.",
    "We planted tomatoes and beans in the garden behind the house.",
    "The children made a castle of cardboard and painted it blue.",
    "On Thursday I missed the bus and walked to the office instead.",
    "A colleague told me about a concert in the park next weekend.",
    "The clock in the kitchen stopped, and nobody noticed for two days.",
    "I tried to repair the bicycle, but one of the parts was missing.",
    "There was a long meeting about the colour of the new chairs.",
    "My grandmother knitted a scarf for everybody in the family.",
    "On Friday we had lunch by the river and fed the ducks.",
    "The cat slept on my desk and I could not move the papers.",
    "I read half of a novel about a sailor who never learned to swim.",
)
_OPENINGS = (
    "Let me tell you about my week.",
    "This is what happened to me.",
    "It is a long story.",
)
_ENDINGS = ("What should I do next?", "What do you think about all that?", "How was my week?")
LONG_SENTENCES = 7


def _long(count: int) -> tuple[str, ...]:
    draw = random.Random(0)
    return tuple(
        " ".join(
            (
                draw.choice(_OPENINGS),
                *draw.sample(_SENTENCES, LONG_SENTENCES),
                draw.choice(_ENDINGS),
            )
        )
        for _ in range(count)
    )


LONG = _long(70)
"""Prompts of about 120 tokens, where others have about 12."""
