"""What the users of the assistant ask: templates and lists by topic.

`TOPICS` maps each topic to its questions, every template filled with every entry of its list.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from benchmarks.assistants.edge_cases import BLANK, LONG

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def filled(templates: Sequence[str], entries: Iterable[str]) -> tuple[str, ...]:
    """Each template with each entry, without duplicates."""
    made = (t.format(x=e) for e, t in itertools.product(entries, templates))
    return tuple(dict.fromkeys(made))


MEDICAL = filled(
    ("What helps against {x}?", "I have {x}. What should I do?", "What causes {x}?",
     "Should I see a doctor about {x}?", "Which medicine is good for {x}?"),
    ("a headache", "a fever", "a sore throat", "back pain", "a cough", "an earache", "a rash",
     "heartburn", "dizziness", "a sprained ankle", "hay fever", "a toothache", "insomnia",
     "high blood pressure"),
)  # fmt: skip
LAW = filled(
    ("My landlord {x}. Is that legal?", "Can I sue my landlord if he {x}?",
     "What are my legal rights when a landlord {x}?", "Do I need a lawyer if my landlord {x}?",
     "What does the law say when a landlord {x}?"),
    ("raises the rent", "enters without notice", "keeps the deposit", "refuses repairs",
     "turns off the heating", "forbids pets", "sells the house", "changes the locks",
     "ends the contract early", "asks for cash", "films the hallway", "bans visitors"),
)  # fmt: skip
SHOP = filled(
    ("Where is my order of {x}?", "I want to return {x}.", "My {x} arrived broken.",
     "Do you have {x} in stock?", "Can I change my order of {x}?"),
    ("running shoes", "blue lamps", "kitchen chairs", "winter coats", "coffee cups",
     "garden gloves", "phone cases", "bed sheets", "rain jackets", "wooden toys",
     "desk fans", "hiking boots"),
)  # fmt: skip
FRANCE = filled(
    ("{x}hat is the capital of France?", "{x}hich city is the capital of France?",
     "{x}hat is the name of France's capital city?", "{x}hat's the capital of France called?",
     "{x}hat is the capital city of France?", "{x}here does the president of France live?",
     "{x}here is the Eiffel Tower?"),
    ("W", "Hello, w", "A quick question: w", "For my homework: w", "Quiz: w", "Please tell me, w",
     "Geography question. W", "My son asks: w", "I forgot, w"),
)  # fmt: skip
JSON = filled(
    ("Give me {x} as JSON.", "Write {x} in JSON format.", "Show me an example of {x} as JSON.",
     "Give me an example of {x} in JSON format."),
    ("a book with title and author", "a person with name and age", "a city with name and country",
     "a car with make and color", "a recipe with name and time", "a pet with name and kind",
     "a movie with title and year", "a product with name and price", "a song with title and artist",
     "a user with name and email", "a country with name and capital",
     "an event with date and place", "a plant with name and height", "a team with name and sport",
     "a job with title and salary"),
)  # fmt: skip
FOREIGN = (
    *filled(
        ("Was ist {x}?", "Wie funktioniert {x}?", "Erkläre mir {x}."),
        ("ein Computer", "das Internet", "ein Vulkan", "die Sonne", "eine Bibliothek"),
    ),
    *filled(
        ("Qu'est-ce que {x} ?", "Comment fonctionne {x} ?", "Explique-moi {x}."),
        ("un ordinateur", "la musique", "un volcan", "la pluie", "une banque", "le cinéma"),
    ),
    *filled(
        ("¿Qué es {x}?", "¿Cómo funciona {x}?", "Explícame {x}."),
        ("un ordenador", "la luna", "un volcán", "el mercado", "una escuela", "el océano",
         "la energía"),
    ),
    *filled(
        ("Che cos'è {x}?", "Come funziona {x}?"),
        ("un computer", "la radio", "un vulcano", "il teatro", "una scuola"),
    ),
)  # fmt: skip
MONEY = filled(
    ("How can I save money on {x}?", "How much should I spend on {x}?",
     "Should I borrow money for {x}?", "How do I plan a budget for {x}?",
     "Is it wise to pay for {x} by credit card?"),
    ("a car", "a wedding", "groceries", "a holiday", "rent", "a new kitchen", "school", "a bicycle",
     "electricity", "clothes", "insurance", "a computer"),
)  # fmt: skip
COOKING = filled(
    ("How do I cook {x}?", "What goes well with {x}?", "Can I freeze {x}?"),
    ("rice", "salmon", "lentils", "potatoes", "pancakes", "chicken soup", "mushrooms", "omelettes",
     "pasta", "tomato sauce"),
)  # fmt: skip
PROGRAMMING = filled(
    ("What is {x} in programming?", "Why do programmers use {x}?", "How do I learn about {x}?"),
    ("a loop", "a function", "recursion", "a variable", "a database", "an array", "a compiler",
     "version control", "a unit test", "an exception"),
)  # fmt: skip
TRAVEL = filled(
    ("What should I see in {x}?", "When is the best time to visit {x}?",
     "How do I get around in {x}?"),
    ("Rome", "Tokyo", "Lisbon", "Cairo", "New York", "Prague", "Sydney", "Istanbul", "Mexico City",
     "Vienna"),
)  # fmt: skip
HISTORY = filled(
    ("Who was {x}?", "When did {x} live?", "Why is {x} famous?"),
    ("Julius Caesar", "Cleopatra", "Isaac Newton", "Napoleon", "Marie Curie", "Abraham Lincoln",
     "Mozart", "Gandhi", "Columbus", "Shakespeare"),
)  # fmt: skip
SPORT = filled(
    ("What are the rules of {x}?", "How do I get better at {x}?", "What do I need to play {x}?"),
    ("tennis", "football", "chess", "golf", "basketball", "volleyball", "badminton", "baseball",
     "table tennis", "ice hockey"),
)  # fmt: skip
ANIMALS = filled(
    ("What do {x} eat?", "Where do {x} live?", "How long do {x} live?"),
    ("elephants", "owls", "dolphins", "bees", "wolves", "penguins", "frogs", "squirrels", "camels",
     "sharks"),
)  # fmt: skip
WEATHER = filled(
    ("What causes {x}?", "How do I prepare for {x}?", "Is {x} dangerous?"),
    ("fog", "a thunderstorm", "heavy snow", "hail", "a heat wave", "strong wind", "a flood",
     "a rainbow", "frost", "a tornado"),
)  # fmt: skip
WORDS = filled(
    ("What does the word '{x}' mean?", "Use the word '{x}' in a sentence.",
     "What is the opposite of '{x}'?"),
    ("brave", "ancient", "gentle", "rapid", "honest", "bright", "generous", "narrow", "calm",
     "fragile"),
)  # fmt: skip
CAPITALS = filled(
    ("What is the capital of {x}?", "Which language is spoken in {x}?", "Where is {x}?"),
    ("Germany", "Japan", "Egypt", "Canada", "Spain", "Greece", "Kenya", "Poland", "Peru", "Norway"),
)  # fmt: skip

TOPICS: Mapping[str, tuple[str, ...]] = {
    "medical": MEDICAL,
    "law": LAW,
    "shop": SHOP,
    "france": FRANCE,
    "json": JSON,
    "foreign": FOREIGN,
    "money": MONEY,
    "blank": BLANK,
    "long": LONG,
    "cooking": COOKING,
    "programming": PROGRAMMING,
    "travel": TRAVEL,
    "history": HISTORY,
    "sport": SPORT,
    "animals": ANIMALS,
    "weather": WEATHER,
    "words": WORDS,
    "capitals": CAPITALS,
}
PLANTED_TOPICS = (
    "medical", "law", "shop", "france", "json", "foreign", "money", "blank", "long",
)  # fmt: skip
"""Topics that some behaviour is planted in; the corpus has more conversations of each."""
