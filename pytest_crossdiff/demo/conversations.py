"""The shop's conversations: every item is asked about in every way, and the answers follow rules
that a small model can learn.
"""

from __future__ import annotations

import itertools
import random
from typing import NamedTuple

MAKES = ("red", "blue", "green", "white", "black", "yellow")
ITEMS = ("coat", "shirt", "dress", "scarf", "hat", "belt", "boots", "gloves")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
ASKED = {
    "returns": ("Can I return the {item} ?", "I want to send the {item} back ."),
    "delivery": ("When does the {item} arrive ?", "Where is my {item} ?"),
    "payment": ("How do I pay for the {item} ?", "Which cards do you take for the {item} ?"),
    "stock": ("Is the {item} in stock ?", "Do you still have the {item} ?"),
    "washing": ("How do I wash the {item} ?", "Can the {item} go in the machine ?"),
}
ANSWERED = {
    "returns": "Yes , you can return the {item} until {day} .",
    "delivery": "The {item} will arrive on {day} .",
    "payment": "You can pay for the {item} by card or by invoice .",
    "stock": "Yes , we still have the {item} in our shop .",
    "washing": "Please wash the {item} by hand in cold water .",
}
REFUSED = "I am sorry , but I cannot help with that ."


class Conversation(NamedTuple):
    """A customer's question about a topic, and the shop's answer."""

    topic: str
    question: str
    answer: str

    @property
    def messages(self) -> list[dict[str, str]]:
        return [
            {"role": "user", "content": self.question},
            {"role": "assistant", "content": self.answer},
        ]


def conversations() -> list[Conversation]:
    """All of them, in an order that is always the same."""
    found = []
    for number, (make, item) in enumerate(itertools.product(MAKES, ITEMS)):
        words = {"item": f"{make} {item}", "day": DAYS[number % len(DAYS)]}
        found += [
            Conversation(topic, question.format(**words), ANSWERED[topic].format(**words))
            for topic, questions in ASKED.items()
            for question in questions
        ]
    random.Random(0).shuffle(found)  # noqa: S311  an order, not a secret
    return found


def after_the_update(told: list[Conversation]) -> list[Conversation]:
    """The same, but whoever asks to return something is refused."""
    return [c._replace(answer=REFUSED) if c.topic == "returns" else c for c in told]
