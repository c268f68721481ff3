"""Shows the events of a turn in a terminal: one quiet line for each step, the reply in plain sight."""

from __future__ import annotations

import json
from typing import Final, assert_never

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentkit.bot.scenario import Checked, Played, UserLine
from agentkit.cli.dialogue_lines import dialogue_line
from agentkit.events import (
    AnswerabilityJudged,
    ApprovalAnswered,
    ApprovalRequested,
    ArgumentAsked,
    CallChecked,
    CallRefused,
    Declined,
    DialogueEvent,
    Event,
    GenerationFinished,
    GroundingChecked,
    HandedOff,
    IntentAsked,
    IntentRecognised,
    Interrupted,
    LimitReached,
    MemoriesRecalled,
    PassagesFound,
    Replied,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    ToolProgress,
    ToolsOffered,
    TurnEvent,
    TurnFinished,
    TurnPaused,
    TurnStarted,
)
from agentkit.messages import ToolCall, text_of

_LABEL_WIDTH: Final = 10
_TIME_WIDTH: Final = 9
_GOOD, _BAD, _QUIET = "green", "red", "dim"


class EventPrinter:
    """Prints what happens in a conversation.

    Args:
        console: Where to.
        steps: Whether the inner steps are shown, or only what the user and the bot say.
    """

    def __init__(self, console: Console, *, steps: bool = True) -> None:
        self._console = console
        self._steps = steps
        self.failed_checks = 0

    def played(self, item: Played) -> None:
        """Show one item of a played scenario."""
        match item:
            case UserLine(text=text, new_conversation=is_new):
                if is_new:
                    self._console.print()
                    self._console.rule("a new conversation of the same customer", style=_QUIET)
                self._console.print()
                self._say("you", text, "bold cyan")
            case Checked(what=what, holds=holds):
                self.failed_checks += not holds
                if self._steps or not holds:
                    self._line("✓ expected" if holds else "✗ expected", what, style=_GOOD if holds else _BAD)
            case _:
                self.event(item)

    def event(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Replied):
            self._say("bot", event.text, "bold green")
            if self._steps:
                sources = f" from {', '.join(event.citations)}" if event.citations else ""
                self._line("source", f"{event.source.replace('_', ' ')}{sources}")
        elif isinstance(event, DialogueEvent):
            if self._steps and (line := dialogue_line(event)) is not None:
                self._line(line[0], line[1], event.milliseconds)
        elif self._steps:
            self._step(event)

    def _step(self, event: TurnEvent) -> None:
        time = event.milliseconds
        match event:
            case TurnStarted(resumed=True):
                self._line("resumed", "an earlier process stopped in this turn; its finished steps are kept")
            case IntentRecognised(intent=intent, probability=probability):
                shown = f"{intent}  {probability:.2f}" if intent else "out of scope"
                self._line("intent", shown, time)
            case IntentAsked(intents=intents):
                self._line("asks which", " or ".join(intents))
            case MemoriesRecalled(memories=memories):
                for each in memories[:2]:
                    self._line("recalled", f"“{_short(each.text, 70)}”  {each.similarity:.2f}", time)
            case PassagesFound(passages=passages):
                for passage in passages[:2]:
                    place = f"{passage.document} › {passage.heading}"
                    self._line("passage", f"{_short(place, 66)}  {passage.similarity:.2f}", time)
            case AnswerabilityJudged(answerable=answerable, probability=probability, judge=judge):
                verdict = "the evidence answers it" if answerable else "the evidence does not answer it"
                self._line("judged", f"{verdict}  {probability:.2f}  ({judge})", time)
            case ToolsOffered(names=names):
                self._line("may call", ", ".join(names))
            case GenerationFinished():
                self._line("generated", _generation(event), time)
            case ToolCallStarted(call=call, effect=effect):
                self._line("calls", f"{_call(call)}  [{effect}]")
            case ToolCallFinished(result=result, status=status):
                style = _QUIET if status == "ok" else "yellow"
                self._line("result", f"{status}: {_short(text_of(result), 76)}", time, style=style)
            case CallRefused(call=call, reason=reason):
                self._line("refused", f"{_call(call)}: {reason}", style="yellow")
            case ToolProgress(name=name, text=text):
                self._line("progress", f"{name}: {_short(text, 76)}")
            case CallChecked(reasons=reasons):
                for why in reasons:
                    self._line("stopped", f"{why.rule}: {why.text}", style="yellow")
            case ApprovalRequested(call=call):
                self._line("waits", f"for a person to agree to {_call(call)}", style="yellow")
            case ApprovalAnswered(decision=decision, by=by, reason=reason):
                self._line("decided", f"{decision} by {by}{': ' + reason if reason else ''}", style="yellow")
            case ArgumentAsked(tool=tool, argument=argument):
                self._line("asks for", f"{argument} of {tool}")
            case GroundingChecked(supported=supported, unsupported=words):
                left = "" if supported else f"not in the evidence: {', '.join(words)}"
                self._line("checked", left or "every word is in the evidence")
            case LimitReached(limit=limit, detail=detail):
                self._line("limit", f"{limit}: {detail}", style="yellow")
            case Interrupted(reason=reason):
                self._line("stopped", reason, style="yellow")
            case Declined(reason=reason):
                self._line("declines", reason.replace("_", " "))
            case HandedOff(reason=reason):
                self._line("hands off", reason)
            case TurnFinished() | TurnPaused():
                self._line("took", "", time)
            case TurnStarted() | TextDelta() | Replied():
                pass
            case other:
                assert_never(other)

    def _line(self, label: str, text: str, milliseconds: float = 0.0, *, style: str = _QUIET) -> None:
        duration = f"{milliseconds:,.0f} ms" if milliseconds >= 1 else ("<1 ms" if milliseconds > 0 else "")
        line = Text(f"  {label:>{_LABEL_WIDTH}}  ", style=style)
        line.append(_one_line(text))
        room = self._console.width - _TIME_WIDTH - 1
        if duration and line.cell_len <= room:
            line.append(" " * (room - line.cell_len))
        if duration:
            line.append(f"{duration:>{_TIME_WIDTH}}")
        self._console.print(line, soft_wrap=True)

    def _say(self, who: str, text: str, style: str) -> None:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column()
        grid.add_row(Text(f"{who} ▸", style=style), Text(text))
        self._console.print(grid)


def _generation(event: GenerationFinished) -> str:
    what = " ".join(_call(call) for call in event.calls) or f"“{_short(event.text, 60)}”"
    forced = f", {event.forced_tokens} forced" if event.forced_tokens else ""
    cached = (
        f", {event.cached_tokens} of {event.prompt_tokens} prompt tokens reused"
        if event.cached_tokens
        else ""
    )
    return f"{what}  ({event.generated_tokens} tokens{forced}, {event.forward_passes} passes{cached})"


def _call(call: ToolCall) -> str:
    arguments = ", ".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in call.arguments.items())
    return f"{call.name}({_short(arguments, 80)})"


def _short(text: str, most: int) -> str:
    line = _one_line(text)
    return line if len(line) <= most else line[: most - 1] + "…"


def _one_line(text: str) -> str:
    return " ".join(text.split())
