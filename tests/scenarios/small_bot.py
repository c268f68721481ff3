"""A bot that needs no weights: two intents, a tool with an effect on a database, a tool that looks."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from agentkit.scenarios import Cast
from agentkit.testing import HashingEncoder, ScriptedGenerator

TOOLS: Final = '''
import os
import sqlite3
from pathlib import Path

from agentkit import ToolContext, ToolFailed, tool

SHOP = Path(__file__).with_name("shop.db")


@tool(effect="read")
def look(context: ToolContext) -> dict[str, str]:
    """Look at something."""
    return {"day": context.now().date().isoformat(), "user": context.user_id}


@tool(effect="write", idempotent=True)
def note() -> str:
    """Write one line down."""
    with sqlite3.connect(SHOP) as db:
        db.execute("INSERT INTO notes VALUES ('line')")
    return "written"


def reset() -> None:
    SHOP.unlink(missing_ok=True)
    with sqlite3.connect(SHOP) as db:
        db.execute("CREATE TABLE notes (text TEXT)")
'''
INTENTS: Final = """
intents:
  greet: {answer: "Hello! How are you?", examples: [hello, hi there, good morning, hello you]}
  ask: {tools: [look], examples: [look at it, please look, have a look, look there]}
  note: {tools: [note], examples: [write it down, note this, note it down, please note]}
out_of_scope: [the weather, a poem, tell a joke]
"""
CONFIG: Final = "name: Small\ntools: [tools.py]\nintents: intents.yaml\nreplies: replies\nsetup: tools.py\n"


def make_bot(folder: Path) -> Path:
    """Write the bot into a folder."""
    (folder / "scenarios").mkdir(parents=True)
    (folder / "replies").mkdir()
    (folder / "agent.yaml").write_text(CONFIG)
    (folder / "tools.py").write_text(TOOLS)
    (folder / "intents.yaml").write_text(INTENTS)
    (folder / "replies" / "look.jinja").write_text("Seen on {{ result.day }} by {{ result.user }}.")
    (folder / "replies" / "note.jinja").write_text("It is written down.")
    return folder


def write_scenario(bot: Path, name: str, text: str) -> Path:
    """Write a scenario of the bot."""
    path = bot / "scenarios" / f"{name}.yaml"
    path.write_text(f"name: {name}\n{text}")
    return path


def doubles() -> Cast:
    """Models without weights."""
    return Cast(generator=ScriptedGenerator([]), encoder=HashingEncoder())
