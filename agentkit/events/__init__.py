"""What a run yields: a closed union of frozen values, stored as the trace of a turn.

Every event carries `milliseconds`: the time that the step took which it reports (0 where it reports no work).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, TypeAlias

from pydantic import Field, TypeAdapter

from agentkit.events.acting import (
    ApprovalAnswered,
    ApprovalReason,
    ApprovalRequested,
    ArgumentAsked,
    ArgumentOrigin,
    CallChecked,
    CallRefused,
    GenerationFinished,
    GroundingChecked,
    ToolCallFinished,
    ToolCallStarted,
    ToolProgress,
    ToolsOffered,
)
from agentkit.events.dialogue import (
    CommandsUnderstood,
    ConfirmationAnswered,
    ConfirmationAsked,
    DialogueEvent,
    DialogueMoved,
    FlowEnded,
    FlowFailed,
    FlowOutcome,
    FlowStarted,
    HandOffQueued,
    PolicyRefused,
    SlotAsked,
    SlotRefused,
    SlotSet,
    SlotSource,
    UnderstoodBy,
)
from agentkit.events.people import (
    CallbackAsked,
    CallbackNoted,
    HandOffEnded,
    PassedOn,
    PeopleEvent,
    PersonAnswered,
)
from agentkit.events.perceiving import (
    AnswerabilityJudged,
    IntentAsked,
    IntentRecognised,
    MemoriesRecalled,
    PassageFound,
    PassagesFound,
    Recollection,
)
from agentkit.events.turns import (
    Declined,
    DeclineReason,
    HandedOff,
    Interrupted,
    LimitReached,
    Replied,
    ReplySource,
    TextDelta,
    TurnFinished,
    TurnPaused,
    TurnStarted,
)

__all__ = [
    "AnswerabilityJudged",
    "ApprovalAnswered",
    "ApprovalReason",
    "ApprovalRequested",
    "ArgumentAsked",
    "ArgumentOrigin",
    "CallChecked",
    "CallRefused",
    "CallbackAsked",
    "CallbackNoted",
    "CommandsUnderstood",
    "ConfirmationAnswered",
    "ConfirmationAsked",
    "DeclineReason",
    "Declined",
    "DialogueEvent",
    "DialogueMoved",
    "Event",
    "FlowEnded",
    "FlowFailed",
    "FlowOutcome",
    "FlowStarted",
    "GenerationFinished",
    "GroundingChecked",
    "HandOffEnded",
    "HandOffQueued",
    "HandedOff",
    "IntentAsked",
    "IntentRecognised",
    "Interrupted",
    "LimitReached",
    "MemoriesRecalled",
    "PassageFound",
    "PassagesFound",
    "PassedOn",
    "PeopleEvent",
    "PersonAnswered",
    "PolicyRefused",
    "Recollection",
    "Replied",
    "ReplySource",
    "SlotAsked",
    "SlotRefused",
    "SlotSet",
    "SlotSource",
    "TextDelta",
    "ToolCallFinished",
    "ToolCallStarted",
    "ToolProgress",
    "ToolsOffered",
    "TurnEvent",
    "TurnFinished",
    "TurnPaused",
    "TurnStarted",
    "UnderstoodBy",
    "dump_events",
    "load_event",
]

TurnEvent: TypeAlias = (
    TurnStarted
    | IntentRecognised
    | IntentAsked
    | MemoriesRecalled
    | PassagesFound
    | AnswerabilityJudged
    | ToolsOffered
    | GenerationFinished
    | TextDelta
    | GroundingChecked
    | ToolCallStarted
    | ToolCallFinished
    | ToolProgress
    | ArgumentAsked
    | CallChecked
    | ApprovalRequested
    | ApprovalAnswered
    | CallRefused
    | LimitReached
    | Interrupted
    | Declined
    | HandedOff
    | Replied
    | TurnPaused
    | TurnFinished
)
"""What the loop reports of a turn; what a dialogue did in it is a `DialogueEvent`, what people did a `PeopleEvent`."""

Event: TypeAlias = Annotated[TurnEvent | DialogueEvent | PeopleEvent, Field(discriminator="type")]

_EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Event)
_EVENTS: Final[TypeAdapter[tuple[Event, ...]]] = TypeAdapter(tuple[Event, ...])


def dump_events(events: Sequence[Event]) -> str:
    """Events as a JSON array."""
    return _EVENTS.dump_json(tuple(events)).decode()


def load_event(text: str | bytes) -> Event:
    """An event from its JSON text; raises `pydantic.ValidationError` for anything else."""
    return _EVENT.validate_json(text)
