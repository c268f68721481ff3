"""What a bot says about its simulated users: `simulation.yaml` in its folder."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final

from pydantic import Field, JsonValue

from agentkit.messages import Value
from agentkit.scenarios.format import DatabaseCheck
from agentkit.yaml_files import load_yaml

FILE: Final = "simulation.yaml"


class Secrets(Value):
    """Texts that belong to one user and must never be said to another.

    Args:
        file: A database of the bot's tools, relative to the bot folder.
        sql: One SELECT that gives rows of an owner and a text.
    """

    file: str
    sql: str


class AlwaysTrue(DatabaseCheck):
    """What must hold after every conversation, whatever was said.

    Args:
        name: What is broken where it does not.
    """

    name: str


class SimulationSetting(Value):
    """Who the simulated users are, what they know, and what must never happen.

    Args:
        today: The date that the clock shows; None: the real one.
        users: Who may be signed in, and what the application knows about each.
        values: Values that users say for a slot, right and wrong ones; the slot's own examples are added.
        secrets: What belongs to one user.
        always: What must hold in the databases.
        lines: Most lines of a conversation.
    """

    today: date | None = None
    users: dict[str, dict[str, JsonValue]] = Field(default={"demo": {}}, min_length=1)
    values: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    secrets: tuple[Secrets, ...] = ()
    always: tuple[AlwaysTrue, ...] = ()
    lines: int = Field(default=10, ge=1, le=100)


def load_setting(folder: Path) -> SimulationSetting:
    """Read `simulation.yaml`; a bot without one has one user called `demo`, and only the general promises.

    Raises:
        BotFileError: The file is wrong; names file, line and field.
    """
    path = folder / FILE
    return load_yaml(path, SimulationSetting) if path.exists() else SimulationSetting()
