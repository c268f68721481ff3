"""What the generator reads: static parts first and in a stable order, then history, then the current turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentkit.agent.compaction import summary_before
from agentkit.agent.window import fit
from agentkit.messages import Message, Part, User

if TYPE_CHECKING:
    from agentkit.agent.route import Perception
    from agentkit.agent.turn import Turn
    from agentkit.tools import Tool


def prompt_tools(turn: Turn, seen: Perception, bound: Sequence[Tool] | None) -> list[Tool]:
    """The tools described in the prompt, the same ones in every turn of one kind.

    Args:
        turn: The turn.
        seen: What was perceived.
        bound: The tools that the intent is bound to; None: those nearest to the message.
    """
    if bound is not None:
        return list(bound)
    return turn.tools.for_prompt(seen.tools, turn.wiring.settings.max_tools)


def prompt_messages(
    turn: Turn,
    seen: Perception | None,
    tools: Sequence[Tool],
    reply_tokens: int,
    correction: Sequence[Message] = (),
) -> tuple[Message, ...]:
    """The messages of a prompt that fits the context window.

    Args:
        turn: The turn.
        seen: What was perceived: recalled facts and passages go before the user's words. None leaves them out:
            filling in the arguments of a call does not need them, and they are no source for one.
        tools: Tools that are described.
        reply_tokens: Room left for the reply.
        correction: A rejected proposal and what was wrong with it; part of this prompt only.
    """
    wiring = turn.wiring
    specs = [tool.spec for tool in tools]
    return fit(
        wiring.system,
        turn.history,
        (user_message(turn, seen), *turn.acted(), *correction),
        budget=min(wiring.settings.limits.prompt_tokens, wiring.generator.context_length - reply_tokens),
        count=lambda messages: wiring.generator.count_tokens(messages, specs),
        first=turn.history_from,
        summary=lambda before: summary_before(turn, before),
    )


def user_message(turn: Turn, seen: Perception | None) -> User:
    """The user's words, preceded by what was recalled and found; each part keeps its trust label."""
    said = Part(text=turn.text, trust="user")
    if seen is None or not (seen.memories or seen.passages):
        return User(parts=(said,))
    context = turn.wiring.prompts.render(
        "turn_context",
        facts=[memory.text for memory in seen.memories],
        passages=[passage.text for passage in seen.passages],
    )
    return User(parts=(Part(text=context, trust="untrusted"), said))
