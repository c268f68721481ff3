"""Handing a conversation to the people of the desk: what they get, what the customer hears, and how they are called."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydantic import JsonValue

from agentkit.agent.hours import DeskSettings
from agentkit.agent.replies import Composed
from agentkit.agent.turn import Turn, Wiring
from agentkit.events import (
    ArgumentAsked,
    CallbackAsked,
    CallbackNoted,
    Event,
    FlowEnded,
    FlowStarted,
    HandedOff,
    HandOffQueued,
    PassedOn,
    Replied,
    SlotSet,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
)
from agentkit.messages import User, text_of
from agentkit.store.hand_off_records import Callback, HandOffRecord, NewHandOff
from agentkit.store.protocol import InboxRecord, UserStore

_TURNS_READ: Final = 12  # of the conversation, for slots and summary
_ASKED: Final = 4  # messages of the customer that a summary quotes
_LONGEST_QUOTE: Final = 160  # characters
_FIRST_OF_ALL: Final = 100  # priority of what the settings call urgent

_PHONE: Final = re.compile(r"(?<![\w.,-])\+?\(?\d[\d ()/.-]{5,20}\d(?!\w)")
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15
_TIME_WORD: Final = (
    r"(?:\d{1,2}(?::\d{2})?\s*(?:am|pm|a\.m\.|p\.m\.|o'clock|h|uhr)\b|\d{1,2}:\d{2}|"
    r"mon(?:day|tag)s?|tue(?:sday)?s?|wed(?:nesday)?s?|thu(?:rsday)?s?|fri(?:day)?s?|sat(?:urday)?s?|sun(?:day)?s?|"
    r"dienstags?|mittwochs?|donnerstags?|freitags?|samstags?|sonntags?|today|tomorrow|tonight|heute|morgens?|"
    r"mornings?|noon|afternoons?|evenings?|lunch\w*|vormittags?|mittags?|nachmittags?|abends?|any ?time|"
    r"jederzeit|later|soon)"
)
_WHEN: Final = re.compile(
    r"(?:(?:after|before|between|from|at|around|about|on|in the|until|till|by|any|this|next|nach|vor|ab|um|am)\s+)*"
    r"(?:the\s+)?(?:\d{1,2}\s+(?:and|to|-)\s+)?" + _TIME_WORD + r"[^.!?\n]*|"
    r"(?:after|before|between|from|at|around|until|till|nach|vor|ab|um)\s+"
    r"(?:\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b[^.!?\n]*",
    re.IGNORECASE,
)
_LONGEST_TIME: Final = 80  # characters of a message that says when


def hand_over(turn: Turn, composed: Composed) -> Generator[Event, None, tuple[Composed, NewHandOff | None]]:
    """Queue the conversation if the turn hands it off; what the customer hears, with who answers and when.

    Args:
        turn: A turn that is about to be committed.
        composed: Its reply.
    """
    handed = [event for event in turn.events if isinstance(event, HandedOff)]
    if not handed:
        return composed, None
    desk, reason = turn.wiring.settings.desk, handed[-1].reason
    known = turn.store.hand_off(turn.conversation_id)
    urgent = desk is not None and any(_says(reason, word) for word in desk.urgent)
    opens = desk.opens(turn.wiring.now()) if desk is not None else None
    events = [event for each in _earlier_events(turn) for event in each] + turn.events
    new = NewHandOff(
        id=known.id if known is not None else turn.turn_id,
        reason=reason,
        summary=_summary(turn, events),
        slots=_slots(events),
        priority=max([_FIRST_OF_ALL if urgent else 0, *(event.priority for event in handed)]),
        holds=desk is not None and desk.is_open(turn.wiring.now()),
        profile=dict(turn.profile),
    )
    yield HandOffQueued(hand_off_id=new.id, reason=reason, priority=new.priority)
    if desk is None:
        return composed, new
    is_asked = opens is not None and (known is None or known.callback is None)
    if is_asked:
        yield CallbackAsked(missing="phone")
    words = turn.wiring.replies.queued(desk, opens, ask_callback=is_asked)
    return replace(composed, text=f"{composed.text}\n{words}".strip(), source="hand_off"), new


def _says(reason: str, word: str) -> bool:
    """Whether a word or several of them stand in a reason, or in the name of an intent, whole."""
    return re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", reason, re.IGNORECASE) is not None


@dataclass(frozen=True)
class HeardCallback:
    """What a message says about calling back.

    Args:
        composed: The reply to it.
        wish: What is known now.
        event: For the trace.
    """

    composed: Composed
    wish: Callback
    event: Event


def heard_callback(turn: Turn) -> HeardCallback | None:
    """What a message says about calling back, where the bot asked for that; None: it is about something else."""
    desk = turn.wiring.settings.desk
    if desk is None:
        return None
    record = turn.store.hand_off(turn.conversation_id)
    if record is None or record.keeps_the_bot_silent:
        return None
    before = turn.store.turns(turn.conversation_id, last=2)[0]
    asked = [event for event in turn.store.events(before.id) if isinstance(event, CallbackAsked)]
    if not asked:
        return None
    wish = callback_in(turn.text, record.callback if asked[-1].missing == "when" else None)
    if wish is None:
        return None
    text = turn.wiring.replies.callback(desk, wish)
    event: Event = (
        CallbackNoted(phone=wish.phone, when=wish.when) if wish.when else CallbackAsked(missing="when")
    )
    return HeardCallback(Composed(text, "hand_off"), wish, event)


def callback_in(text: str, known: Callback | None = None) -> Callback | None:
    """The phone number and time of a message; None if it says neither.

    Args:
        text: The message.
        known: What was said before, if only the time is missing.
    """
    phone = next((found for found in map(_phone, _PHONE.finditer(text)) if found), "")
    rest = text.replace(phone, " ") if phone else text
    match = _WHEN.search(rest)
    when = " ".join(match.group().split()).strip(" ,;:-") if match else ""
    if phone:
        return Callback(phone=phone, when=when)
    if known is None or not known.phone or len(text) > _LONGEST_TIME or not match:
        return None
    return known.model_copy(update={"when": when})


def passed_on(
    wiring: Wiring, store: UserStore, message: InboxRecord, record: HandOffRecord
) -> Iterator[Event]:
    """What the sender of a message hears that waits for a person: who answers and when, once."""
    text = ""
    if store.acknowledge_hand_off(message.conversation_id):
        desk = wiring.settings.desk or DeskSettings()
        text = wiring.replies.passed_on(desk, desk.opens(wiring.now()), record.person)
        yield TextDelta(text=text)
        yield Replied(text=text, source="hand_off")
    yield PassedOn(
        conversation_id=message.conversation_id,
        message_id=message.id,
        hand_off_id=record.id,
        person=record.person,
        text=text,
    )


def _phone(match: re.Match[str]) -> str:
    digits = sum(character.isdigit() for character in match.group())
    return match.group() if _FEWEST_DIGITS <= digits <= _MOST_DIGITS else ""


def _earlier_events(turn: Turn) -> Iterator[Sequence[Event]]:
    turns = turn.store.turns(turn.conversation_id, last=_TURNS_READ + 1)
    return (turn.store.events(each.id) for each in turns if each.id != turn.turn_id)


def _slots(events: Sequence[Event]) -> dict[str, JsonValue]:
    """The values that were settled, the newest of each name."""
    slots: dict[str, JsonValue] = {}
    for event in events:
        match event:
            case SlotSet(slot=slot, value=value):
                slots[slot] = value
            case ArgumentAsked(known=known):
                slots |= known
            case ToolCallStarted(call=call, effect=effect) if effect != "read":
                slots |= {name: value for name, value in call.arguments.items() if name not in slots}
            case _:
                pass
    return slots


def _summary(turn: Turn, events: Sequence[Event]) -> str:
    said = [text_of(message) for message in turn.history if isinstance(message, User)]
    asked = [_short(text) for text in [*said, turn.text] if text.strip()][-_ASKED:]
    started = {event.call.id: event for event in events if isinstance(event, ToolCallStarted)}
    calls = [
        f"{event.result.name.replace('_', ' ')}: {event.status}, {_short(text_of(event.result))}"
        for event in events
        if isinstance(event, ToolCallFinished)
        and event.result.call_id in started
        and started[event.result.call_id].effect != "read"
    ]
    return turn.wiring.replies.hand_off_summary(flow=_flow(events), asked=asked, calls=calls)


def _flow(events: Sequence[Event]) -> str:
    """The flow that the conversation was in: not ended, or ended by handing it off."""
    open_flows: list[str] = []
    for event in events:
        match event:
            case FlowStarted(flow=flow):
                open_flows.append(flow)
            case FlowEnded(flow=flow, outcome=outcome) if outcome != "handed_off" and flow in open_flows:
                open_flows.remove(flow)
            case _:
                pass
    return open_flows[-1].replace("_", " ") if open_flows else ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_QUOTE else line[: _LONGEST_QUOTE - 1] + "…"
