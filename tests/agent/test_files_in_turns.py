"""Files and long tables: kept by their hash, offered by handle, never pasted into the prompt."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import pytest

from agentkit.agent import Agent
from agentkit.errors import RecordNotFound
from agentkit.messages import ToolResult, text_of
from agentkit.testing import Calls, Says, ScriptStep
from agentkit.tools import Authority, FileResult, Table, Tool, ToolContext, file_service, tool
from tests.agent.desk import desk

REPORT = b"%PDF-1.7 the whole report " * 2000


@tool(effect="read")
def make_report() -> FileResult:
    """Make the report."""
    return FileResult(REPORT, "report.pdf", "application/pdf")


@tool(effect="read")
def read_report(context: ToolContext, file: Annotated[str, Authority("file")]) -> str:
    """Say what is in a report."""
    stored = file_service(context).read(file)
    return f"{stored.name} holds {len(stored.content)} bytes"


@tool(effect="read")
def stock(items: int) -> Table:
    """What is in stock."""
    return Table(["item", "pieces"], [[f"lamp {i}", i] for i in range(items)])


TOOLS: list[Tool] = [make_report, read_report, stock]


def results(agent: Agent) -> list[ToolResult]:
    store = agent.store.for_user("default", "ada")
    said = store.transcript(store.latest_conversation() or "")
    return [message for message in said if isinstance(message, ToolResult)]


def test_a_file_is_kept_and_read_again_by_its_handle(tmp_path: Path) -> None:
    steps: list[ScriptStep] = [
        Calls([("make_report", {})]),
        Calls([("read_report", {"file": "file#1"})]),
        Says("report.pdf holds bytes."),
    ]
    with desk(tmp_path, steps, tools=TOOLS, bound=False) as agent:
        agent.ask("make the report and say what is in it", user="ada")
        made, read = results(agent)
        digest = hashlib.sha256(REPORT).hexdigest()
        assert made.handles == {"file#1": digest}
        assert digest not in text_of(made)
        assert "the whole report" not in text_of(made)
        assert text_of(read) == f"report.pdf holds {len(REPORT)} bytes"
        assert agent.store.for_user("default", "ada").file(digest).content == REPORT
        with pytest.raises(RecordNotFound):
            agent.store.for_user("default", "ben").file(digest)


def test_a_long_table_shows_its_beginning_and_is_a_file(tmp_path: Path) -> None:
    with desk(
        tmp_path, [Calls([("stock", {"items": 500})]), Says("lamp 1")], tools=TOOLS, bound=False
    ) as agent:
        agent.ask("what is in stock, of 500 items", user="ada")
        (result,) = results(agent)
        assert isinstance(result.data, dict)
        assert (result.data["more_rows"], result.data["name"]) == (480, "table.csv")
        assert "lamp 19" in text_of(result)
        assert "lamp 20" not in text_of(result)
        file = agent.store.for_user("default", "ada").file(str(result.data["file_sha256"]))
        assert file.content.decode().splitlines()[-1] == "lamp 499,499"


def test_a_short_table_is_lines_of_values(tmp_path: Path) -> None:
    with desk(
        tmp_path, [Calls([("stock", {"items": 2})]), Says("lamp 1")], tools=TOOLS, bound=False
    ) as agent:
        agent.ask("what is in stock, of 2 items", user="ada")
        (result,) = results(agent)
        assert text_of(result) == "item | pieces\nlamp 0 | 0\nlamp 1 | 1"
        assert result.data == {"columns": ["item", "pieces"], "rows": [["lamp 0", 0], ["lamp 1", 1]]}


def test_the_same_content_is_kept_once(tmp_path: Path) -> None:
    with desk(tmp_path, tools=TOOLS, bound=False) as agent:
        ada = agent.store.for_user("default", "ada")
        first = ada.save_file(b"x", name="a.txt", media_type="text/plain")
        assert ada.save_file(b"x", name="b.txt", media_type="text/plain") == first
        assert ada.file(first).name == "a.txt"
