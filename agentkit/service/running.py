"""Running: one step of the active flow after the other, until something is needed from the outside."""

from __future__ import annotations

from typing import assert_never

from pydantic import JsonValue

from agentkit.errors import PromptError
from agentkit.events import ConfirmationAsked, PolicyRefused, SlotAsked
from agentkit.service.book import sketch_of, variations
from agentkit.service.calling import Arguments, arguments_of, planned_calls, ruling
from agentkit.service.flow import Call, Collect, Confirm, Goto, HandOffStep, If, Say
from agentkit.service.moves import AskKnowledge, CallTool, Chat, Elsewhere, HandOver, Move, Wait
from agentkit.service.program import END, Node
from agentkit.service.sketch import FlowSketch
from agentkit.service.slots import forget, misfit, settle
from agentkit.service.state import DoneCall, Frame, PlannedCall, Question
from agentkit.service.understanding.reading import Frame as Reader
from agentkit.service.understanding.reading import read
from agentkit.service.working import MOST_STEPS, Pattern, Which, Working


def run(work: Working) -> Move:
    """Go on until the user has to say something, or a tool, the knowledge or a person is needed."""
    while True:
        if work.state.awaiting is not None:
            return Wait()
        if work.todo and (work.speaking is None or work.speaking not in work.state.stack):
            if (move := _next_todo(work)) is not None:
                return move
            continue
        frame = work.state.top
        if frame is None:
            if not work.state.queue:
                return Wait() if work.said else Elsewhere()
            _begin_next(work)
            continue
        if (move := _step(work, frame)) is not None:
            return move


def _step(work: Working, frame: Frame) -> Move | None:
    """One step of the active flow, and what becomes of it when it cannot be done."""
    loaded = work.loaded(frame)
    if frame.at == END:
        _finish(work, frame)
        return None
    node = loaded.nodes[frame.at]
    work.steps_left -= 1
    if work.steps_left == 0 or work.steps_left < -MOST_STEPS:
        work.said.clear()  # what is said over and over helps nobody
        error = f"{MOST_STEPS} steps in one turn without asking anything: it goes round in a circle"
        work.fail(frame, loaded.where(node.at), error)
        return HandOver(error) if frame.flow == "pattern_failed" else None
    try:
        return _execute(work, frame, node)
    except PromptError as problem:
        work.fail(frame, loaded.where(node.at), problem.message)
        # Even the apology cannot be rendered: the person is told, and the customer hears the plain words.
        return HandOver(problem.message) if frame.flow == "pattern_failed" else None


def _next_todo(work: Working) -> Move | None:
    match work.todo.popleft():
        case Pattern(name=name, given=given):
            count = work.state.counts.get(name, 0) + 1
            work.state.counts[name] = count
            work.speaking = work.push(name, {**given, "times": count})
            return None
        case Which(flows=flows):
            options = [work.spoken(flow) for flow in flows]
            text = work.pattern_text("pattern_which_flow", {"flows": [*options]})
            work.say(text, "pattern_which_flow")
            work.state.awaiting = Question(expected="which_flow", text=text, options=flows)
            return None
        case AskKnowledge() | Chat() as move:
            return move
        case other:
            assert_never(other)


def _begin_next(work: Working) -> None:
    request = work.state.queue.pop(0)
    frame = work.push(request.flow)
    for name, value in request.slots.items():
        settle(work, frame, name, value)
    work.todo.append(Pattern("pattern_next", {"flow": work.spoken(request.flow)}))


def _finish(work: Working, frame: Frame) -> None:
    """A flow is through: what it interrupted goes on, and asks its question again."""
    is_pattern = work.loaded(frame).flow.is_pattern
    work.end(frame, "completed")
    below = work.state.top
    if not is_pattern and below is not None:
        asker = next((f for f in reversed(work.state.stack) if not work.loaded(f).flow.is_pattern), below)
        work.todo.append(Pattern("pattern_resumed", {"flow": work.spoken(asker.flow)}))


def _execute(work: Working, frame: Frame, node: Node) -> Move | None:
    loaded, step = work.loaded(frame), node.step
    match step:
        case Collect():
            return _collect(work, frame, node, step)
        case Call():
            return _call(work, frame, node, step)
        case Confirm():
            _confirm(work, frame, node, step)
            return None
        case Say():
            where = loaded.where((*node.at, "say"))
            text = work.text(step.say, where, work.variables(frame))
            work.say(text, where, free=step.phrase == "free")
        case If():
            where = loaded.where((*node.at, "if"))
            holds = work.book.expressions.value(step.condition, where, work.variables(frame))
            frame.at = node.ways["then" if holds else "else"]
            return None
        case HandOffStep():
            where = loaded.where((*node.at, "hand_off"))
            return HandOver(work.text(step.hand_off, where, work.variables(frame)), step.priority)
        case "cancel":
            cancel_below(work, frame)
            return None
        case Goto() | "end":
            pass
        case other:
            assert_never(other)
    frame.at = node.ways["next"]
    return None


def cancel_below(work: Working, frame: Frame) -> None:
    """End a pattern and the flow that it interrupted."""
    work.end(frame, "completed")
    if (below := work.state.top) is not None:
        work.end(below, "cancelled")


def _collect(work: Working, frame: Frame, node: Node, step: Collect) -> Move | None:
    loaded, name = work.loaded(frame), step.collect
    slot, at = loaded.flow.slots[name], ("slots", name)
    if step.again and name in frame.collected:
        forget(frame, name)
    if slot.choices_from is not None and name not in frame.choices:
        where = loaded.where((*at, "choices_from"))
        found = work.book.expressions.value(slot.choices_from, where, work.variables(frame))
        frame.choices[name] = [str(each) for each in found] if isinstance(found, list) else []
        if not frame.choices[name]:
            work.fail(frame, where, f"there is nothing to choose from for {name}")
            return None
        if name in frame.slots and misfit(slot, frame.slots[name], frame.choices[name]):
            forget(frame, name)
        if name not in frame.slots:
            _look_back(work, frame, name)
    if name not in frame.slots and slot.source is not None:
        where = loaded.where((*at, "from"))
        value = work.book.expressions.value(slot.source, where, work.variables(frame))
        names = work.book.expressions.names(slot.source, where, is_expression=True)
        if value is not None and value != "" and misfit(slot, value, frame.choices.get(name)) is None:
            settle(work, frame, name, value, "profile" if names <= {"profile", "today"} else "tool")
    if name not in frame.slots and slot.default is not None:
        settle(work, frame, name, slot.default, "profile")
    if name not in frame.slots:
        _ask(work, frame, name)
        return None
    if slot.check is not None and name not in frame.checked:
        tool = slot.check.tool
        return _guarded(work, frame, tool, arguments_of(work, frame, slot.check, tool, (*at, "validate")))
    frame.collected[name] = frame.at
    frame.at = node.ways["next"]
    return None


def _look_back(work: Working, frame: Frame, name: str) -> None:
    """A choice that was only worked out now may have been named since the flow began ("return the lamp")."""
    sketch = sketch_of(name, work.loaded(frame).flow.slots[name], frame.choices[name])
    flow = FlowSketch(frame.flow, slots={name: sketch})
    for text in work.heard[: frame.messages]:
        found = read(text, flow, Reader(work.today, work.book.language)).values
        if len(found) == 1:
            settle(work, frame, name, found[0].value)
            return


def _ask(work: Working, frame: Frame, name: str) -> None:
    loaded = work.loaded(frame)
    slot = loaded.flow.slots[name]
    attempt = frame.asked.get(name, 0)
    where = loaded.where(("slots", name, "ask"))
    choices = frame.choices.get(name) or list(slot.names())
    variables: dict[str, JsonValue] = {**work.variables(frame), "choices": [*choices]}
    if slot.ask is not None:
        text = work.text(slot.ask, where, variables, turn=attempt % len(variations(slot.ask)))
    else:
        described = slot.description or name.replace("_", " ")
        text = work.pattern_text("pattern_ask", {"slot": described, "choices": [*choices]})
    frame.asked[name] = attempt + 1
    work.events.append(SlotAsked(flow=frame.flow, slot=name, attempt=attempt + 1))
    work.say(text, where)
    work.state.awaiting = Question(expected="slot", text=text, flow=frame.flow, slot=name)


def _confirm(work: Working, frame: Frame, node: Node, step: Confirm) -> None:
    """Ask for a yes to the calls that follow; what a rule forbids is refused before anybody is asked."""
    planned = planned_calls(work, frame, node)
    if not planned and any(each.at in node.covers for each in frame.done):
        frame.at = node.ways["next"]  # all of it was done before an earlier slot was corrected
        return
    for call in planned:
        if refused_by_policy(work, frame, call):
            return
    where = work.loaded(frame).where((*node.at, "confirm"))
    text = work.text(step.confirm, where, work.variables(frame))
    frame.planned = planned
    for call in planned:
        work.events.append(ConfirmationAsked(flow=frame.flow, tool=call.tool, arguments=call.arguments))
    work.say(text, where)
    work.state.awaiting = Question(expected="confirmation", text=text, flow=frame.flow)


def refused_by_policy(work: Working, frame: Frame, call: PlannedCall) -> bool:
    """Whether a rule stands against a call; its text is said and the flow ends."""
    found = ruling(work, frame, call.tool, call.arguments)
    if found.refusing is None:
        return False
    work.events.append(PolicyRefused(flow=frame.flow, policy=found.refusing, tool=call.tool))
    work.say(found.text, f"policy {found.refusing}")
    _end_refused(work, frame)
    return True


def _end_refused(work: Working, frame: Frame) -> None:
    work.end(frame, "refused")
    if work.state.stack:
        work.todo.append(Pattern("pattern_resumed", {"flow": work.spoken(work.state.stack[-1].flow)}))


def _call(work: Working, frame: Frame, node: Node, step: Call) -> Move | None:
    arguments = arguments_of(work, frame, step, step.call, node.at)
    call = PlannedCall(tool=step.call, arguments=arguments.values)
    if work.book.has_effect(step.call):
        before = next((each for each in frame.done if each.call == call and each.at == frame.at), None)
        if before is not None:
            keep_result(frame, node, step, before.result)
            return None
        if call not in frame.confirmed:
            # A yes to something else is no yes: back to the question, which is asked about this call.
            frame.confirmed.clear()
            frame.at = node.covered_by[0]
            return None
    return _guarded(work, frame, step.call, arguments)


def _guarded(work: Working, frame: Frame, tool: str, arguments: Arguments) -> CallTool | None:
    """The call, unless a rule stands against it."""
    if refused_by_policy(work, frame, PlannedCall(tool=tool, arguments=arguments.values)):
        return None
    reasons = ruling(work, frame, tool, arguments.values).reasons
    return CallTool(frame.flow, tool, arguments.values, arguments.settled, reasons)


def keep_result(frame: Frame, node: Node, step: Call, value: JsonValue) -> None:
    """Give a result its name and go on behind the call."""
    if step.save is not None:
        frame.results[step.save] = value
        frame.made[step.save] = frame.at
    frame.at = node.ways["next"]


def note_done(frame: Frame, call: PlannedCall, value: JsonValue) -> None:
    """A call with an effect was made: it is not made again, and the yes to it is used up."""
    frame.confirmed = [each for each in frame.confirmed if each != call]
    frame.done.append(DoneCall(call=call, at=frame.at, result=value))
