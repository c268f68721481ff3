"""Free phrasing: the generator puts a text of a flow into other words, which are checked against it."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final

from agentkit.agent.steps import note
from agentkit.agent.turn import Turn
from agentkit.errors import ConstraintError, ContextOverflow, ModelError
from agentkit.events import Event, GroundingChecked
from agentkit.knowledge.grounding import unsupported
from agentkit.messages import system, user
from agentkit.models.protocols import FreeText, GenerationRequest

_MOST_TOKENS: Final = 160
_TELLING: Final = re.compile(r"\S*\d\S*")  # numbers, amounts, dates and ids: none of them may be lost


def phrased(turn: Turn, text: str) -> Generator[Event, None, str]:
    """The text in other words; as it is where they say more or less than it."""
    book, prompts = turn.wiring.flows, turn.wiring.prompts
    assert book is not None
    request = GenerationRequest(
        [
            system(prompts.render("phrase_reply", tone=book.tone, language=book.language).strip()),
            user(prompts.render("text_to_phrase", text=text, said=turn.text).strip()),
        ],
        constraint=FreeText(),
        max_tokens=min(_MOST_TOKENS, max(1, turn.tokens_left)),
        deadline=turn.deadline,
        static=1,
    )
    try:
        proposal, events = note(turn, request)
    except (ConstraintError, ContextOverflow, ModelError):
        return text  # other words are only an aid
    yield from events
    proposal = proposal.strip()
    wrong = unsupported(proposal, [text], turn.text) if proposal else ("nothing",)
    lost = tuple(each for each in _TELLING.findall(text) if each.strip(".,!?;:()") not in proposal)
    yield GroundingChecked(supported=not (wrong or lost), unsupported=(*wrong, *lost))
    return text if wrong or lost else proposal
