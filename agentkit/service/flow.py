"""What a flow file may say: closed models, so that a misspelt key is an error with its line.

A flow is a business process written as data: the values it needs (slots) and what is done with them (steps). The steps
are a closed union, each named by its verb; `docs/flows.md` describes them for authors.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Discriminator, Field, JsonValue, Tag, field_validator, model_validator

from agentkit.messages import Value
from agentkit.service.sketch import SlotType

Text: TypeAlias = str | tuple[str, ...]
"""A Jinja template, or several variations of it."""

Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""A name that expressions and templates can use."""

RESERVED: Final = frozenset(
    {"profile", "contact", "today", "tone", "language", "failure", "arguments", "end", "cancel"}
)
"""Names that slots and results cannot have."""

TAKEN_MEANINGS: Final = frozenset({"answer", "question", "none"})
"""What a message may mean beside a flow; the generator chooses among these and the names of flows."""

PATTERN_PREFIX: Final = "pattern_"
"""Flows with such a name are how the machine itself speaks; a bot's own takes the place of the one that ships."""


class Check(Value):
    """A tool that looks whether a value is right, as soon as the user gave it.

    Args:
        tool: A tool that only looks. What it raises as `ToolFailed` is said, and the value is asked for again.
        save: What its result is called; written `as`.
        arguments: Its arguments, as in `call`; written `with`.
    """

    tool: str
    save: Name | None = Field(default=None, alias="as")
    arguments: dict[str, JsonValue] = Field(default_factory=dict, alias="with")


class Slot(Value):
    """A value that a flow needs.

    Args:
        type: How it is read from the user's words.
        description: What it is, in words that users may use for it.
        examples: Values, for whoever understands the message and for the user who asks what is meant.
        pattern: Regular expression that a text matches as a whole.
        choices: Names of the choices of the type `choice`, each with other ways to say it.
        choices_from: Expression that gives the names of the choices when the value is asked for.
        currency: Code of the only currency of an amount.
        past: Whether a day without a year is the last such day.
        ask: The question; variations are used in turn when it is asked again.
        ask_again: How often it is asked again before the conversation goes to a person.
        refused: What is said when a value does not fit; `value` holds it.
        source: Expression that gives the value without asking, where it has one; written `from`.
        default: The value as long as the user gives none; it is then not asked for.
        check: A tool that looks whether the value is right; written `validate`.
    """

    type: SlotType = "text"
    description: str = ""
    examples: tuple[str, ...] = ()
    pattern: str = ""
    choices: dict[str, tuple[str, ...]] | tuple[str, ...] = ()
    choices_from: str | None = None
    currency: str = ""
    past: bool = False
    ask: Text | None = None
    ask_again: int = Field(default=2, ge=0, le=10)
    refused: Text | None = None
    source: str | None = Field(default=None, alias="from")
    default: JsonValue = None
    check: Check | None = Field(default=None, alias="validate")

    @model_validator(mode="after")
    def _fits_its_type(self) -> Slot:
        has_choices = bool(self.choices) or self.choices_from is not None
        if (self.type == "choice") != has_choices:
            raise ValueError("the type `choice` and `choices` (or `choices_from`) go together")
        if self.pattern and self.type != "text":
            raise ValueError("only the type `text` has a pattern")
        return self

    def names(self) -> dict[str, tuple[str, ...]]:
        """The choices that are written down, with other ways to say each."""
        return self.choices if isinstance(self.choices, dict) else dict.fromkeys(self.choices, ())


class _Step(Value):
    id: Name | None = None


class Collect(_Step):
    """Have a value of the slot: it is asked for if there is none; `again` asks for a new one."""

    collect: str
    again: bool = False


class Call(_Step):
    """Call a tool.

    Args:
        call: The tool.
        save: What its result is called; written `as`.
        arguments: Arguments: plain values, or `"{{ expression }}"`; written `with`. A parameter that is called like
            a slot gets its value without being named; null leaves a parameter out.
        failed: Steps where the tool says that it cannot (`failure` holds its words); without them they are said and
            the flow ends.
    """

    call: str
    save: Name | None = Field(default=None, alias="as")
    arguments: dict[str, JsonValue] = Field(default_factory=dict, alias="with")
    failed: tuple[Step, ...] | None = None


class Confirm(_Step):
    """Ask for a yes to the calls with an effect that follow in the same list of steps.

    Args:
        confirm: The question, which should say what will be done.
        denied: Steps after a no; without them nothing is done and the flow ends.
    """

    confirm: Text
    denied: tuple[Step, ...] | None = None


class Say(_Step):
    """Say something.

    Args:
        say: The text.
        phrase: `free` lets the generator put it into other words, which are checked against the text.
    """

    say: Text
    phrase: Literal["template", "free"] = "template"


class If(_Step):
    """Go one of two ways."""

    condition: str = Field(alias="if")
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...] = Field(default=(), alias="else")


class Goto(_Step):
    """Go on at the step with this `id`."""

    goto: str


class HandOffStep(_Step):
    """Give the conversation to a person.

    Args:
        hand_off: Why, for the person.
        priority: More is more urgent.
    """

    hand_off: str
    priority: int = Field(default=0, ge=0, le=9)


Step: TypeAlias = Annotated[
    Annotated[Literal["end", "cancel"], Tag("step[end]")]
    | Annotated[Collect, Tag("step[collect]")]
    | Annotated[Call, Tag("step[call]")]
    | Annotated[Confirm, Tag("step[confirm]")]
    | Annotated[Say, Tag("step[say]")]
    | Annotated[If, Tag("step[if]")]
    | Annotated[Goto, Tag("step[goto]")]
    | Annotated[HandOffStep, Tag("step[hand_off]")],
    Discriminator(
        lambda value: _verb(value),
        custom_error_type="step_without_verb",
        custom_error_message=(
            "a step is `end` or begins with one of collect, call, confirm, say, if, goto, hand_off"
        ),
    ),
]
"""One step. `end` ends the flow; `cancel` ends it and the flow that it interrupted (for patterns)."""

_VERBS: Final = ("collect", "call", "confirm", "say", "if", "goto", "hand_off")


def _verb(value: Any) -> str | None:
    if isinstance(value, str):
        return "step[end]"
    if isinstance(value, dict):
        return next((f"step[{verb}]" for verb in _VERBS if verb in value), None)
    return None


class Flow(Value):
    """A business process.

    Args:
        name: What it is called; the name of the file.
        description: What it does for the user, in one sentence: whoever understands the message reads it.
        title: How users are told of it ("cancelling an order"); empty: the name with blanks.
        intents: Intents that start it.
        slots: The values that it needs.
        steps: What is done, in order.
    """

    name: Name
    description: str = Field(min_length=1)
    title: str = ""
    intents: tuple[str, ...] = ()
    slots: dict[Name, Slot] = Field(default_factory=dict)
    steps: tuple[Step, ...] = Field(min_length=1)

    @field_validator("name")
    @classmethod
    def _is_no_other_meaning(cls, name: str) -> str:
        if name in TAKEN_MEANINGS:
            raise ValueError(
                f"a flow cannot be called `{name}`, which a message may mean by itself; say more of it"
            )
        return name

    @field_validator("slots")
    @classmethod
    def _names_are_free(cls, slots: dict[str, Slot]) -> dict[str, Slot]:
        if taken := sorted(RESERVED & slots.keys()):
            raise ValueError(f"`{taken[0]}` has a meaning of its own and cannot be a slot")
        return slots

    @property
    def is_pattern(self) -> bool:
        """Whether it is one of the ways in which the machine itself speaks."""
        return self.name.startswith(PATTERN_PREFIX)

    @property
    def spoken(self) -> str:
        """How users are told of it."""
        return self.title or self.name.replace("_", " ")


class Policy(Value):
    """A rule of the business, checked in code just before a tool is called.

    Args:
        before: The tools that it guards.
        holds: Expression over the variables of the flow and `arguments`; what is not true stands against the call.
        refusal: What the user is told then.
        needs_approval: Instead of refusing, a person has to agree to the call.
        reason: What that person reads.
    """

    before: tuple[str, ...] = Field(min_length=1)
    holds: str
    refusal: Text | None = None
    needs_approval: bool = False
    reason: str = ""

    @model_validator(mode="after")
    def _has_one_consequence(self) -> Policy:
        if (self.refusal is not None) == self.needs_approval:
            raise ValueError("say what follows: a `refusal` text or `needs_approval: true`")
        return self


class PolicyFile(Value):
    """`flows/policies.yaml`."""

    policies: dict[Name, Policy]
