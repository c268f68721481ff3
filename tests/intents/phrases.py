"""Messages to a small bakery, for tests that train intents without weights."""

from __future__ import annotations

from agentkit.intents import IntentExample

BAKERY: dict[str, list[str]] = {
    "opening_hours": [
        "when do you open tomorrow",
        "what are your opening hours",
        "are you open on sunday",
        "until when are you open today",
        "which hours are you open on holidays",
        "do you open early on saturday",
        "what time do you open and close",
        "opening hours please",
    ],
    "order_cake": [
        "I want to order a birthday cake",
        "can I order a chocolate cake for friday",
        "please order a wedding cake for us",
        "order a cake with my name on it",
        "I would like to order a cheese cake",
        "could you bake a cake for my daughter to order",
        "how do I order a cake",
        "one cake to order for ten people",
    ],
    "allergens": [
        "are there nuts in the bread",
        "does the bread contain milk",
        "which bread is without gluten",
        "is there egg in your rolls",
        "allergens in the rye bread",
        "do the rolls contain nuts or milk",
        "does anything here contain sesame",
        "is the bread free of gluten",
    ],
    "delivery": [
        "do you deliver to my street",
        "how much does delivery cost",
        "can you deliver rolls to my home",
        "delivery to the office please",
        "is delivery free of charge",
        "when will the delivery arrive",
        "do you deliver on weekends",
        "deliver it to the second floor",
    ],
}

STRANGERS: list[str] = [
    "who won the football match",
    "tell me a joke about elephants",
    "translate this letter into french",
    "play some quiet piano music",
    "solve the equation for x",
    "book me a flight to lisbon",
]


def bakery(*, strangers: int = 0, each: int = 8) -> list[IntentExample]:
    """Examples of four intents, `each` of every one, and some messages out of scope."""
    examples = [IntentExample(text, name) for name, texts in BAKERY.items() for text in texts[:each]]
    return examples + [IntentExample(text, None) for text in STRANGERS[:strangers]]
