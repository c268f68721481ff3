"""The words of a reply that no generator writes: templates of the bot and of agentkit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import JsonValue

from agentkit.agent.hours import DeskSettings, Opening
from agentkit.events import DeclineReason, PassageFound, Recollection, ReplySource
from agentkit.messages import ToolCall, ToolResult, text_of
from agentkit.prompts import PromptLibrary
from agentkit.store.hand_off_records import Callback
from agentkit.tools import Tool


@dataclass(frozen=True)
class Composed:
    """A reply and where its words come from."""

    text: str
    source: ReplySource
    citations: tuple[str, ...] = ()


class Replies:
    """Renders replies from templates.

    Args:
        prompts: The prompt library, for the texts that every bot has.
        folder: The bot's own reply templates: `<tool>.jinja` speaks a tool's result, `ask_<argument>.jinja`
            asks for a missing argument. None: there are none.
        contact: How a person is reached.
    """

    def __init__(self, prompts: PromptLibrary, folder: Path | None = None, contact: str = "") -> None:
        self._prompts = prompts
        self._folder = folder
        self._contact = contact

    def tool_result(self, call: ToolCall, result: ToolResult, today: datetime) -> Composed | None:
        """The bot's own words for a result; None where the bot has no template for this tool."""
        path = self._own(call.name)
        if path is None:
            return None
        text = self._prompts.render_file(
            path,
            result=text_of(result) if result.data is None else result.data,
            arguments=call.arguments,
            today=today.date().isoformat(),
            contact=self._contact,
        )
        return Composed(text.strip(), "template", (f"tool:{call.name}",))

    def failed_call(self, result: ToolResult) -> Composed:
        """What the user hears when a tool could not do it."""
        reason = text_of(result) if result.status == "failed" and result.parts[0].trust != "untrusted" else ""
        text = self._render("reply_tool_failed", status=result.status, reason=reason)
        return Composed(text, "template", (f"tool:{result.name}",))

    def ask(self, tool: Tool, argument: str, suggestions: Sequence[str]) -> Composed:
        """A question for an argument that nobody has given yet."""
        path = self._own(f"ask_{argument}")
        schema = tool.spec.parameters["properties"][argument]
        values: dict[str, object] = {
            "argument": argument.replace("_", " "),
            "description": schema.get("description", ""),
            "tool": tool.name,
            "suggestions": list(suggestions),
        }
        text = self._prompts.render_file(path, **values) if path else self._render("ask_argument", **values)
        return Composed(text.strip(), "question")

    def ask_which(self, intents: Sequence[tuple[str, str]]) -> Composed:
        """A question which of several intents is meant; each with its name and its description."""
        options = [
            {"name": name, "title": name.replace("_", " "), "description": described}
            for name, described in intents
        ]
        return Composed(self._render("reply_which_intent", options=options), "question")

    def stored_answer(self, template: str, intent: str, profile: Mapping[str, JsonValue]) -> Composed:
        """The stored answer of an intent; it may use `profile` and `contact`."""
        text = self._prompts.render_text(
            template, f"answer of intent {intent}", profile=dict(profile), contact=self._contact
        )
        return Composed(text.strip(), "stored_answer")

    def declined(self, reason: DeclineReason) -> Composed:
        """ "I don't know", with the way to a person."""
        return Composed(self._render("reply_declined", reason=reason), "declined")

    def hand_off(self) -> Composed:
        """A person takes over."""
        return Composed(self._render("reply_hand_off"), "hand_off")

    def queued(self, desk: DeskSettings, opens: Opening | None, *, ask_callback: bool) -> str:
        """Behind a hand-off: who answers, and when; `opens` is None while somebody is there."""
        return self._render(
            "reply_queued",
            team=desk.team,
            answers_within=desk.answers_within,
            opens=opens,
            ask_callback=ask_callback,
        )

    def passed_on(self, desk: DeskSettings, opens: Opening | None, person: str) -> str:
        """Once, to a message that waits for a person; `person` is empty while nobody has the conversation."""
        return self._render(
            "reply_passed_on",
            team=desk.team,
            answers_within=desk.answers_within,
            opens=opens,
            person=person,
        )

    def given_back(self, person: str) -> str:
        """A person hands the conversation back to the bot."""
        return self._render("reply_given_back", person=person)

    def callback(self, desk: DeskSettings, wish: Callback) -> str:
        """The customer wants to be called; without a time, when?"""
        missing = "" if wish.when else "when"
        return self._render(
            "reply_callback", team=desk.team, phone=wish.phone, when=wish.when, missing=missing
        )

    def hand_off_summary(self, *, flow: str, asked: Sequence[str], calls: Sequence[str]) -> str:
        """What a person reads first: the process, what the customer asked, and what was done."""
        return self._render("hand_off_summary", flow=flow, asked=list(asked), calls=list(calls))

    def limit(self, limit: str) -> Composed:
        """A polite end where a limit stopped the run."""
        return Composed(self._render("reply_limit", limit=limit), "declined")

    def in_doubt(self, call: ToolCall) -> Composed:
        """After a crash: an effect may or may not have happened."""
        text = self._render("reply_in_doubt", tool=call.name.replace("_", " "))
        return Composed(text, "hand_off")

    def confirmed(self, call: ToolCall) -> Composed:
        """After a crash: a person says that an effect has happened."""
        return Composed(self._render("reply_confirmed", tool=call.name.replace("_", " ")), "template")

    def awaiting(self, calls: Sequence[ToolCall]) -> Composed:
        """A person has to agree to calls first."""
        shown = [{"tool": call.name.replace("_", " "), "arguments": call.arguments} for call in calls]
        return Composed(self._render("reply_approval", calls=shown), "approval")

    def rejected(self, call: ToolCall, reason: str) -> Composed:
        """A person did not agree to a call."""
        text = self._render("reply_rejected", tool=call.name.replace("_", " "), reason=reason)
        return Composed(text, "template")

    def interrupted(self) -> str:
        """What the transcript says where the bot was stopped."""
        return self._render("reply_interrupted")

    def from_memory(self, facts: Sequence[Recollection]) -> Composed:
        """The user's own words of an earlier conversation."""
        text = self._render("reply_from_memory", facts=[fact.text for fact in facts])
        return Composed(text, "quoted", tuple(f"memory:{fact.memory_id}" for fact in facts))

    def from_knowledge(self, text: str, passages: Sequence[PassageFound]) -> str:
        """A reply followed by where it stands.

        Args:
            text: The reply.
            passages: Those that it rests on; several under the same headings are one place.
        """
        places = dict.fromkeys((each.document, each.heading) for each in passages)
        sources = [{"document": document, "heading": heading} for document, heading in places]
        return self._render("reply_from_knowledge", text=text, sources=sources) if sources else text

    def with_facts(self, text: str, facts: Sequence[Recollection]) -> str:
        """A reply preceded by what the user told earlier, so that they see what the bot assumes."""
        if not facts:
            return text
        return self._render("reply_with_facts", text=text, facts=[fact.text for fact in facts])

    def plain_result(self, result: ToolResult) -> str:
        """A result as lines of `name: value`, for tools without a template."""
        return self._render("reply_tool_result", data=result.data, text=text_of(result))

    def _own(self, name: str) -> Path | None:
        if self._folder is None:
            return None
        path = self._folder / f"{name}.jinja"
        return path if path.is_file() else None

    def _render(self, name: str, **values: object) -> str:
        return self._prompts.render(name, contact=self._contact, **values).strip()
