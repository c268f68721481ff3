"""Taking a message: what its commands change, before the active flow goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from pydantic import JsonValue

from agentkit.commands import (
    Cancel,
    CannotHandle,
    ChitChat,
    Clarify,
    Command,
    Confirm,
    CorrectSlot,
    Deny,
    HandOff,
    KnowledgeQuestion,
    Repeat,
    SetSlot,
    StartFlow,
)
from agentkit.events import ConfirmationAnswered
from agentkit.service.moves import AskKnowledge, Chat
from agentkit.service.slots import settle
from agentkit.service.state import Frame, PlannedCall, Question, Request
from agentkit.service.working import MOST_WAITING, Pattern, Which, Working

_CONFIRMATIONS_AGAIN = 2  # how often a yes or no is asked for again before a person is offered


@dataclass
class _Message:
    """What a message did so far.

    Args:
        waiting: What the bot had asked.
        before: The flow that was active.
        planned: The calls that it had asked about.
        target: Where values go: the active flow, or one that the message asks for.
        useful: Something in it was of use for what was asked.
        started: It began a flow.
        named: Flows that it asked for: one that it asks for again is meant once more, with values of its own.
        yes, no: It says so.
        why: Why nothing could be made of it.
    """

    waiting: Question | None
    before: Frame | None
    planned: list[PlannedCall]
    target: Frame | Request | None
    useful: bool = False
    started: bool = False
    yes: bool = False
    no: bool = False
    repeat: bool = False
    why: str = ""
    untaken: list[str] = field(default_factory=list)
    named: set[str] = field(default_factory=set)


def take(work: Working, commands: Sequence[Command]) -> None:
    """Change the dialogue as the commands of a message say, in their order."""
    state = work.state
    top = state.top
    message = _Message(state.awaiting, top, list(top.planned) if top else [], top)
    state.awaiting = None
    for command in commands:
        _command(work, message, command)
    if message.repeat and not (message.useful or message.started or work.todo) and work.last:
        work.say(work.last, "repeated")
        state.awaiting = message.waiting
        return
    _answer(work, message)
    if message.waiting is not None and not (message.useful or message.started):
        _missed(work, message)
    elif message.why and not work.todo and top is not None:
        _say_why(work, message)
    if top is not None and top.planned:
        top.planned.clear()  # it is asked about again where the flow stands


def _command(work: Working, message: _Message, command: Command) -> None:
    match command:
        case StartFlow(flow=flow):
            _start(work, message, flow)
        case SetSlot(slot=slot, value=value) | CorrectSlot(slot=slot, value=value):
            _set(work, message, slot, value)
        case Confirm():
            message.yes = True
        case Deny():
            message.no = True
        case Cancel(flow=flow):
            _cancel(work, message, flow)
        case Repeat():
            message.repeat = True
        case Clarify(flows=flows):
            message.useful = True
            _clarify(work, message, flows)
        case KnowledgeQuestion(text=text):
            message.useful = True
            work.todo.append(AskKnowledge(text))
        case ChitChat(intent=intent):
            message.useful = True
            pattern = work.book.pattern_by_intent.get(intent or "")
            work.todo.append(Pattern(pattern) if pattern else Chat(intent))
        case HandOff(reason=reason):
            message.useful = True
            work.todo.append(Pattern("pattern_hand_off", {"reason": reason}))
        case CannotHandle(reason=reason):
            message.why = reason
        case other:
            assert_never(other)


def _start(work: Working, message: _Message, flow: str) -> None:
    state = work.state
    if flow not in work.book.flows or work.book.flows[flow].flow.is_pattern:
        message.why = message.why or "unclear"
        return
    again = flow in message.named
    message.named.add(flow)
    there = next((each for each in state.stack if each.flow == flow and not again), None)
    waiting = next((each for each in state.queue if each.flow == flow and not again), None)
    answers = message.useful or (message.yes and message.waiting is not None)
    message.useful = True
    if there is not None:
        if there is not state.top:
            state.stack.remove(there)
            state.stack.append(there)
            message.started = True
        message.target = there
    elif waiting is not None:
        message.target = waiting
    elif (state.stack and (answers or message.started or again)) or len(state.stack) >= MOST_WAITING:
        if len(state.queue) < MOST_WAITING:
            message.target = Request(flow=flow)
            state.queue.append(message.target)
            work.todo.append(Pattern("pattern_queued", {"flow": work.spoken(flow)}))
    else:
        message.started = True
        message.target = work.push(flow)


def _set(work: Working, message: _Message, slot: str, value: JsonValue) -> None:
    target = message.target
    if isinstance(target, Request):
        if slot in work.book.flows[target.flow].flow.slots:
            target.slots[slot] = value
        return
    frames = [target, *reversed(work.state.stack)] if target is not None else []
    frame = next((each for each in frames if slot in work.loaded(each).flow.slots), None)
    if frame is None:
        message.why = message.why or "unclear"
    elif settle(work, frame, slot, value):
        message.useful = True
    else:
        message.untaken.append(slot)


def _cancel(work: Working, message: _Message, flow: str | None) -> None:
    state = work.state
    queued = next((each for each in state.queue if each.flow == flow), None)
    if queued is not None:
        state.queue.remove(queued)
        named = queued.flow
    else:
        frames = [each for each in state.stack if not work.loaded(each).flow.is_pattern]
        wanted = [each for each in frames if each.flow == flow] if flow is not None else []
        # "Forget it" means what was going on before this message, whatever else the message begins.
        earlier = [each for each in frames if each is message.before] or frames
        frame = wanted[-1] if wanted else earlier[-1] if earlier else None
        if frame is None:
            work.todo.append(Pattern("pattern_nothing_to_cancel"))
            message.useful = True
            return
        named = frame.flow
        work.end(frame, "cancelled")
        below = [each for each in state.stack if not work.loaded(each).flow.is_pattern]
        if message.target is frame:
            message.target = state.top
    message.useful = True
    work.todo.append(Pattern("pattern_cancelled", {"flow": work.spoken(named)}))
    if queued is None and below and not message.started:
        work.todo.append(Pattern("pattern_resumed", {"flow": work.spoken(below[-1].flow)}))


def _clarify(work: Working, message: _Message, flows: Sequence[str]) -> None:
    known = tuple(each for each in flows if each in work.book.flows)
    if len(known) > 1:
        work.todo.append(Which(known))
        return
    waiting = message.waiting
    explained, examples = "", list[JsonValue]()
    if waiting is not None and waiting.slot is not None and waiting.flow is not None:
        slot = work.book.flows[waiting.flow].flow.slots[waiting.slot]
        explained, examples = slot.description or waiting.slot.replace("_", " "), [*slot.examples]
    given: dict[str, JsonValue] = {
        "explained": explained,
        "examples": examples,
        "question": waiting.text if waiting is not None else "",
        "flow": work.spoken(waiting.flow) if waiting is not None and waiting.flow else "",
    }
    work.todo.append(Pattern("pattern_clarify", given))


def _answer(work: Working, message: _Message) -> None:
    """What a yes or a no means: for the confirmation on the table, for a slot that wants one, or for nothing."""
    waiting, frame = message.waiting, message.before
    is_there = frame is not None and any(each is frame for each in work.state.stack)
    if waiting is None:
        if (message.yes or message.no) and not (message.useful or work.todo):
            work.todo.append(Pattern("pattern_nothing_asked" if message.yes else "pattern_nothing_more"))
        return
    if waiting.expected == "slot" and frame is not None and is_there and message.yes != message.no:
        slot = work.loaded(frame).flow.slots.get(waiting.slot or "")
        if slot is not None and slot.type == "boolean" and waiting.slot not in frame.slots:
            assert waiting.slot is not None
            message.useful = settle(work, frame, waiting.slot, message.yes) or message.useful
    if waiting.expected != "confirmation" or frame is None or not is_there:
        return
    if message.planned and not frame.planned:
        message.useful = True  # a value was changed: the question is asked about the new call
    elif message.yes and not message.no:
        message.useful = True
        _agreed(work, frame)
    elif message.no and not message.yes and not message.started:
        message.useful = True
        _denied(work, frame)


def _agreed(work: Working, frame: Frame) -> None:
    node = work.loaded(frame).nodes[frame.at]
    for call in frame.planned:
        work.events.append(ConfirmationAnswered(flow=frame.flow, tool=call.tool, answer="confirmed"))
    frame.confirmed, frame.planned = list(frame.planned), []
    frame.misses.pop("confirmation", None)
    frame.at = node.ways["next"]


def _denied(work: Working, frame: Frame) -> None:
    node = work.loaded(frame).nodes[frame.at]
    for call in frame.planned:
        work.events.append(ConfirmationAnswered(flow=frame.flow, tool=call.tool, answer="denied"))
    frame.planned = []
    if "denied" in node.ways:
        frame.at = node.ways["denied"]
        return
    work.end(frame, "cancelled")
    work.todo.append(Pattern("pattern_denied", {"flow": work.spoken(frame.flow)}))
    below = [each for each in work.state.stack if not work.loaded(each).flow.is_pattern]
    if below:
        work.todo.append(Pattern("pattern_resumed", {"flow": work.spoken(below[-1].flow)}))


def _missed(work: Working, message: _Message) -> None:
    """The question was not answered: say why and ask again, or offer a person after some attempts."""
    waiting, frame = message.waiting, message.before
    assert waiting is not None
    if frame is None or not any(each is frame for each in work.state.stack):
        _say_why(work, message)
        return
    key = waiting.slot or "confirmation"
    frame.misses[key] = frame.misses.get(key, 0) + 1
    slot = work.loaded(frame).flow.slots.get(key)
    most = slot.ask_again if slot is not None else _CONFIRMATIONS_AGAIN
    if frame.misses[key] > most:
        work.todo.clear()
        described = (slot.description if slot is not None else "") or key.replace("_", " ")
        given: dict[str, JsonValue] = {"slot": described, "flow": work.spoken(frame.flow)}
        work.todo.append(Pattern("pattern_given_up", given))
    elif not message.untaken:
        _say_why(work, message)


def _say_why(work: Working, message: _Message) -> None:
    asked = message.waiting.text if message.waiting is not None else ""
    names = {
        "empty": "pattern_silence",
        "too_long": "pattern_too_long",
        "out_of_scope": "pattern_out_of_scope",
    }
    why = message.why or ("unclear" if message.yes or message.no or message.untaken else "empty")
    work.todo.append(Pattern(names.get(why, "pattern_not_understood"), {"question": asked}))
