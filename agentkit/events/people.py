"""What happens between a customer and the people who answer in the bot's place."""

from __future__ import annotations

from typing import Literal, TypeAlias

from agentkit.events.base import EventValue


class PassedOn(EventValue):
    """A message is stored and waits for a person; the bot does not answer it. It belongs to no turn yet.

    Args:
        conversation_id: The conversation.
        message_id: The message.
        hand_off_id: The hand-off that it waits in.
        person: Who has the conversation; empty: nobody yet.
        text: What the customer hears; empty where they heard it before.
    """

    type: Literal["passed_on"] = "passed_on"
    conversation_id: str
    message_id: str
    hand_off_id: str
    person: str
    text: str


class PersonAnswered(EventValue):
    """A person said what the turn's reply says, or used a tool in it."""

    type: Literal["person_answered"] = "person_answered"
    hand_off_id: str
    person: str


class HandOffEnded(EventValue):
    """A person is done with the conversation; the bot goes on with it. `note` is not for the customer."""

    type: Literal["hand_off_ended"] = "hand_off_ended"
    hand_off_id: str
    person: str
    outcome: Literal["given_back", "closed"]
    note: str = ""


class CallbackAsked(EventValue):
    """Nobody is there, and the customer was asked how, or when, to be called."""

    type: Literal["callback_asked"] = "callback_asked"
    missing: Literal["phone", "when"]


class CallbackNoted(EventValue):
    """The customer said how and when they want to be called; it is in the queue."""

    type: Literal["callback_noted"] = "callback_noted"
    phone: str
    when: str


PeopleEvent: TypeAlias = PassedOn | PersonAnswered | HandOffEnded | CallbackAsked | CallbackNoted
