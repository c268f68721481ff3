"""The other tools that ship, run as an agent runs them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from agentkit import ToolContext
from agentkit.messages import ToolCall, ToolResult, text_of
from agentkit.plugins import Registry, load_plugins
from agentkit.testing.clock import FixedClock
from agentkit.tools import MemoryHit, MemoryService, run_call
from agentkit_tools.plugin import register


class ListMemory:
    """A memory service that finds what contains the query."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, text: str) -> str:
        self.texts.append(text)
        return str(len(self.texts))

    def search(self, query: str, limit: int) -> Sequence[MemoryHit]:
        return [hit for hit in self.list(100) if query in hit.text][:limit]

    def list(self, limit: int) -> Sequence[MemoryHit]:
        hits = [MemoryHit(str(number), text, 1.0) for number, text in enumerate(self.texts)]
        return hits[::-1][:limit]


def run(name: str, context: ToolContext | None = None, **arguments: Any) -> ToolResult:
    registry = Registry("agentkit_tools")
    register(registry)
    context = context or ToolContext(
        user_id="ann", now=FixedClock(datetime(2026, 11, 26, 23, 30, tzinfo=UTC))
    )
    return run_call(registry.tools[name], ToolCall(id="1", name=name, arguments=arguments), context)


def test_the_tools_are_found_through_their_entry_point() -> None:
    report = load_plugins()
    assert [broken for broken in report.broken if broken.name == "agentkit_tools"] == []
    assert {"current_time", "calculate", "add_note", "list_notes", "search_memory"} <= set(report.tools)


def test_the_clock_tells_the_time_of_a_zone_by_the_clock_of_the_context() -> None:
    assert run("current_time").data == {
        "date": "2026-11-26",
        "weekday": "Thursday",
        "time": "23:30",
        "time_zone": "UTC",
        "utc_offset": "+0000",
    }
    tokyo = run("current_time", time_zone="Asia/Tokyo").data
    assert isinstance(tokyo, dict)
    assert (tokyo["date"], tokyo["time"], tokyo["utc_offset"]) == ("2026-11-27", "08:30", "+0900")


@pytest.mark.parametrize(
    ("zone", "advice"),
    [
        ("Dublin", "did you mean Europe/Dublin?"),
        ("new york", "did you mean America/New_York?"),
        ("Europe/Dublyn", "did you mean Europe/Dublin"),
        ("../etc/passwd", "use an IANA name"),
        ("zzzzzz", "use an IANA name such as Europe/Dublin"),
    ],
)
def test_an_unknown_zone_is_answered_with_the_nearest(zone: str, advice: str) -> None:
    result = run("current_time", time_zone=zone)
    assert result.status == "retry"
    assert advice in text_of(result)


def test_notes_are_memories_of_the_user() -> None:
    memory = ListMemory()
    assert isinstance(memory, MemoryService)
    context = ToolContext(user_id="ann", services={"memory": memory})
    assert run("add_note", context, text="  I have a cat ").data == {"noted": "I have a cat"}
    run("add_note", context, text="I live in Cork")
    assert run("list_notes", context).data == ["I live in Cork", "I have a cat"]
    assert run("list_notes", context, limit=1).data == ["I live in Cork"]
    found = run("search_memory", context, query="cat")
    assert found.data == ["I have a cat"]
    assert found.parts[0].trust == "untrusted", "what a model noted proves nothing"


def test_an_empty_note_is_asked_for_again() -> None:
    context = ToolContext(user_id="ann", services={"memory": ListMemory()})
    assert run("add_note", context, text="  ").status == "retry"
    assert run("add_note", context, text="").status == "retry"


@pytest.mark.parametrize("services", [{}, {"memory": "no service"}])
def test_without_a_memory_the_tools_say_so(services: dict[str, object]) -> None:
    context = ToolContext(user_id="ann", services=services)
    result = run("list_notes", context)
    assert (result.status, text_of(result)) == ("failed", "this agent has no memory")
