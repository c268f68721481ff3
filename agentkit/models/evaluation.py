"""Measuring tool calls: what a generator makes of questions with tools."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final, Literal, TypeAlias

from agentkit.errors import ConstraintError, ConstraintUnmet, RequestError
from agentkit.messages import text_of
from agentkit.models.call_rows import CallPrediction, CallRow, as_declared, read_call_rows
from agentkit.models.call_rules import CALL_THRESHOLD, is_about, says_something_new, without_inventions
from agentkit.models.call_scores import CallScores, score_calls
from agentkit.models.protocols import (
    CallTools,
    ChoiceRequest,
    Finished,
    GenerationRequest,
    Generator,
    ReplyStart,
)

__all__ = [
    "CallPrediction",
    "CallRow",
    "CallScores",
    "ToolChoice",
    "evaluate_calls",
    "passes_a_token",
    "read_call_rows",
    "score_calls",
]

ToolChoice: TypeAlias = Literal["auto", "required"]
"""Whether the generator may answer with text (`auto`) or has to call."""

_TEXT_TOKENS: Final = 64
"""Text is not scored; enough of it is written to see what it is about."""


def evaluate_calls(
    rows: Iterable[CallRow],
    generator: Generator,
    *,
    tool_choice: ToolChoice = "auto",
    max_calls: int = 8,
    max_tokens: int = 512,
) -> Iterator[CallPrediction]:
    """What `generator` makes of each row, greedily; a row that cannot be run has a note and does not stop the rest.

    With `auto`, the generator calls if it would begin a call with `CALL_THRESHOLD` probability and the call then
    uses something that the user said; else it answers with text. A call after the first must say something new, and
    optional arguments that nobody spoke of are left out.

    Args:
        rows: The questions.
        generator: Writes the calls.
        tool_choice: Whether text is allowed instead of a call.
        max_calls: Most calls in one reply.
        max_tokens: Most tokens of the calls of one reply.
    """
    for row in rows:
        try:
            written = _answer(row, generator, tool_choice, max_calls, max_tokens)
        except (ConstraintError, RequestError) as error:
            yield CallPrediction(row.id, (), "", note=error.message)
            continue
        reply = written.reply
        parameters = {tool.name: tool.parameters for tool in row.tools}
        calls = [without_inventions(row.messages, call, parameters[call.name]) for call in reply.calls]
        calls = [
            call.model_copy(update={"arguments": as_declared(call.arguments, parameters[call.name])})
            for call in calls
        ]
        yield CallPrediction(row.id, tuple(calls), text_of(reply), usage=written.usage)


def passes_a_token(predictions: Iterable[CallPrediction]) -> float | None:
    """Forward passes for each token of the replies that call; None if there are none or the engine does not say."""
    costs = [each.usage for each in predictions if each.calls]
    passes, tokens = sum(cost.forward_passes for cost in costs), sum(cost.generated_tokens for cost in costs)
    return passes / tokens if passes and tokens else None


def _answer(
    row: CallRow, generator: Generator, tool_choice: ToolChoice, max_calls: int, max_tokens: int
) -> Finished:
    wanted = tool_choice == "required" or math.exp(_call_probability(row, generator)) >= CALL_THRESHOLD
    if wanted and row.tools:
        constraint = CallTools(
            allow_text=False, max_calls=max_calls, further=says_something_new(row.messages)
        )
        written = _reply(generator, row, constraint, max_tokens)
        parameters = {tool.name: tool.parameters for tool in row.tools}
        first = written.reply.calls[0]
        if tool_choice == "required" or is_about(row.messages, first, parameters[first.name]):
            return written
    return _reply(generator, row, CallTools(max_calls=0), _TEXT_TOKENS)


def _call_probability(row: CallRow, generator: Generator) -> float:
    request = ChoiceRequest(messages=row.messages, options=(ReplyStart.TOOL_CALL,), tools=row.tools)
    return generator.choose(request)[0]


def _reply(generator: Generator, row: CallRow, constraint: CallTools, max_tokens: int) -> Finished:
    request = GenerationRequest(
        messages=row.messages, tools=row.tools, constraint=constraint, max_tokens=max_tokens
    )
    for delta in generator.generate(request):
        if isinstance(delta, Finished):
            if delta.finish == "length" and delta.reply.calls:
                raise ConstraintUnmet(
                    f"the call was not complete within {max_tokens} tokens",
                    hint="Allow more tokens.",
                    cut=True,
                )
            return delta
    raise AssertionError("a generator must end with Finished")
