"""What a dialogue is between two messages: a stack of flows, what waits behind it, and what was asked last."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from agentkit.events import SlotSource
from agentkit.messages import Value
from agentkit.service.sketch import Awaiting, Expected


class PlannedCall(Value):
    """A call with an effect that the user was asked about, or agreed to: this very one and no other."""

    tool: str
    arguments: dict[str, JsonValue]


class DoneCall(Value):
    """A call with an effect that was made: it is not made again when the flow passes it once more."""

    call: PlannedCall
    at: int
    result: JsonValue = None


class _Working(BaseModel):
    """Closed, but not frozen: the machine works on a copy of its own."""

    model_config = ConfigDict(extra="forbid", validate_assignment=False)


class Frame(_Working):
    """One flow on the stack.

    Args:
        flow: Its name.
        version: Fingerprint of its steps, so that a position is never read in another version of the file.
        at: Position in its program.
        messages: How many messages it has seen, the one that began it among them.
        slots: Values, by slot.
        sources: Who gave each.
        results: What tools gave, by the name that the flow gives it, and what a pattern was told.
        collected: Position of the step that each slot was settled at, by slot.
        made: Position of the step that each result was made at, by name.
        checked: Slots whose tool has agreed to their value.
        choices: Choices that were worked out when they were asked for, by slot.
        asked: How often each slot was asked for.
        misses: How often an answer was of no use, by slot.
        planned: Calls that the confirmation on the table is about.
        confirmed: Calls that the user agreed to, not yet made.
        done: Calls with an effect that were made.
    """

    flow: str
    version: str = ""
    at: int = 0
    messages: int = 1
    slots: dict[str, JsonValue] = Field(default_factory=dict)
    sources: dict[str, SlotSource] = Field(default_factory=dict)
    results: dict[str, JsonValue] = Field(default_factory=dict)
    collected: dict[str, int] = Field(default_factory=dict)
    made: dict[str, int] = Field(default_factory=dict)
    checked: list[str] = Field(default_factory=list)
    choices: dict[str, list[str]] = Field(default_factory=dict)
    asked: dict[str, int] = Field(default_factory=dict)
    misses: dict[str, int] = Field(default_factory=dict)
    planned: list[PlannedCall] = Field(default_factory=list)
    confirmed: list[PlannedCall] = Field(default_factory=list)
    done: list[DoneCall] = Field(default_factory=list)


class Request(_Working):
    """A flow that the user asked for and that waits for its turn, with what was said for it already."""

    flow: str
    slots: dict[str, JsonValue] = Field(default_factory=dict)


class Question(Value):
    """What the bot asked last; see `Awaiting`."""

    expected: Expected
    text: str = ""
    flow: str | None = None
    slot: str | None = None
    options: tuple[str, ...] = ()

    def sketch(self) -> Awaiting:
        """The question as whoever understands the answer sees it."""
        return Awaiting(self.expected, self.text, self.flow, self.slot, self.options)


class DialogueState(_Working):
    """A dialogue between two messages.

    Args:
        stack: Flows that were begun, the active one last.
        queue: Flows that were asked for and wait.
        awaiting: What the bot asked last.
        counts: How often each pattern was used in this conversation.
        handed_over: A person has the conversation: what is here is for that person.
    """

    stack: list[Frame] = Field(default_factory=list)
    queue: list[Request] = Field(default_factory=list)
    awaiting: Question | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    handed_over: bool = False

    @property
    def top(self) -> Frame | None:
        """The active flow."""
        return self.stack[-1] if self.stack else None

    def dumped(self) -> dict[str, JsonValue]:
        """As the event `DialogueMoved` holds it."""
        found: dict[str, JsonValue] = self.model_dump(mode="json", exclude_defaults=True)
        return found


def loaded_state(stored: dict[str, JsonValue]) -> DialogueState:
    """The inverse of `dumped`; an empty dialogue where another version wrote something that means nothing here."""
    try:
        return DialogueState.model_validate(stored)
    except ValidationError:
        return DialogueState()
