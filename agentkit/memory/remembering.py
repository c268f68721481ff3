"""From a user message to the memories of its turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from agentkit.memory.extraction import statements, worth_remembering
from agentkit.messages import User, text_of, worst_trust
from agentkit.models.protocols import Encoder
from agentkit.store.records import NewMemory

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors

MESSAGE_IMPORTANCE: Final = 0.4
FACT_IMPORTANCE: Final = 0.8
"""Facts go before messages where both would do; the figures mean nothing beyond their order."""

LONGEST_TEXT: Final = 2000
"""Characters of a message that are kept as its memory, more than encoders read; the turn keeps all of it."""


def memories_of(
    message: User,
    encoder: Encoder,
    vector: Vectors | None = None,
    facts: Mapping[str, str] | None = None,
) -> tuple[NewMemory, ...]:
    """What is to be remembered of a user message: the message as a whole, and each fact that it states.

    Args:
        message: The accepted message.
        encoder: Embeds the facts, and the message if need be.
        vector: The message's own vector, float32 [dimension], where it was computed before.
        facts: The facts that it states, each with what it is about where that has one value at a time. None: the
            sentences that `statements` finds.

    Returns:
        Memories for `commit_turn`, which enters their turn; they inherit the message's worst trust label.
        A greeting or a message that holds a secret gives none.
    """
    text, trust = text_of(message), worst_trust(message.parts)
    if not worth_remembering(text):
        return ()
    if vector is None:
        vector = encoder.encode([text])[0]
    whole = NewMemory("message", text[:LONGEST_TEXT], trust, MESSAGE_IMPORTANCE, encoder.id, vector)
    if facts is None:
        facts = dict.fromkeys(statements(text), "")
    if not facts:
        return (whole,)
    vectors = {text: vector}  # many a message is one fact, as a whole
    if new := [fact for fact in facts if fact != text]:
        vectors.update(zip(new, encoder.encode(new), strict=True))
    return (
        whole,
        *(
            NewMemory("fact", fact, trust, FACT_IMPORTANCE, encoder.id, vectors[fact], about=about)
            for fact, about in facts.items()
        ),
    )
