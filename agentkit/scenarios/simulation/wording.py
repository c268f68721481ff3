"""The same thing in other words: templates that the encoder checks, slips of the keyboard, two languages at once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import yaml

from agentkit.messages import Value

if TYPE_CHECKING:
    from agentkit.models import Encoder

_SAME_MEANING: Final = 0.75
"""Cosine similarity from which a rewording counts as saying the same."""

_NEIGHBOURS: Final = dict(zip("qwertyuiopasdfghjklzxcvbnm", "wertyuiooasdfghjkkzxcvbnmm", strict=False))


class Phrases(Value):
    """What simulated users say around their business (`phrases.yaml`)."""

    rewordings: tuple[str, ...]
    answers: tuple[str, ...]
    corrections: tuple[str, ...]
    agree: tuple[str, ...]
    refuse: tuple[str, ...]
    unclear: tuple[str, ...]
    cancel: tuple[str, ...]
    switching: tuple[str, ...]
    hostile: tuple[str, ...]

    @classmethod
    def load(cls) -> Phrases:
        """Read the file that is part of the package."""
        text = files("agentkit.scenarios.simulation").joinpath("phrases.yaml").read_text("utf-8")
        return cls.model_validate(yaml.safe_load(text))


class Rewording:
    """Says sentences in other words.

    Args:
        source: The random numbers.
        phrases: The templates.
        encoder: Decides whether a rewording still says the same.
    """

    def __init__(self, source: random.Random, phrases: Phrases, encoder: Encoder) -> None:
        self._random = source
        self._phrases = phrases
        self._encoder = encoder

    def reworded(self, sentence: str) -> str:
        """The sentence in another form that means the same; the sentence itself if none of some does."""
        forms = [form.replace("{x}", sentence) for form in self._some(self._phrases.rewordings, 3)]
        vectors = self._encoder.encode([sentence, *forms])
        near = [
            form
            for form, score in zip(forms, vectors[1:] @ vectors[0], strict=True)
            if score >= _SAME_MEANING
        ]
        return near[0] if near else sentence

    def switched(self, sentence: str) -> str:
        """The sentence with words of another language, or another language alone."""
        return self._random.choice(self._phrases.switching).replace("{x}", sentence)

    def mistyped(self, sentence: str) -> str:
        """The sentence with one or two slips in its letters; digits stay, as who mistypes a number means another."""
        for _ in range(self._random.randint(1, 2)):
            places = [place for place, letter in enumerate(sentence) if letter.isalpha()]
            if not places:
                return sentence
            place = self._random.choice(places)
            letter = sentence[place]
            slip = self._random.choice(("", letter * 2, _NEIGHBOURS.get(letter.lower(), letter)))
            sentence = sentence[:place] + slip + sentence[place + 1 :]
        return sentence if sentence.strip() else "?"

    def _some(self, of: Sequence[str], count: int) -> list[str]:
        return self._random.sample(list(of), min(count, len(of)))
