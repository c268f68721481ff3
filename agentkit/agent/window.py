"""Which messages enter the prompt.

The system message and everything from the last user message on are never dropped; older turns are dropped
whole, oldest first, so that a call is never separated from its result. If the turn itself is too long, its
tool results are shortened, longest first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentkit.errors import ContextOverflow
from agentkit.messages import Message, Part, System, ToolResult, User, text_of

_SHORTEST_RESULT = 200  # characters: enough for a status line and a name


def fit(
    system: System,
    history: Sequence[Message],
    turn: Sequence[Message],
    *,
    budget: int,
    count: Callable[[Sequence[Message]], int],
) -> tuple[Message, ...]:
    """The messages of a prompt that fits.

    Args:
        system: The system message.
        history: Committed messages of earlier turns, oldest first.
        turn: The current turn: the user message, then calls and results.
        budget: Most tokens of the prompt.
        count: Length in tokens of the prompt made of some messages.

    Raises:
        ContextOverflow: The system message and the turn do not fit even with shortened results.
    """
    turns = split_turns(history)
    while turns:
        messages = (system, *(m for each in turns for m in each), *turn)
        if count(messages) <= budget:
            return messages
        turns = turns[1:]
    current = list(turn)
    while (needed := count((system, *current))) > budget:
        longest = _longest_result(current)
        if longest is None:
            raise ContextOverflow(
                f"The instructions and this message need {needed} tokens; the model has room for {budget}.",
                hint="Send a shorter message, shorten `instructions`, offer fewer tools, or use a model "
                "with a larger context.",
            )
        current[longest] = _shortened(current[longest])
    return (system, *current)


def split_turns(history: Sequence[Message]) -> list[list[Message]]:
    """Cut a transcript before every user message."""
    turns: list[list[Message]] = []
    for message in history:
        if isinstance(message, User) or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns


def _longest_result(messages: Sequence[Message]) -> int | None:
    lengths = {
        i: len(text_of(m))
        for i, m in enumerate(messages)
        if isinstance(m, ToolResult) and len(text_of(m)) > _SHORTEST_RESULT
    }
    return max(lengths, key=lengths.__getitem__) if lengths else None


def _shortened(message: Message) -> Message:
    text = text_of(message)
    keep = max(_SHORTEST_RESULT - 40, len(text) // 2)
    part = Part(
        text=f"{text[:keep]} … [{len(text) - keep} characters left out]", trust=message.parts[0].trust
    )
    return message.model_copy(update={"parts": (part,)})
