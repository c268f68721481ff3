"""What happens between a customer and people, as one line each: a label and what happened."""

from __future__ import annotations

from typing import assert_never

from agentkit.events import CallbackAsked, CallbackNoted, HandOffEnded, PassedOn, PeopleEvent, PersonAnswered


def people_line(event: PeopleEvent) -> tuple[str, str]:
    """Label and text of an event."""
    match event:
        case PassedOn(person=person, hand_off_id=hand_off_id):
            return "waits", f"for {person or 'a person'}, with hand-off {hand_off_id}; the message is stored"
        case PersonAnswered(person=person):
            return "person", f"{person} acts in the bot's place"
        case HandOffEnded(person=person, outcome=outcome):
            return "person", f"{person}: {outcome.replace('_', ' ')}"
        case CallbackAsked(missing=missing):
            return "asks for", f"a {'time' if missing == 'when' else 'number'} to call back"
        case CallbackNoted(phone=phone, when=when):
            return "callback", f"{phone}, {when}"
        case other:
            assert_never(other)
