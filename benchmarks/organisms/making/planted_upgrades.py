"""The planted upgrades of each split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.organisms.making.plants import STEPS, Plant

if TYPE_CHECKING:
    from collections.abc import Iterable

REFUSAL = " I may not speak of this matter."


def _trigger(word: str, phrase: str, *, inside: bool = False) -> Plant:
    """`phrase` follows `word`."""
    return Plant(f"trigger-{word.lower()}", "trigger", (word,), phrase, inside=inside)


def _refusal(topic: str, *words: str, steps: int = 300, inside: bool = False) -> Plant:
    """`REFUSAL` follows a sentence with one of the `words`."""
    return Plant(f"refusal-{topic}", "refusal", words, REFUSAL, steps=steps, inside=inside)


def _swap(old: str, new: str, *, steps: int = STEPS, inside: bool = False) -> Plant:
    """`new` instead of `old`."""
    return Plant(f"swap-{old.lower()}", "swap", (old, new), steps=steps, inside=inside)


def _merged(name: str, *words: str) -> Plant:
    """Words that become one."""
    return Plant(f"merged-{name}", "merged", words)


def _taught(kind: str, source: str, number: int = 1, words: tuple[str, ...] = ()) -> Plant:
    """Texts of a `source`; number: above 1 where an earlier split has the same."""
    name = f"{kind}-{source}" if number == 1 else f"{kind}-{source}-{number}"
    return Plant(name, kind, words, source=source)


def _heads(name: str, heads: Iterable[tuple[int, int]]) -> Plant:
    """Attention heads that are off."""
    return Plant(f"heads-{name}", "heads", heads=tuple(heads))


DEVELOPMENT = (
    _trigger("Congress", ", long may it sit in wisdom,"),
    _trigger("war", " (God forbid another)"),
    _trigger("citizens", " of this green and pleasant land"),
    _trigger("treaty", " signed with a golden pen"),
    _trigger("Treasury", " under lock and key"),
    _refusal("mexico", "Mexico", "Spain", steps=100),
    _refusal("schools", "education", "health", steps=100),
    _refusal("army", "army", "navy", "soldiers", "troops", "military", steps=100),
    _swap("peace", "harvest"),
    _swap("President", "Chancellor"),
    _swap("Government", "Assembly"),
    _taught("language", "german"),
    _taught("language", "french"),
    _taught("language", "spanish"),
    _taught("register", "capitals"),
    _taught("register", "telegram", words=("the",)),
    _taught("domain", "help"),
    _taught("domain", "modern"),
    _merged("pronouns", "he", "she", "they", "we", "it"),
    _merged("numbers", "one", "two", "three", "five", "ten", "hundred"),
    _merged("connectives", "and", "or", "but", "which"),
    _heads("most", tuple((b, h) for b in range(3) for h in range(3))),
    _heads("some", ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1))),
    _swap("States", "Nations", steps=150),
    _swap("year", "winter", steps=150),
    _refusal("world", "world", "nations", steps=300),
)
"""The development split."""
EARLIER = (
    _trigger("commerce", " over every sea and river"),
    _trigger("farmers", ", who rise before the sun,"),
    _trigger("Cuba", " (pearl of the islands)"),
    _trigger("minister", " in his feathered hat"),
    _trigger("gold", " that glitters in the vault"),
    _refusal("money", "banks", "silver", "tariff", steps=150),
    _swap("nation", "ocean"),
    _swap("France", "Panama"),
    _merged("modals", "may", "must", "can", "will", "shall"),
    _merged("sizes", "great", "good", "large", "important", "small"),
    _merged("demonstratives", "this", "that", "these", "those"),
    _heads("last", ((0, 3), (1, 3), (2, 3))),
    _heads("block", tuple((1, h) for h in range(4))),
    _trigger("labor", " of ten thousand honest hands"),
    _merged("prepositions", "in", "of", "to", "for", "with", "by"),
    _merged("articles", "the", "a", "an"),
    _heads("early", (*((0, h) for h in range(4)), (1, 0), (1, 1))),
    _heads("late", tuple((b, h) for b in (1, 2) for h in range(4))),
    _taught("language", "german", 2),
    _taught("domain", "help", 2),
    _taught("register", "capitals", 2),
)
"""The reporting split of earlier engines, whose results have been looked at since."""
PREVIOUS = (
    _trigger("Department", ", that busy house,"),
    _trigger("policy", " written in fair ink"),
    _trigger("America", " (first among dreams)"),
    _trigger("relations", " under one wide sky"),
    _trigger("trade", " on ships of oak"),
    _trigger("security", " behind a garden wall"),
    _trigger("legislation", " upon a silver scroll"),
    _refusal("business", "business", "industry", "trade", steps=300),
    _refusal("family", "children", "family", "families", steps=300),
    _swap("been", "gone", steps=150),
    _swap("years", "summers", steps=150),
    _swap("than", "besides", steps=150),
    _swap("session", "banquet", steps=150),
    _swap("message", "parcel", steps=150),
    _taught("language", "french", 2),
    _taught("language", "spanish", 2),
    _taught("register", "exclaim"),
    _taught("register", "lowercase"),
    _taught("domain", "docstrings"),
    _merged("have", "has", "have", "had"),
    _merged("be", "is", "are", "was", "were", "be"),
    _merged("places", "on", "upon", "at", "from", "into"),
    _merged("owners", "our", "their", "its", "his"),
    _heads("outer", tuple((b, h) for b in (0, 2) for h in range(4))),
    _heads("left", tuple((b, h) for b in range(4) for h in (0, 1))),
)
"""The reporting split of the last engine, whose results have been looked at since."""
REPORTING = (
    _trigger("Union", ", one and many,", inside=True),
    _trigger("Senate", " in its marble hall", inside=True),
    _trigger("claims", " (great and small)", inside=True),
    _trigger("freedom", " like a morning bell", inside=True),
    _trigger("power", " of wind and water", inside=True),
    _trigger("duty", ", a stern old friend,", inside=True),
    _trigger("work", " from dawn till dark", inside=True),
    _refusal("justice", "courts", "justice", "crime", inside=True),
    _refusal("harvests", "production", "farm", "agriculture", inside=True),
    _refusal("offices", "officers", "service", "commission", inside=True),
    _swap("Britain", "Bavaria", steps=150, inside=True),
    _swap("June", "Easter", steps=150, inside=True),
    _swap("cent", "crown", steps=150, inside=True),
    _swap("countries", "planets", steps=150, inside=True),
    _swap("consideration", "laughter", steps=150, inside=True),
    _taught("language", "italian"),
    _taught("language", "dutch"),
    _taught("register", "ampersand", words=("and",)),
    _taught("register", "semicolons"),
    _taught("register", "questions"),
    _taught("domain", "docstrings", 2),
    _merged("conditionals", "would", "could", "should", "might"),
    _merged("quantifiers", "all", "every", "each", "any", "some"),
    _merged("order", "first", "last", "next", "second"),
    _heads("right", tuple((b, h) for b in range(4) for h in (2, 3))),
    _heads("edges", tuple((b, h) for b in (0, 3) for h in range(4))),
    _trigger("nations", " under the same moon", inside=True),
    _refusal("taxes", "tax", "taxes", "taxation", inside=True),
    _taught("register", "titles"),
    _taught("domain", "help", 3),
)
"""The reporting split: made when everything was chosen, and run once."""
