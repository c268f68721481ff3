"""The dialogue machine: commands of a message in, moves out. Pure: no store, no clock, no model.

A message is taken with `take`; it gives a move. A move that asks for something from the outside is answered
(`take_outcome`, `take_said`), which gives the next one, until it is the user's turn::

    dialogue = Dialogue(book, state, profile={}, today=date(2026, 11, 27), seed="turn-1")
    move = dialogue.take([StartFlow(flow="cancel_order")])
    while isinstance(move, CallTool):
        move = dialogue.take_outcome(Outcome("ok", value))
    dialogue.said, dialogue.state

The same state, commands and answers give the same moves: a turn that a crash cut off is gone through again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from pydantic import JsonValue

from agentkit.commands import Command
from agentkit.events import Event, FlowEnded
from agentkit.service.book import FlowBook
from agentkit.service.flow import Call, Collect
from agentkit.service.moves import CallTool, HandOver, Move, Outcome, Said
from agentkit.service.program import END
from agentkit.service.running import keep_result, note_done, run
from agentkit.service.slots import forget, refuse
from agentkit.service.state import DialogueState, Frame, PlannedCall
from agentkit.service.taking import take
from agentkit.service.working import Pattern, Working


class Dialogue:
    """One turn of a dialogue.

    Args:
        book: The bot's flows.
        state: Where the last turn left it; it is not changed.
        profile: What the application knows of the user.
        today: The day of the turn.
        seed: Chooses among variations of a text; the id of the turn.
        last: What the bot said last, for "what?".
        heard: What the user said in this conversation, newest first: choices that are only worked out later are looked
            for in what was said since the flow began.
    """

    def __init__(
        self,
        book: FlowBook,
        state: DialogueState,
        *,
        profile: Mapping[str, JsonValue],
        today: date,
        seed: str,
        last: str = "",
        heard: Sequence[str] = (),
    ) -> None:
        self._work = Working(book, _current(book, state), profile, today, seed, last, heard)
        self._call: CallTool | None = None
        self._given = 0

    @property
    def state(self) -> DialogueState:
        """The dialogue as it is now."""
        return self._work.state

    @property
    def said(self) -> Sequence[Said]:
        """What is said in this turn, in order."""
        return self._work.said

    def new_events(self) -> list[Event]:
        """What happened since this was asked last."""
        new = self._work.events[self._given :]
        self._given = len(self._work.events)
        return new

    def take(self, commands: Sequence[Command]) -> Move:
        """The message of the turn, as commands."""
        for frame in self._work.state.stack:
            frame.messages += 1
        take(self._work, commands)
        return self._go_on()

    def take_said(self, text: str) -> Move:
        """What was said to a question to the knowledge, or to small talk."""
        self._work.say(text, "answered")
        return self._go_on()

    def take_outcome(self, outcome: Outcome) -> Move:
        """What became of the call that the last move asked for."""
        assert self._call is not None, "no call was asked for"
        work, call = self._work, self._call
        frame = work.state.top
        assert frame is not None
        node = work.loaded(frame).nodes[frame.at]
        if isinstance(node.step, Collect):
            self._after_check(frame, node.step.collect, outcome)
        else:
            assert isinstance(node.step, Call)
            self._after_call(frame, node.step, call, outcome)
        return self._go_on()

    def interrupted(self) -> dict[str, JsonValue]:
        """The state to store where the turn ended early: nobody has agreed to what may not have been done."""
        state = self._work.state.model_copy(deep=True)
        for frame in state.stack:
            frame.planned.clear()
            frame.confirmed.clear()
        return state.dumped()

    def _go_on(self) -> Move:
        move = run(self._work)
        self._call = move if isinstance(move, CallTool) else None
        if isinstance(move, HandOver):
            # Slots and positions stay in the stored state for the person; the next message begins anew.
            for frame in reversed(self._work.state.stack):
                if not self._work.loaded(frame).flow.is_pattern:
                    self._work.events.append(FlowEnded(flow=frame.flow, outcome="handed_off"))
            self._work.state.handed_over = True
            self._work.state.awaiting = None
        return move

    def _after_check(self, frame: Frame, name: str, outcome: Outcome) -> None:
        slot = self._work.loaded(frame).flow.slots[name]
        check = slot.check
        assert check is not None
        match outcome.status:
            case "ok":
                frame.checked.append(name)
                if check.save is not None:
                    frame.results[check.save] = outcome.value
                    frame.made[check.save] = frame.at
            case "cannot":
                value = frame.slots[name]
                forget(frame, name)
                refuse(self._work, frame, name, value, outcome.text)
                self._count_miss(frame, name, outcome.text)
            case _:
                self._not_made(frame, check.tool, outcome)

    def _count_miss(self, frame: Frame, name: str, reason: str) -> None:
        work = self._work
        slot = work.loaded(frame).flow.slots[name]
        frame.misses[name] = frame.misses.get(name, 0) + 1
        if slot.refused is None:
            work.todo.pop()
            work.todo.append(
                Pattern("pattern_tool_says", {"reason": reason, "flow": work.spoken(frame.flow)})
            )
        if frame.misses[name] > slot.ask_again:
            described = slot.description or name.replace("_", " ")
            given: dict[str, JsonValue] = {"slot": described, "flow": work.spoken(frame.flow)}
            work.todo.append(Pattern("pattern_given_up", given))

    def _after_call(self, frame: Frame, step: Call, call: CallTool, outcome: Outcome) -> None:
        work = self._work
        node = work.loaded(frame).nodes[frame.at]
        planned = PlannedCall(tool=call.tool, arguments=dict(call.arguments))
        match outcome.status:
            case "ok":
                if work.book.has_effect(step.call):
                    note_done(frame, planned, outcome.value)
                keep_result(frame, node, step, outcome.value)
            case "cannot" if "failed" in node.ways:
                frame.results["failure"] = outcome.text
                frame.made["failure"] = frame.at
                frame.at = node.ways["failed"]
            case "cannot":
                work.end(frame, "refused")
                work.todo.append(
                    Pattern("pattern_tool_says", {"reason": outcome.text, "flow": work.spoken(frame.flow)})
                )
            case _:
                self._not_made(frame, step.call, outcome)

    def _not_made(self, frame: Frame, tool: str, outcome: Outcome) -> None:
        """A call that was stopped, or did not work: its flow and what was said in it are kept where that helps."""
        work = self._work
        given: dict[str, JsonValue] = {
            "flow": work.spoken(frame.flow),
            "tool": tool.replace("_", " "),
            "reason": outcome.text,
        }
        match outcome.status:
            case "down":
                work.todo.append(Pattern("pattern_tool_down", given))
            case "doubt":
                work.todo.append(Pattern("pattern_in_doubt", given))
            case "rejected" | "settled":
                work.end(frame, "refused" if outcome.status == "rejected" else "completed")
                work.todo.append(Pattern(f"pattern_{outcome.status}", given))
            case _:
                loaded = work.loaded(frame)
                work.fail(frame, loaded.where(loaded.nodes[frame.at].at), f"{tool}: {outcome.text}")


def _current(book: FlowBook, state: DialogueState) -> DialogueState:
    """A copy of a state that fits the files as they are now.

    After a hand-over the dialogue begins anew. A flow that is gone is left out; one whose file was changed begins again
    with what the user said: steps that have their values are not asked for again.
    """
    if state.handed_over:
        return DialogueState(counts=dict(state.counts))
    state = state.model_copy(deep=True)
    stack = [frame for frame in state.stack if frame.flow in book.flows]
    changed = len(stack) != len(state.stack)
    for number, frame in enumerate(stack):
        loaded = book.flows[frame.flow]
        if frame.version != loaded.version or not END <= frame.at < len(loaded.nodes):
            slots = {name: value for name, value in frame.slots.items() if name in loaded.flow.slots}
            sources = {name: source for name, source in frame.sources.items() if name in slots}
            stack[number] = Frame(flow=frame.flow, version=loaded.version, slots=slots, sources=sources)
            changed = True
    state.stack = stack
    state.queue = [each for each in state.queue if each.flow in book.flows]
    if changed:
        state.awaiting = None
    return state
