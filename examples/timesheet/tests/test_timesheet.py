"""The tools as a model meets them: raw arguments, effects, repeated calls, other people's entries."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentkit import text_of
from agentkit.testing import Calls, Conversation, FixedClock, ToolHarness, play_scenario
from timesheet.tools import list_hours, log_hours, remove_hours

TOOLS = [log_hours, list_hours, remove_hours]
HOURS = Calls([("log_hours", {"project": "website", "hours": 3})])
BOT = Path(__file__).parent.parent / "bot"
CLOCK = FixedClock(datetime(2026, 11, 27, 12, tzinfo=UTC))


@pytest.fixture(autouse=True)
def _own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMESHEET_FILE", str(tmp_path / "timesheet.jsonl"))


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_model_can_be_held_to_every_schema(tool) -> None:  # type: ignore[no-untyped-def]
    ToolHarness(tool).check_schema()


def test_hours_are_written_down_once_and_added_up() -> None:
    harness = ToolHarness(log_hours, now=CLOCK)
    first = harness.check_effect({"project": "website", "hours": 2.5})  # repeats the call with the same id
    harness.call({"project": "website", "hours": 1, "day": "2026-11-26"})
    assert first.data == {"entry": "E1", "project": "website", "day": "2026-11-27", "hours": 2.5}
    listed = ToolHarness(list_hours, now=CLOCK).check_effect().data
    assert isinstance(listed, dict)
    assert listed["sum"] == 3.5


def test_nobody_sees_or_removes_the_entries_of_another_user() -> None:
    ToolHarness(log_hours, user="ann").call({"project": "website", "hours": 1})
    assert ToolHarness(list_hours, user="bo").call({"days": 366}).data == {"entries": [], "sum": 0}
    refused = ToolHarness(remove_hours, user="bo").call({"entry": "E1"})
    assert (refused.status, text_of(refused)) == ("failed", "there is no entry E1")
    assert ToolHarness(remove_hours, user="ann").check_effect({"entry": "E1"}).data == {"removed": "E1"}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ({"project": "x", "hours": 0}, "retry"),
        ({"project": "", "hours": 1}, "retry"),
        ({"project": "x", "hours": 1, "day": "2026-11-28"}, "retry"),
        ({"project": "x", "hours": "two"}, "retry"),
        ({"project": "x", "hours": 20}, "failed"),
    ],
)
def test_what_cannot_be_is_not_written(arguments: dict[str, object], status: str) -> None:
    ToolHarness(log_hours, now=CLOCK).call({"project": "website", "hours": 8})
    assert ToolHarness(log_hours, now=CLOCK).call(arguments).status == status
    assert ToolHarness(list_hours, now=CLOCK).call().data["sum"] == 8  # type: ignore[index,call-overload]


def test_a_bot_writes_hours_down() -> None:
    with Conversation(TOOLS, [HOURS], replies=BOT / "replies") as conversation:
        reply = conversation.say("I worked 3 hours on the website")
    assert reply.text == "3.0 hours on website, 2026-01-01: entry E1."


def test_the_scenario_goes_as_it_says() -> None:
    play_scenario(BOT, "demo", [HOURS, Calls([("list_hours", {})])])
