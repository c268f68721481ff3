"""What a run yields: a closed union of frozen values, stored as the trace of a turn.

Every event carries `milliseconds`: the time that the step took which it reports (0 where it reports no work).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, JsonValue, TypeAdapter

from agentkit.messages import CallStatus, ToolCall, ToolEffect, ToolResult, TrustLabel, Value

DeclineReason: TypeAlias = Literal["out_of_scope", "no_evidence", "not_answered", "limit"]
"""Why the bot does not know: not its subject, nothing found, found but no answer, or a limit stopped the run."""

ReplySource: TypeAlias = Literal[
    "generated",
    "quoted",
    "template",
    "stored_answer",
    "question",
    "declined",
    "hand_off",
    "interrupted",
    "approval",
]
"""Where the words come from: written by the generator and checked, quoted, rendered from a result, a stored answer, a
question for a value, a refusal, a hand-off, the note that the bot was stopped, or that a person has to agree first."""


class _Event(Value):
    milliseconds: float = 0.0


class TurnStarted(_Event):
    """The user message is stored: from here on nothing loses it."""

    type: Literal["turn_started"] = "turn_started"
    conversation_id: str
    turn_id: str
    text: str
    resumed: bool = False


class IntentRecognised(_Event):
    """The calibrated decision of the encoder; `intent` is None when the message is out of scope.

    `ambiguous` names two intents that fit about equally well, where there are such.
    """

    type: Literal["intent_recognised"] = "intent_recognised"
    intent: str | None
    probability: float
    ranking: tuple[tuple[str, float], ...] = ()
    ambiguous: tuple[str, ...] = ()


class IntentAsked(_Event):
    """Two intents fit about equally well, and the bot asked which is meant; the next message may answer."""

    type: Literal["intent_asked"] = "intent_asked"
    intents: tuple[str, ...]


class Recollection(Value):
    """One recalled memory: text, cosine similarity to the message, trust, and where and when it comes from.

    `score` is what it was ordered by: similarity, common words, age and importance.
    """

    memory_id: str
    text: str
    similarity: float
    kind: Literal["message", "fact"]
    trust: TrustLabel = "user"
    conversation_id: str | None = None
    score: float = 0.0
    turn_id: str | None = None
    created_at: datetime | None = None


class MemoriesRecalled(_Event):
    """What was found again from earlier conversations of the same user."""

    type: Literal["memories_recalled"] = "memories_recalled"
    memories: tuple[Recollection, ...]


class PassageFound(Value):
    """One passage of the knowledge, its place, and why it was found.

    Args:
        document: The name of its document.
        heading: The headings above it, joined by ` › `; of a question/answer pair the question.
        text: What it says.
        similarity: Cosine similarity to the question.
        words: BM25 of the words that it shares with the question; 0 where it shares none that tell.
        score: What passages are ordered by, from both.
        kind: `pair`: it is the answer of a question/answer pair.
        start: Offset of its first character in the document; HTML and PDF count in the text that was read from them.
        end: Offset behind its last character.
    """

    document: str
    heading: str
    text: str
    similarity: float
    words: float = 0.0
    score: float = 0.0
    kind: Literal["passage", "pair"] = "passage"
    start: int = 0
    end: int = 0


class PassagesFound(_Event):
    """What the knowledge search returned, best first."""

    type: Literal["passages_found"] = "passages_found"
    passages: tuple[PassageFound, ...]


class AnswerabilityJudged(_Event):
    """Whether the evidence answers the question, decided before anything is said.

    Args:
        answerable: The decision.
        probability: Calibrated probability that the evidence answers the question.
        judge: Which judge decided, for example `generator+encoder` or `encoder`.
    """

    type: Literal["answerability_judged"] = "answerability_judged"
    answerable: bool
    probability: float
    judge: str


class ToolsOffered(_Event):
    """The few tools that entered the prompt and the constraint of this step."""

    type: Literal["tools_offered"] = "tools_offered"
    names: tuple[str, ...]


class GenerationFinished(_Event):
    """One generation step.

    Args:
        text: What the generator wrote, raw.
        calls: The calls parsed from it; they run only if `finish` is `stop`.
        finish: Why it ended.
        prompt_tokens: Length of the prompt.
        cached_tokens: How many of those were not computed again.
        generated_tokens: Tokens written.
        forced_tokens: How many of the written ones the constraint forced.
        forward_passes: Forward passes for all of it, prompt included.
    """

    type: Literal["generation_finished"] = "generation_finished"
    text: str
    calls: tuple[ToolCall, ...] = ()
    finish: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    forced_tokens: int = 0
    forward_passes: int = 0


class TextDelta(_Event):
    """A piece of a reply that has passed its checks; all pieces joined are the text of `Replied`."""

    type: Literal["text_delta"] = "text_delta"
    text: str


class GroundingChecked(_Event):
    """A generated reply was compared with its evidence; `unsupported` are the words that it must not say."""

    type: Literal["grounding_checked"] = "grounding_checked"
    supported: bool
    unsupported: tuple[str, ...] = ()


class ToolCallStarted(_Event):
    """The gate let a call through; for a tool with an effect its journal row is durable."""

    type: Literal["tool_call_started"] = "tool_call_started"
    call: ToolCall
    effect: ToolEffect


class ToolCallFinished(_Event):
    """A call has its result; `replayed` when it was read from the journal after a crash."""

    type: Literal["tool_call_finished"] = "tool_call_finished"
    result: ToolResult
    status: CallStatus
    replayed: bool = False


class ArgumentAsked(_Event):
    """A tool needs a value that nobody has given: the reply asks the user for it, and the next turn goes on.

    Args:
        tool: The tool.
        argument: The argument that is missing.
        intent: The intent that led to the tool.
        known: Arguments that are settled already.
    """

    type: Literal["argument_asked"] = "argument_asked"
    tool: str
    argument: str
    intent: str | None = None
    known: dict[str, JsonValue] = Field(default_factory=dict)


class ArgumentOrigin(Value):
    """Where the value of an argument comes from: `user`, `tool:NAME`, `handle order#7`, `choice`, `settled` in an
    earlier question, `content` in the model's own words, or the text of unknown origin that says it."""

    argument: str
    origin: str


class ApprovalReason(Value):
    """Why a person has to agree to a call.

    Args:
        rule: The rule of the gate.
        text: What it found, for the person who decides.
        argument: The argument that it is about, if it is about one.
    """

    rule: Literal["provenance", "plan", "confidentiality", "approve"]
    text: str
    argument: str | None = None


class CallChecked(_Event):
    """The gate looked at a call and let it through, or stopped it until a person agrees.

    Args:
        call: The call with ids in place of handles.
        effect: What its tool does to the world.
        origins: Where its arguments come from.
        reasons: Why a person has to agree; empty: nobody has to.
    """

    type: Literal["call_checked"] = "call_checked"
    call: ToolCall
    effect: ToolEffect
    origins: tuple[ArgumentOrigin, ...] = ()
    reasons: tuple[ApprovalReason, ...] = ()


class ApprovalRequested(_Event):
    """A call waits for a person; the request is durable. `call` holds the exact arguments."""

    type: Literal["approval_requested"] = "approval_requested"
    approval_id: str
    call: ToolCall
    effect: ToolEffect
    reasons: tuple[ApprovalReason, ...]


class ApprovalAnswered(_Event):
    """A person decided about a call.

    Args:
        approval_id: The request.
        decision: What was decided.
        by: Who decided.
        reason: What they said about it.
        arguments: What the call runs with, if it runs.
    """

    type: Literal["approval_answered"] = "approval_answered"
    approval_id: str
    decision: Literal["approved", "rejected", "changed"]
    by: str
    reason: str = ""
    arguments: dict[str, JsonValue] = Field(default_factory=dict)


class ToolProgress(_Event):
    """What a running tool told of itself: how far it is, or what it found so far."""

    type: Literal["tool_progress"] = "tool_progress"
    call_id: str
    name: str
    text: str


class CallRefused(_Event):
    """The gate stopped a call before it ran."""

    type: Literal["call_refused"] = "call_refused"
    call: ToolCall
    rule: Literal[
        "unknown_tool", "schema", "permission", "budget", "repeated", "provenance", "rejected", "limit"
    ]
    reason: str


class LimitReached(_Event):
    """A limit ended the run; the user gets a polite answer."""

    type: Literal["limit_reached"] = "limit_reached"
    limit: Literal["steps", "tokens", "seconds", "repeated_call"]
    detail: str


class Interrupted(_Event):
    """The turn was stopped before it had a reply: by a newer message, or by who listened."""

    type: Literal["interrupted"] = "interrupted"
    reason: str


class Declined(_Event):
    """The bot says that it does not know and offers a person."""

    type: Literal["declined"] = "declined"
    reason: DeclineReason


class HandedOff(_Event):
    """A person was asked to take over."""

    type: Literal["handed_off"] = "handed_off"
    reason: str


class Replied(_Event):
    """The reply, with the ids of what it was made from; stored in the same transaction as everything else."""

    type: Literal["replied"] = "replied"
    text: str
    source: ReplySource
    citations: tuple[str, ...] = ()


class TurnPaused(_Event):
    """The turn waits for a person to decide about calls; it goes on when they did, in any process."""

    type: Literal["turn_paused"] = "turn_paused"
    turn_id: str
    approvals: tuple[str, ...]


class TurnFinished(_Event):
    """The turn is committed."""

    type: Literal["turn_finished"] = "turn_finished"
    turn_id: str


Event: TypeAlias = Annotated[
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
    | TurnFinished,
    Field(discriminator="type"),
]

_EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Event)


def dump_event(event: Event) -> str:
    """One event as JSON text."""
    return _EVENT.dump_json(event).decode()


def load_event(text: str | bytes) -> Event:
    """The inverse of `dump_event`; raises `pydantic.ValidationError` for anything else."""
    return _EVENT.validate_json(text)
