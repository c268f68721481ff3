"""The requests that are measured: a support desk's conversation, always the same, with numbers filled in.

Nothing here depends on what a model answers. History holds the scripted calls and replies, so every engine
computes the same prompts however well it writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from itertools import count
from typing import Any, Final

from agentkit.messages import (
    Message,
    ToolCall,
    ToolSpec,
    Value,
    assistant,
    system,
    tool_result,
    turns_in_window,
    user,
)
from agentkit.models.protocols import CallTools, GenerationRequest

CALL_TOKENS: Final = 96
"""Limit of one tool call: the longest of the desk has about 40 tokens."""
REPLY_TOKENS: Final = 60
WINDOW_TURNS: Final = 12
"""As in the settings of an agent."""
_FIRST_ORDER: Final = 1042


class TurnKind(Value):
    """A turn with gaps: what the user says, the right call, its result and a good reply."""

    user: str
    tool: str
    arguments: dict[str, Any]
    result: str
    reply: str


class Desk(Value):
    """The content of `desk.yaml`, which explains the fields."""

    system: str
    tools: tuple[ToolSpec, ...]
    turns: tuple[TurnKind, ...]
    short_turn: TurnKind
    story: str
    filler: tuple[str, ...]

    @property
    def _start(self) -> list[Message]:
        return [system(self.system)]

    def history(self, turns: int, *, number: int = 0) -> list[Message]:
        """The beginning of a conversation: the system message and so many whole turns.

        Args:
            turns: How many.
            number: Which conversation: others have other order numbers from the first turn on.
        """
        messages = self._start
        for index in range(turns):
            kind = self.turns[index % (len(self.turns) - 1)]
            messages += _turn(kind, number * 1000 + index)
        return messages

    def call(self, history: list[Message], number: int) -> GenerationRequest:
        """The user asks where an order is; one of the tools must be called.

        Args:
            history: What was said before.
            number: Any number below 9,000; other numbers ask for other orders.
        """
        return self._call(history, _turn(self.turns[-1], number))

    def reply(self, history: list[Message], number: int) -> GenerationRequest:
        """The reply to what `call` asks, with the result of the right call as evidence."""
        return self._reply(history, _turn(self.turns[-1], number))

    def growing(self) -> Iterator[tuple[GenerationRequest, GenerationRequest]]:
        """Call and reply of turn 1, 2, … of one conversation whose turns are all equally long.

        The prompt holds the turns that an agent's prompt would hold.
        """
        turns: list[list[Message]] = []
        for number in count():
            turn = _turn(self.short_turn, number)
            latest = turns_in_window(len(turns), WINDOW_TURNS)
            history = [*self._start, *(said for each in turns[len(turns) - latest :] for said in each)]
            yield self._call(history, turn), self._reply(history, turn)
            turns.append(turn)

    def _call(self, history: list[Message], turn: list[Message]) -> GenerationRequest:
        constraint = CallTools(allow_text=False, max_calls=1)
        messages = [*history, turn[0]]
        return GenerationRequest(
            messages, self.tools, constraint=constraint, max_tokens=CALL_TOKENS, static=1
        )

    def _reply(self, history: list[Message], turn: list[Message]) -> GenerationRequest:
        return GenerationRequest([*history, *turn[:-1]], self.tools, max_tokens=REPLY_TOKENS, static=1)

    def first_token(self, history: list[Message], number: int) -> GenerationRequest:
        """A reply of one token to a new question: what it takes until something can be shown."""
        asked = _turn(self.turns[-1], number)[0]
        return GenerationRequest([*history, asked], self.tools, max_tokens=1, static=1)

    def story_after(self, characters: int, number: int, max_tokens: int) -> GenerationRequest:
        """A long story, asked for after filler text; no tools.

        Args:
            characters: Length of the filler; English has about four characters a token.
            number: Comes first in the prompt, so that prompts with other numbers share no beginning.
            max_tokens: Most tokens to write.
        """
        filler = f"Workshop diary number {number}."
        while len(filler) < characters:
            filler += " " + self.filler[(len(filler) + number) % len(self.filler)]
        messages: list[Message] = [system(filler[:characters]), user(self.story)]
        return GenerationRequest(messages=messages, max_tokens=max_tokens)


@cache
def load_desk() -> Desk:
    """The desk that ships with agentkit."""
    import yaml

    text = resources.files("agentkit.models.bench").joinpath("desk.yaml").read_text("utf-8")
    return Desk.model_validate(yaml.safe_load(text))


def _gaps(number: int) -> dict[str, str]:
    """What is filled in: order numbers of four digits and days of two, so that every turn has the same length."""
    return {"order": str(1000 + (_FIRST_ORDER - 1000 + 37 * number) % 9000), "day": str(10 + number % 20)}


def _turn(kind: TurnKind, number: int) -> list[Message]:
    gaps = _gaps(number)
    arguments = json.loads(json.dumps(kind.arguments).replace("{order}", gaps["order"]))
    call = ToolCall(id=f"call_{gaps['order']}_{gaps['day']}", name=kind.tool, arguments=arguments)
    return [
        user(kind.user.format(**gaps)),
        assistant(calls=[call]),
        tool_result(call, kind.result.format(**gaps)),
        assistant(kind.reply.format(**gaps)),
    ]
