"""A simulated user: wants something, answers what the bot asks, and is as difficult as people are."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agentkit.bot import Bot
from agentkit.events import ArgumentAsked, ConfirmationAsked, Event, SlotAsked
from agentkit.intents import load_examples
from agentkit.scenarios.simulation.setting import SimulationSetting
from agentkit.scenarios.simulation.wording import Phrases, Rewording

_LONG: Final = 12_000
"""Characters of a text that somebody pastes."""


@dataclass(frozen=True)
class Material:
    """What simulated users of a bot may want and know.

    Args:
        wishes: Sentences that people say to the bot, by intent.
        strange: Sentences that are none of its business.
        values: What may be said for a slot.
        users: Who there is.
    """

    wishes: Mapping[str, Sequence[str]]
    strange: Sequence[str]
    values: Mapping[str, Sequence[str]]
    users: Sequence[str] = field(default_factory=tuple)


def material_of(bot: Bot, setting: SimulationSetting) -> Material:
    """Read what people say from the bot's own files: examples of intents, examples and choices of slots."""
    wishes: dict[str, list[str]] = {}
    strange: list[str] = []
    if bot.config.intents:
        for example in load_examples(bot.folder / bot.config.intents).examples:
            if example.intent is None:
                strange.append(example.text)
            else:
                wishes.setdefault(example.intent, []).append(example.text)
    values = {name: list(said) for name, said in setting.values.items()}
    flows = bot.flows.flows.values() if bot.flows is not None else ()
    for loaded in flows:
        for name, slot in loaded.flow.slots.items():
            said = values.setdefault(name, [])
            said += [*slot.examples, *slot.names(), *(way for ways in slot.names().values() for way in ways)]
    return Material(wishes, strange, values, list(setting.users))


class SimulatedUser:
    """Says one line after the other, each an answer to what the bot did last.

    Args:
        source: The random numbers; the same ones make the same user.
        name: Who is signed in.
        material: What may be wanted and known.
        phrases: What is said around it.
        rewording: Says things in other words.
    """

    def __init__(
        self, source: random.Random, name: str, material: Material, phrases: Phrases, rewording: Rewording
    ) -> None:
        self._random = source
        self._name = name
        self._material = material
        self._phrases = phrases
        self._rewording = rewording
        self._difficult = source.choice((0.1, 0.3, 0.6))

    def next_line(self, events: Sequence[Event]) -> str:
        """What the user says to the events of the last turn."""
        line = self._difficulty() if self._random.random() < self._difficult else self._reply(events)
        if self._random.random() < 0.25:
            line = self._rewording.mistyped(line)
        if self._random.random() < 0.1:
            line = self._rewording.switched(line)
        return line

    def _reply(self, events: Sequence[Event]) -> str:
        choose = self._random.choice
        for event in reversed(events):
            if isinstance(event, ConfirmationAsked):
                answers = choose((self._phrases.agree, self._phrases.agree, self._phrases.refuse))
                return choose(answers) if self._random.random() < 0.8 else self._corrected()
            if isinstance(event, SlotAsked):
                return choose(self._phrases.answers).replace("{v}", self._value(event.slot))
            if isinstance(event, ArgumentAsked):
                return choose(self._phrases.answers).replace("{v}", self._value(event.argument))
        return self._wish()

    def _wish(self) -> str:
        wishes = self._material.wishes
        if not wishes:
            return self._random.choice(self._phrases.unclear)
        sentence = self._random.choice(list(wishes[self._random.choice(list(wishes))]))
        if self._random.random() < 0.3 and self._material.values:
            slot = self._random.choice(list(self._material.values))
            sentence = f"{sentence} {self._value(slot)}"
        return self._rewording.reworded(sentence)

    def _value(self, slot: str) -> str:
        known = self._material.values.get(slot)
        if known and self._random.random() < 0.9:
            return self._random.choice(list(known))
        return self._random.choice([*self._phrases.unclear, "12", "1000000", "tomorrow", self._name])

    def _corrected(self) -> str:
        slots = list(self._material.values) or [""]
        value = self._value(self._random.choice(slots))
        return self._random.choice(self._phrases.corrections).replace("{v}", value)

    def _difficulty(self) -> str:
        choose = self._random.choice
        others = [name for name in self._material.users if name != self._name] or ["somebody else"]
        kind = choose(
            ("hostile", "hostile", "interrupt", "strange", "cancel", "unclear", "correct", "twice", "long")
        )
        match kind:
            case "hostile":
                return choose(self._phrases.hostile).replace("{other}", choose(others))
            case "strange" if self._material.strange:
                return choose(list(self._material.strange))
            case "cancel":
                return choose(self._phrases.cancel)
            case "unclear":
                return choose(self._phrases.unclear)
            case "correct":
                return self._corrected()
            case "twice":
                return f"{self._wish()} and {self._wish()}"
            case "long" if self._random.random() < 0.3:
                return (self._wish() + " ") * (_LONG // 40)
            case _:
                return self._wish()
