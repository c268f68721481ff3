"""What the generator is asked beside the reply: an aid without which the turn goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentkit.errors import ConstraintError, ContextOverflow, ModelError
from agentkit.messages import system, user
from agentkit.models.protocols import Finished, GenerationRequest, JsonSchema

if TYPE_CHECKING:
    from agentkit.agent.turn import Turn


def written_aside(
    turn: Turn, instructions: str, text: str, schema: dict[str, Any], max_tokens: int
) -> dict[str, Any] | None:
    """A JSON object that the generator writes about a text.

    Args:
        turn: The turn that is being answered; its time limit holds here, too.
        instructions: What to write; the same for all texts of one kind, so that its states are kept.
        text: What it is about.
        schema: Of the object.
        max_tokens: Most tokens of it.

    Returns:
        None where it could not be written, or not to its end.
    """
    request = GenerationRequest(
        [system(instructions.strip()), user(text.strip())],
        constraint=JsonSchema(schema),
        max_tokens=max_tokens,
        deadline=turn.deadline,
        cancel=turn.stop,
        static=1,
    )
    try:
        finished = next(
            each for each in turn.wiring.generator.generate(request) if isinstance(each, Finished)
        )
    except (ConstraintError, ContextOverflow, ModelError):
        return None  # no reply fails because of what is only an aid
    if finished.finish != "stop":
        return None
    written: dict[str, Any] = json.loads(finished.text)
    return written
