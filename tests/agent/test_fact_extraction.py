"""Facts that the generator names are kept where the message bears them out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentkit.agent import Agent, Settings
from agentkit.errors import ConstraintUnmet
from agentkit.store.records import MemoryRecord
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing import Fails, FixedClock, Says, ScriptedGenerator
from tests.agent.desk import ENCODER


def remembered(folder: Path, *said: tuple[str, list[tuple[str, str]]]) -> list[MemoryRecord]:
    """The facts, replaced ones too, after messages of which the generator says that they state something."""
    steps = [Says(json.dumps({"facts": [{"kind": k, "fact": f} for k, f in found]})) for _, found in said]
    with Agent(
        generator=ScriptedGenerator(steps),
        encoder=ENCODER,
        tools=[],
        database=folder / "agent.db",
        settings=Settings(fact_extraction="generated"),
        now=FixedClock(),
    ) as agent:
        for text, _ in said:
            agent.ask(text, user="ada")
    with SqliteStore.open(folder / "agent.db") as store:
        return store.for_user("default", "ada").memories("fact", replaced=True)


def test_what_the_message_bears_out_is_kept_with_what_it_is_about(tmp_path: Path) -> None:
    [home, cats] = remembered(
        tmp_path,
        (
            "Since March my address is in Leeds, and we keep two cats there",
            [("home", "The user's address is in Leeds"), ("family", "we keep two cats")],
        ),
    )
    assert (home.text, home.about, home.trust) == ("The user's address is in Leeds", "home", "user")
    assert (cats.text, cats.about) == ("we keep two cats", "")
    assert home.turn_id is not None


@pytest.mark.parametrize(
    "invented",
    [
        "The user lives in Paris",
        "we keep three cats",
        "The order number is 1042",
        "The cats are called Tom and Mia",
    ],
)
def test_what_nobody_said_is_not_kept(tmp_path: Path, invented: str) -> None:
    assert remembered(tmp_path, ("we keep two cats in Leeds", [("other", invented)])) == []


def test_a_newer_value_takes_the_place_of_the_older_one(tmp_path: Path) -> None:
    [old, new] = remembered(
        tmp_path,
        ("my address is 5 Mill Road, Leeds", [("home", "my address is 5 Mill Road, Leeds")]),
        ("from now on it is 7 Elm Street, York", [("home", "it is 7 Elm Street, York")]),
    )
    assert old.replaced_by == new.id
    assert new.replaced_by is None


def test_rules_find_the_facts_where_the_generator_fails(tmp_path: Path) -> None:
    with Agent(
        generator=ScriptedGenerator([Fails(ConstraintUnmet("no room", hint="more tokens"))]),
        encoder=ENCODER,
        tools=[],
        database=tmp_path / "agent.db",
        settings=Settings(fact_extraction="generated"),
        now=FixedClock(),
    ) as agent:
        agent.ask("I live in Leeds", user="ada")
    with SqliteStore.open(tmp_path / "agent.db") as store:
        assert [each.text for each in store.for_user("default", "ada").memories("fact")] == [
            "I live in Leeds"
        ]
