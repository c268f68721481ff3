"""What the author of a bot can set about the loop; every field has a default that works."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agentkit.agent.hours import DeskSettings
from agentkit.messages import Value


class Limits(Value):
    """What stops a run with an event and a polite answer.

    Args:
        steps: Generations of one turn.
        tokens: Tokens that the generator may write in one turn.
        seconds: Wall time of one turn; a tool gets what is left of it.
        prompt_tokens: Longest prompt; older turns are left out beyond it.
        calls: Tool calls of one turn.
        calls_at_once: Calls of one reply, and how many of them run side by side.
        repeated_calls: How often the same call with the same arguments may run in one turn.
        message_characters: Longest user message that is accepted.
        waiting_messages: Most messages that may wait in one conversation; the next one is refused as busy.
    """

    steps: int = Field(default=6, ge=1, le=100)
    tokens: int = Field(default=600, ge=16)
    seconds: float = Field(default=60.0, gt=0)
    prompt_tokens: int = Field(default=4_000, ge=256)
    calls: int = Field(default=16, ge=1)
    calls_at_once: int = Field(default=4, ge=1, le=32)
    repeated_calls: int = Field(default=1, ge=1)
    message_characters: int = Field(default=8_000, ge=1)
    waiting_messages: int = Field(default=16, ge=1)


class Settings(Value):
    """Settings of an agent that are not parts.

    Args:
        instructions: Who the bot is, in a few sentences; part of every prompt.
        contact: How a person is reached; quoted when the bot declines.
        limits: What stops a run.
        tool_similarity: Without intents, a tool is considered when its description is at least this similar
            (cosine) to the message. Chosen low: the generator decides, this only skips hopeless cases.
        plan_similarity: Without intents, a tool with an effect counts as what the user's own words led to when its
            description is at least this similar to them. Others ask a person once text of unknown origin was read.
        approve: Tools, by name or by effect (`write`, `egress`), whose every call a person has to agree to.
        passage_similarity: Passages below this cosine similarity are no evidence.
        recall_similarity: Memories below this cosine similarity are not recalled.
        memory_answer_similarity: An out-of-scope message is answered from a fact that is this similar.
        max_tools: Most tools in the prompt; the nearest when there are more, and beside them at most half as many that
            the conversation has used.
        max_passages: Most passages given as evidence.
        history_turns: Most earlier turns that are considered for the prompt. When there are more, all but a third of
            them leave it at once.
        compaction: How what left the prompt is summarised: `extractive` takes over sentences, `generated` lets the
            generator write a few, which are checked, and takes over what they lack. It costs a generation each time
            that the window moves.
        fact_extraction: How facts are found in what a user says: `rules` takes whole sentences over, `generated` lets
            the generator name them, and keeps those that the message bears out. It costs a generation each turn.
        desk: Who answers customers that the bot hands over. None: nobody answers in the conversation, so that the bot
            goes on answering in it.
    """

    instructions: str = ""
    contact: str = ""
    limits: Limits = Limits()
    tool_similarity: float = Field(default=0.15, ge=-1, le=1)
    plan_similarity: float = Field(default=0.15, ge=-1, le=1)
    approve: tuple[str, ...] = ()
    passage_similarity: float = Field(default=0.35, ge=-1, le=1)
    recall_similarity: float = Field(default=0.35, ge=-1, le=1)
    memory_answer_similarity: float = Field(default=0.5, ge=-1, le=1)
    max_tools: int = Field(default=6, ge=1)
    history_turns: int = Field(default=12, ge=0)
    max_passages: int = Field(default=4, ge=1)
    compaction: Literal["extractive", "generated"] = "extractive"
    fact_extraction: Literal["rules", "generated"] = "rules"
    desk: DeskSettings | None = None
