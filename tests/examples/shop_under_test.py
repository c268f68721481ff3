"""The support bot's own code on a shop of the test: real tools, real SQLite, no model."""

from __future__ import annotations

import importlib.util
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from agentkit.messages import ToolCall, ToolResult, text_of
from agentkit.tools import Tool, ToolContext, run_call

BOT: Final = Path(__file__).resolve().parents[2] / "examples" / "support_bot"
TODAY: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)


def load(file: str, folder: Path = BOT) -> ModuleType:
    """Run a Python file of a bot folder, which may import its neighbours, as the bot loader does."""
    name = f"{folder.name}_{Path(file).stem}_under_test"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, folder / file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up while it runs
        sys.path.insert(0, str(folder))
        try:
            spec.loader.exec_module(module)
        finally:
            sys.path.remove(str(folder))
    return sys.modules[name]


def tools_of(module: ModuleType) -> dict[str, Tool]:
    """The tools that a module defines, by name."""
    return {value.name: value for value in vars(module).values() if isinstance(value, Tool)}


@dataclass
class Shop:
    """A shop database and somebody who calls the tools.

    Args:
        path: The database that SUPPORT_BOT_DB names.
        tools: The tools of the bot.
        day: What the clock says.
    """

    path: Path
    tools: dict[str, Tool] = field(default_factory=lambda: tools_of(load("tools.py")))
    day: datetime = TODAY

    def call(
        self, name: str, user: str = "ada.okafor", call_id: str = "call-1", **arguments: Any
    ) -> ToolResult:
        """Call a tool as the loop does, for the signed-in `user`."""
        context = ToolContext(user_id=user, conversation_id="c1", call_id=call_id, now=lambda: self.day)
        return run_call(self.tools[name], ToolCall(id=call_id, name=name, arguments=arguments), context)

    def data(self, name: str, user: str = "ada.okafor", call_id: str = "call-1", **arguments: Any) -> Any:
        """The JSON result of a call that has to succeed."""
        result = self.call(name, user, call_id, **arguments)
        assert result.status == "ok", text_of(result)
        return result.data

    def refusal(self, name: str, user: str = "ada.okafor", **arguments: Any) -> str:
        """Why a call failed; it has to, and its words are the tool's own."""
        result = self.call(name, user, **arguments)
        assert result.status == "failed"
        assert result.parts[0].trust == "tool"
        return text_of(result)

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What the database says."""
        with closing(sqlite3.connect(self.path)) as db:
            return db.execute(query, tuple(values)).fetchall()
