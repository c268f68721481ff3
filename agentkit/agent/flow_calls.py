"""The calls of flows: through the gate like every other, and what became of them in the words of the machine."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from agentkit.agent.calls import Paused, run_checked, situation_of
from agentkit.agent.candidates import TrustedText
from agentkit.agent.gate import Refuse, Verdict, signature
from agentkit.agent.route import Perception, UseTools
from agentkit.agent.steps import context_for, record_calls, with_call_ids
from agentkit.agent.turn import Turn
from agentkit.events import Event
from agentkit.messages import Assistant, ToolCall, ToolResult, assistant, text_of, worst_trust
from agentkit.models.protocols import Usage
from agentkit.service.moves import CallTool, Outcome
from agentkit.tools import Tool


def call_tool(turn: Turn, seen: Perception, move: CallTool) -> Generator[Event, None, Outcome | Paused]:
    """Make a call that a flow asks for, at most once across crashes.

    What the user, the profile or the flow itself gave counts as settled for the gate; what comes from results has to
    pass its rules like everything else.
    """
    tools = turn.wiring.tools.prepared(context_for(turn))
    tool = tools.get(move.tool)
    if tool is None:
        return Outcome("refused", text="this user may not use it, or it is not there now")
    call = ToolCall(id="", name=move.tool, arguments=dict(move.arguments))
    if tool.effect == "read" and (known := _already(turn, call)) is not None:
        return _outcome(turn, tool, known, None)
    written = turn.take_recorded_reply()
    if written is None:
        reply = with_call_ids(turn, assistant(calls=(call,)))
        record_calls(turn, reply, Usage())
    else:
        reply = written
        turn.transcript.append(reply)
        if [signature(each) for each in reply.calls] != [signature(call)]:
            return Outcome("doubt", text="the flow was changed while the turn was open")
    trusted = TrustedText(turn.text, turn.history, tuple(turn.transcript))
    situation = situation_of(turn, UseTools((tool,), None, move.settled), seen, trusted)
    ran = yield from run_checked(turn, reply.calls, [tool], replace(situation, rules=move.reasons))
    if isinstance(ran, Paused):
        return ran
    made = reply.calls[0]
    return _outcome(turn, tool, ran.results[made.id], ran.verdicts[made.id])


def _already(turn: Turn, call: ToolCall) -> ToolResult | None:
    """The result of the same look in this turn."""
    made = [c for m in turn.transcript if isinstance(m, Assistant) for c in m.calls]
    same = {each.id for each in made if signature(each) == signature(call)}
    return next((each for each in turn.results() if each.call_id in same and each.status == "ok"), None)


def _outcome(turn: Turn, tool: Tool, result: ToolResult, verdict: Verdict | None) -> Outcome:
    text = text_of(result)
    may_repeat = tool.effect == "read" or tool.idempotent
    match result.status:
        case "ok" if worst_trust(result.parts) == "system":
            return Outcome("settled", text=text)
        case "ok":
            return Outcome("ok", value=text if result.data is None else result.data)
        case "failed" if worst_trust(result.parts) != "untrusted":
            return Outcome("cannot", text=text)
        case "retry":
            return Outcome("cannot")  # its words are for a model
        case "failed" | "timeout":
            return Outcome("down" if may_repeat else "doubt", text=text)
        case "refused" if isinstance(verdict, Refuse):
            return Outcome("refused", text=verdict.reason)
        case "refused":
            record = turn.approvals.get(result.call_id)
            return Outcome("rejected", text=record.answer if record is not None else "")
        case _:
            return Outcome("doubt", text=text)
