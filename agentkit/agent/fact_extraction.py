"""Facts that the generator finds in a user message, under a constraint, and that the message bears out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentkit.agent.aside import written_aside
from agentkit.knowledge.grounding import unsupported
from agentkit.knowledge.sentences import sentences
from agentkit.memory.contradiction import subject_of
from agentkit.memory.extraction import holds_secret, worth_remembering

if TYPE_CHECKING:
    from agentkit.agent.turn import Turn

_SINGLE: Final = ("name", "home", "contact", "job", "employer", "age")
"""Kinds that have one value at a time: a newer fact takes the place of an older one."""
_KINDS: Final = (*_SINGLE, "preference", "order", "case", "possession", "family", "health", "other")
_MOST_FACTS: Final = 4
_MOST_TOKENS: Final = 250
_FOUND: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "facts": {
            "type": "array",
            "maxItems": _MOST_FACTS,
            "items": {
                "type": "object",
                "properties": {
                    "kind": {"enum": list(_KINDS)},
                    "fact": {"type": "string", "minLength": 8, "maxLength": 160},
                },
                "required": ["kind", "fact"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["facts"],
    "additionalProperties": False,
}
_REPORTING: Final = "the user, the user's, is, has, lives, works, likes, prefers, wants"
"""Words that a fact may use though the user did not say them."""


def generated_facts(turn: Turn) -> dict[str, str] | None:
    """The facts that the message of a turn states, each with what it is about where that has one value at a time.

    A fact with a number, a name or other words that the message does not hold is left out, and so is a secret.

    Returns:
        None where the generator did not finish in time: rules find the facts then.
    """
    if not worth_remembering(turn.text):
        return {}
    found = written_aside(turn, turn.wiring.prompts.render("extract_facts"), turn.text, _FOUND, _MOST_TOKENS)
    if found is None:
        return None
    said = sentences(
        turn.text
    )  # a fact stands in one of them: taking half from each is how small models mislead
    return {
        each["fact"].strip(): subject_of(each["fact"]) or (each["kind"] if each["kind"] in _SINGLE else "")
        for each in found["facts"]
        if not unsupported(each["fact"], said, _REPORTING) and not holds_secret(each["fact"])
    }
