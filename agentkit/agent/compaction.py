"""What leaves the window of a conversation becomes a summary, which grows as the window moves.

A summary is made once for each place where a window begins, and is kept: the prompt stays what it was, so that the
states of its beginning can be used again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from agentkit.agent.aside import written_aside
from agentkit.knowledge.grounding import unsupported
from agentkit.memory.summary import extended, with_sentences
from agentkit.messages import Message, Part, split_turns, text_of
from agentkit.store.records import SummaryRecord

if TYPE_CHECKING:
    from agentkit.agent.turn import Turn

_MOST_TURNS: Final = 400
"""Turns that are read at once. More leave the window together only where no summary was ever made: then the older ones
are only recalled."""
_MOST_TOKENS: Final = 200
_REPORTING: Final = (
    "the user asked, asks, wants, said, says, told; the bot answered, replied, explained, confirmed"
)
"""Words that a summary may use though nobody said them."""
_WRITTEN: Final = {
    "type": "object",
    "properties": {"summary": {"type": "string", "minLength": 20, "maxLength": 600}},
    "required": ["summary"],
    "additionalProperties": False,
}


def summary_before(turn: Turn, before: int) -> Part | None:
    """What the turns of the conversation before a number said, in short.

    Args:
        turn: The turn that is being answered.
        before: Number of the first turn that stays in the window.
    """
    if before == 0:
        return None
    if before not in turn.summaries:
        turn.summaries.clear()  # a window moves on and never back
        turn.summaries[before] = _summary(turn, before)
    return turn.summaries[before]


def _summary(turn: Turn, before: int) -> Part | None:
    known = turn.store.summary(turn.conversation_id, before)
    if known is None or known.through < before:
        known = _made(turn, known, before)
        turn.store.add_summary(turn.conversation_id, known)
    if not known.text:
        return None
    text = turn.wiring.prompts.render("conversation_summary", lines=known.text.splitlines())
    return Part(text=text, trust=known.trust)


def _made(turn: Turn, known: SummaryRecord | None, before: int) -> SummaryRecord:
    earlier = turn.history_from + len(split_turns(turn.history))
    start = max(known.through if known else 0, before - _MOST_TURNS)
    latest = turn.store.transcript(turn.conversation_id, last_turns=earlier - start)
    leaving = [message for each in split_turns(latest)[: before - start] for message in each]
    said = extended(known, leaving, before)
    if turn.wiring.settings.compaction == "generated" and said.text:
        written = _written(turn, known, leaving)
        if written:
            return with_sentences(said, written)
    return said


def _written(turn: Turn, known: SummaryRecord | None, leaving: Sequence[Message]) -> str:
    """A summary by the generator; empty where it was cut or says something that nobody said."""
    said = "\n".join([*((known.text,) if known else ()), *(text_of(message) for message in leaving)])
    prompts = turn.wiring.prompts
    lines = [(message.role, text_of(message)) for message in leaving if text_of(message)]
    about = prompts.render("conversation_to_summarise", before=known.text if known else "", lines=lines)
    found = written_aside(turn, prompts.render("summarise_conversation"), about, _WRITTEN, _MOST_TOKENS)
    if found is None:
        return ""
    written = str(found["summary"]).strip()
    return "" if unsupported(written, [said], _REPORTING) else written
