"""Simulated users find what is broken, and show it in as few lines as they can."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from agentkit.errors import BotFileError
from agentkit.events import (
    ConfirmationAnswered,
    ConfirmationAsked,
    Event,
    Replied,
    ToolCallStarted,
    TurnFinished,
)
from agentkit.messages import ToolCall
from agentkit.scenarios import Cast, Scenario, staged
from agentkit.scenarios.format import Line
from agentkit.scenarios.script import random_generator
from agentkit.scenarios.simulation import Simulation, SimulationSetting, by_kind, load_setting
from agentkit.scenarios.simulation.promises import Watcher
from agentkit.scenarios.simulation.wording import Phrases, Rewording
from agentkit.testing import HashingEncoder
from tests.scenarios.small_bot import doubles, make_bot

NOTES = "always: [{name: a note was written, file: shop.db, sql: SELECT count(*) FROM notes, rows: [[0]]}]\n"


def simulation(bot: Path) -> Simulation:
    return Simulation(
        bot, load_setting(bot), lambda seed: Cast(generator=random_generator(seed), encoder=HashingEncoder())
    )


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    return make_bot(tmp_path / "bot")


def test_a_broken_promise_is_found_and_shrunk_to_the_line_that_breaks_it(bot: Path) -> None:
    (bot / "simulation.yaml").write_text(NOTES)
    simulated = simulation(bot)
    found = by_kind(list(simulated.run(range(8))))
    assert "a note was written" in found
    longest = max(found["a note was written"], key=lambda each: len(each.lines))
    shortest = simulated.shrunk(longest)
    assert len(shortest.lines) == 1
    assert shortest.broken[0].kind == "a note was written"


def test_what_belongs_to_another_user_is_never_said(bot: Path) -> None:
    (bot / "simulation.yaml").write_text(
        "users: {ada: {}}\nsecrets: [{file: shop.db, sql: \"SELECT 'ben', 'Seen'\"}]\n"
    )
    found = by_kind(list(simulation(bot).run(range(6))))
    assert list(found) == ["other customer's data"]


def test_a_seed_makes_the_same_conversation_again(bot: Path) -> None:
    first, second = (list(simulation(bot).run([5])) for _ in range(2))
    assert first == second
    other = list(simulation(bot).run([6]))
    assert other[0].lines != first[0].lines


def test_a_sound_bot_breaks_no_promise(bot: Path) -> None:
    found = by_kind(list(simulation(bot).run(range(6))))
    assert found == {}


def test_a_mistake_in_the_setting_names_its_line(bot: Path) -> None:
    (bot / "simulation.yaml").write_text("today: 2026-11-23\nuser: {ada: {}}\n")
    with pytest.raises(BotFileError, match="there is no such setting") as caught:
        load_setting(bot)
    assert caught.value.line == 2


@pytest.mark.parametrize(
    "setting",
    [
        "always: [{name: kept, file: shop.bd, sql: SELECT 1, rows: []}]",
        "always: [{name: kept, file: shop.db, sql: SELECT nothing FROM notes, rows: []}]",
        "secrets: [{file: shop.bd, sql: SELECT 1}]",
    ],
)
def test_a_promise_about_what_is_not_there_is_refused(setting: str, bot: Path) -> None:
    (bot / "simulation.yaml").write_text(setting)
    with pytest.raises(BotFileError, match=r"simulation\.yaml") as caught:
        list(simulation(bot).run([1]))
    assert "one SELECT" in caught.value.hint


def asked(**arguments: str) -> ConfirmationAsked:
    return ConfirmationAsked(flow="f", tool="pay", arguments=dict(arguments))


def answered(answer: str) -> ConfirmationAnswered:
    return ConfirmationAnswered.model_validate({"flow": "f", "tool": "pay", "answer": answer})


def paid(**arguments: str) -> ToolCallStarted:
    return ToolCallStarted(call=ToolCall(id="1", name="pay", arguments=dict(arguments)), effect="write")


@pytest.mark.parametrize(
    ("events", "kinds"),
    [
        ([asked(to="x"), answered("confirmed"), paid(to="x")], []),
        ([paid(to="x")], ["effect without confirmation"]),
        ([asked(to="x"), paid(to="x")], ["effect without confirmation"]),
        ([asked(to="x"), answered("denied"), paid(to="x")], ["effect without confirmation"]),
        ([asked(to="x"), answered("void"), paid(to="x")], ["effect without confirmation"]),
        ([asked(to="x"), answered("confirmed"), paid(to="y")], ["effect with other arguments"]),
        (
            [asked(to="x"), answered("confirmed"), paid(to="x"), paid(to="x")],
            ["effect without confirmation"],
        ),
        (
            [asked(to="x"), answered("confirmed"), asked(to="y"), paid(to="y")],
            ["effect without confirmation"],
        ),
    ],
)
def test_an_effect_needs_a_yes_to_this_very_call(events: list[Event], kinds: list[str], bot: Path) -> None:
    ending: list[Event] = [Replied(text="Done.", source="template"), TurnFinished(turn_id="1")]
    scenario = Scenario(name="x", turns=(Line(user="hi"),))
    with staged(bot, scenario, doubles()) as stage:
        watcher = Watcher("ada", stage, SimulationSetting())
        watcher._has_flows = True
        assert [each.kind for each in watcher.turn([*events, *ending])] == kinds


def test_a_turn_without_an_end_or_a_reply_breaks_a_promise(bot: Path) -> None:
    with staged(bot, Scenario(name="x", turns=(Line(user="hi"),)), doubles()) as stage:
        watcher = Watcher("ada", stage, SimulationSetting())
        assert [each.kind for each in watcher.turn([])] == ["no end", "no reply"]


def test_digits_are_never_mistyped() -> None:
    rewording = Rewording(random.Random(1), Phrases.load(), HashingEncoder())
    for _ in range(200):
        assert "1042" in rewording.mistyped("where is order 1042")
