"""The flows of a bot, read and checked: what the dialogue machine, the checks and the pictures work on."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from agentkit.service.expressions import Expressions
from agentkit.service.flow import Flow, Policy, Slot, Text
from agentkit.service.program import Node, compiled
from agentkit.service.sketch import FlowSketch, SlotSketch
from agentkit.service.state import DialogueState
from agentkit.yaml_files import Location, YamlDocument

if TYPE_CHECKING:
    from agentkit.tools import Tool


@dataclass(frozen=True)
class LoadedFlow:
    """One flow and the file that it comes from.

    Args:
        flow: What the file says.
        document: The file with its line numbers.
    """

    flow: Flow
    document: YamlDocument = field(repr=False)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Its program."""
        return compiled(self.flow.steps)

    @cached_property
    def version(self) -> str:
        """Fingerprint of its steps and slots."""
        text = json.dumps(self.document.data, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def where(self, at: Location) -> str:
        """File and line of a place in it, for messages."""
        return place(self.document, at)


def place(document: YamlDocument, at: Location) -> str:
    """File and line of a place in a file, for messages."""
    known = (at[:length] for length in range(len(at), 0, -1))
    line = next((document.lines[each] for each in known if each in document.lines), 1)
    return f"{document.path.parent.name}/{document.path.name}:{line}"


@dataclass(frozen=True)
class NamedPolicy:
    """A rule, its name and the file that it comes from."""

    name: str
    policy: Policy
    document: YamlDocument = field(repr=False)

    @property
    def where(self) -> str:
        """File and line of it, for messages."""
        return place(self.document, ("policies", self.name))


@dataclass(frozen=True)
class FlowBook:
    """All flows of a bot, the patterns that ship among them.

    Args:
        flows: By name.
        policies: In the order of the file: all of them are checked.
        tools: The tools that flows call, by name.
        tone: How the bot speaks, for texts that want to know (`tone`) and for free phrasing.
        language: Code of the language of its texts.
        contact: How a person is reached.
        expressions: Evaluates what the flows say.
    """

    flows: Mapping[str, LoadedFlow]
    policies: tuple[NamedPolicy, ...] = ()
    tools: Mapping[str, Tool] = field(default_factory=dict)
    tone: str = "friendly"
    language: str = "en"
    contact: str = ""
    expressions: Expressions = field(default_factory=Expressions, repr=False)

    @cached_property
    def by_intent(self) -> Mapping[str, str]:
        """The flow that each intent starts."""
        return {
            intent: each.flow.name
            for each in self.flows.values()
            if not each.flow.is_pattern
            for intent in each.flow.intents
        }

    @cached_property
    def pattern_by_intent(self) -> Mapping[str, str]:
        """The pattern that each intent leads to (abuse)."""
        return {
            intent: each.flow.name
            for each in self.flows.values()
            if each.flow.is_pattern
            for intent in each.flow.intents
        }

    def policies_before(self, tool: str) -> list[NamedPolicy]:
        """The rules that guard a tool."""
        return [each for each in self.policies if tool in each.policy.before]

    def has_effect(self, tool: str) -> bool:
        """Whether a tool does more than look; one that is not known counts as doing so."""
        found = self.tools.get(tool)
        return found is None or found.effect != "read"

    def sketches(self, state: DialogueState) -> dict[str, FlowSketch]:
        """What can be said: the flows that a user can start, and what is on the stack with its choices of now."""
        frames = {frame.flow: frame for frame in state.stack}
        found: dict[str, FlowSketch] = {}
        for name, loaded in self.flows.items():
            flow = loaded.flow
            if flow.is_pattern and name not in frames:
                continue
            choices = frames[name].choices if name in frames else {}
            slots = {each: sketch_of(each, slot, choices.get(each)) for each, slot in flow.slots.items()}
            found[name] = FlowSketch(name, flow.description, () if flow.is_pattern else flow.intents, slots)
        return found


def sketch_of(name: str, slot: Slot, worked_out: list[str] | None = None) -> SlotSketch:
    """A slot, as far as its values can be recognised."""
    choices = _with_parts(worked_out) if worked_out is not None else slot.names()
    return SlotSketch(
        name=name,
        type=slot.type,
        description=slot.description or name.replace("_", " "),
        pattern=slot.pattern,
        choices=choices,
        examples=slot.examples,
        asked=variations(slot.ask)[0] if slot.ask is not None else "",
        currency=slot.currency,
        past=slot.past,
    )


def _with_parts(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Names that were worked out, each with the parts that no other has: "lamp" for "Ivy floor lamp in brass"."""
    parts = {name: _parts(name.casefold().split()) for name in names}
    count = Counter(part for found in parts.values() for part in found)
    return {name: tuple(sorted(p for p in found if count[p] == 1)) for name, found in parts.items()}


def _parts(words: Sequence[str]) -> frozenset[str]:
    runs = (words[i:j] for i in range(len(words)) for j in range(i + 1, min(i + 5, len(words)) + 1))
    return frozenset(" ".join(run) for run in runs if len(run[0]) > 2 and len(run[-1]) > 2)


def variations(text: Text) -> tuple[str, ...]:
    """The variations of a text."""
    return (text,) if isinstance(text, str) else text
