"""Which messages enter the prompt.

The system message and everything from the last user message on are never dropped. Where the rest does not fit, results
of tools are shortened first; then older turns are dropped whole, oldest first, so that a call is never separated from
its result, and a summary of what was dropped goes before the first message that stays. If the turn itself is too long,
its tool results are shortened, longest first.

Turns are dropped several at a time. The generator keeps what it computed for the beginning of a prompt; a window that
moved with every turn would begin differently every time, and all of it would be computed again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from agentkit.errors import ContextOverflow
from agentkit.messages import Message, Part, System, ToolResult, split_turns, text_of

_SHORTEST_RESULT = 200  # characters: enough for a status line and a name
_STRIDE = 4
"""Where the budget of tokens cuts, the window begins at a turn whose number is a multiple of this."""


def fit(
    system: System,
    history: Sequence[Message],
    turn: Sequence[Message],
    *,
    budget: int,
    count: Callable[[Sequence[Message]], int],
    first: int = 0,
    summary: Callable[[int], Part | None] = lambda before: None,
) -> tuple[Message, ...]:
    """The messages of a prompt that fits.

    Args:
        system: The system message.
        history: Committed messages of earlier turns, oldest first.
        turn: The current turn: the user message, then calls and results.
        budget: Most tokens of the prompt.
        count: Length in tokens of the prompt made of some messages.
        first: Number of the first turn of `history` in its conversation, from 0.
        summary: Gives what the turns before a number said, in short; None where there is nothing to say.

    Raises:
        ContextOverflow: The system message and the turn do not fit even with shortened results.
    """
    turns = split_turns(history)
    starts = range(len(turns))
    steady = [start for start in starts if start == 0 or (first + start) % _STRIDE == 0]
    for start in (*steady, *starts, len(turns)):
        for kept in _whole_and_short([m for each in turns[start:] for m in each]):
            messages = (system, *kept, *turn)
            if count(messages) > budget:
                continue  # a summary is made only where it has a chance
            if (before := summary(first + start)) is None:
                return messages
            messages = (system, *_behind(before, [*kept, *turn]))
            if count(messages) <= budget:
                return messages
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


def _whole_and_short(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Messages as they are and, where that makes a difference, with their results shortened."""
    yield messages
    if any(_is_long(m) for m in messages):
        yield [_shortened(m, 0) if _is_long(m) else m for m in messages]


def _behind(summary: Part, messages: Sequence[Message]) -> Sequence[Message]:
    """The messages with a summary before the words of the first one, which is the user's."""
    opening = messages[0]
    return [opening.model_copy(update={"parts": (summary, *opening.parts)}), *messages[1:]]


def _is_long(message: Message) -> bool:
    return isinstance(message, ToolResult) and len(text_of(message)) > _SHORTEST_RESULT


def _longest_result(messages: Sequence[Message]) -> int | None:
    lengths = {i: len(text_of(m)) for i, m in enumerate(messages) if _is_long(m)}
    return max(lengths, key=lengths.__getitem__) if lengths else None


def _shortened(message: Message, keep: int | None = None) -> Message:
    """A result with its first characters, at least 160: by default half of it."""
    text = text_of(message)
    keep = max(_SHORTEST_RESULT - 40, len(text) // 2 if keep is None else keep)
    part = Part(
        text=f"{text[:keep]} … [{len(text) - keep} characters left out]", trust=message.parts[0].trust
    )
    return message.model_copy(update={"parts": (part,)})
