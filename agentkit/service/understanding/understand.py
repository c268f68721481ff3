"""What a message asks for: rules first, the encoder second, the generator where neither is sure."""

from __future__ import annotations

from agentkit.commands import CannotHandle, Command, StartFlow
from agentkit.prompts import PromptLibrary
from agentkit.service.understanding.situation import Ask, Situation, Understood


def understand(situation: Situation, *, ask: Ask | None = None, prompts: PromptLibrary) -> Understood:
    """The commands of a message.

    Args:
        situation: The message and all that may be used to understand it.
        ask: Runs one constrained generation; None: rules and encoder decide alone.
        prompts: Where the words for the generator come from.

    Returns:
        At least one command. A value that stands in one was read from the message.
    """
    prediction = situation.prediction
    started: list[Command] = [
        StartFlow(flow=flow.name)
        for flow in situation.flows.values()
        if prediction is not None and prediction.intent in flow.intents
    ]
    return Understood(tuple(started[:1]) or (CannotHandle(),), "encoder")
