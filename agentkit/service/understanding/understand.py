"""What a message asks for: rules first, the encoder second, the generator where neither is sure.

1. a message whose every word is a value, a phrase or a word of the subject is understood by rules
2. its clauses are what the encoder surely names, or answers to what the bot asked
3. what neither explains is given to the generator, as a closed choice
"""

from __future__ import annotations

import re
from typing import Final

from agentkit.commands import (
    CannotHandle,
    ChitChat,
    Clarify,
    Command,
    HandOff,
    KnowledgeQuestion,
    SetSlot,
    StartFlow,
)
from agentkit.prompts import PromptLibrary
from agentkit.service.understanding.answers import Answer, settled
from agentkit.service.understanding.phrases import asks, spoken
from agentkit.service.understanding.reading import Frame, read
from agentkit.service.understanding.situation import Ask, Situation, Understood
from agentkit.service.understanding.wishes import Wish, wishes_in

_READ: Final = 2000
"""Characters of a message that are read: its beginning and its end, where wishes stand."""


def understand(situation: Situation, *, ask: Ask | None = None, prompts: PromptLibrary) -> Understood:
    """The commands of a message.

    Args:
        situation: The message and all that may be used to understand it.
        ask: Runs one constrained generation; None: rules and encoder decide alone.
        prompts: Where the words for the generator come from.

    Returns:
        At least one command. A value that stands in one was read from the message.
    """
    text = situation.text.strip()
    if len(text) > _READ:
        return Understood((CannotHandle(reason="too_long"),), "rules")
    if not spoken(text):
        silent = Clarify() if "?" in text and situation.awaiting is not None else CannotHandle(reason="empty")
        return Understood((silent,), "rules")
    answer = Answer(situation, text)
    if (situation.awaiting is not None or situation.active is not None) and answer.explained:
        return Understood(tuple(answer.commands()), "rules")
    return _by_wishes(situation, text)


def _by_wishes(situation: Situation, text: str) -> Understood:
    commands: list[Command] = []
    by_encoder = False
    unexplained: list[Wish] = []
    for wish in wishes_in(situation, text):
        answer = Answer(situation, wish.text)
        own = _own(situation, wish, answer)
        said = answer.commands() if not own else []
        if own:
            commands += own
            by_encoder = True
        elif said:
            commands += said
        else:
            unexplained.append(wish)
    if not commands:
        return _unexplained(situation, unexplained[0], text)
    return Understood(tuple(_telling(commands)), "encoder" if by_encoder else "rules")


def _own(situation: Situation, wish: Wish, answer: Answer) -> list[Command]:
    """What a wish asks for by the encoder's word; nothing where it is an answer."""
    open_ = situation.awaiting is not None or situation.active is not None
    if wish.intent is None or (open_ and wish.kind == "flow" and wish.flow == situation.active):
        return []
    if open_ and answer.explained:
        return []
    match wish.kind:
        case "flow":
            return _started(situation, wish)
        case "knowledge":
            return [KnowledgeQuestion(text=wish.text)]
        case "chat":
            return [ChitChat(intent=wish.intent)]
        case "person":
            return [HandOff(reason=wish.intent)]
        case "other":
            return []


def _started(situation: Situation, wish: Wish) -> list[Command]:
    flow = situation.flows[wish.flow]
    reading = read(wish.text, flow, Frame(situation.today, situation.language))
    commands: list[Command] = [StartFlow(flow=flow.name), *settled(reading, wish.text)]
    for further in reading.listed:
        said = wish.text[further.start : further.end]
        commands.append(StartFlow(flow=flow.name))
        commands.append(SetSlot(slot=further.slot.name, value=further.value, said=said))
    return commands


def _telling(commands: list[Command]) -> list[Command]:
    """Without the greeting of a message that wants something."""
    others: list[Command] = [each for each in commands if not isinstance(each, ChitChat)]
    return others or commands[:1]


def _unexplained(situation: Situation, wish: Wish, text: str) -> Understood:
    answer = Answer(situation, text)
    if not asks(text) and (free := answer.free_text()):
        return Understood(tuple(free), "rules")
    if asks(text) and wish.prediction is not None and wish.prediction.intent is not None:
        return Understood((KnowledgeQuestion(text=text),), "rules")
    return Understood((CannotHandle(),), "rules")


_ = re
