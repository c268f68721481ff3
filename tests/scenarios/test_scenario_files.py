"""Scenario files: what is wrong in them is named with its line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from agentkit.errors import BotFileError
from agentkit.scenarios import check_names, known_names, load_scenario, scenario_path, staged
from agentkit.scenarios.format import duration
from tests.scenarios.small_bot import doubles, make_bot, write_scenario


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("turns: []\n", 2, "at least one user line"),
        ("turns:\n  - user: hi\n    expects: {intent: greet}\n", 4, "did you mean `expect`?"),
        ("turns:\n  - user: hi\n    expect: {intnt: greet}\n", 4, "did you mean `intent`?"),
        ("turns:\n  - user: hi\n    expect:\n      said: [{pattern: '('}]\n", 5, "no regular expression"),
        ("turns:\n  - user: hi\n    expect:\n      said: [{meaning: a, similar: 1}]\n", 5, "similarity"),
        ("turns:\n  - user: hi\n    wait: soon\n", 4, "15 minutes"),
        ("turns:\n  - user: hi\n    approve: look\n    reject: look\n", 3, "both `approve` and `reject`"),
        ("turns:\n  - user: hi\n    expect: {tool_called: [{name: a, args: {}}]}\n", 4, "arguments"),
        ("stubs:\n  look: [{return: 1}]\nturns: [{user: hi}]\n", 3, "did you mean `returns`?"),
        ("stubs:\n  look: [{returns: 1, fails: no}]\nturns: [{user: hi}]\n", 3, "exactly one of"),
        ("stubs:\n  look: [{returns: 1, takes: 5 min}]\nturns: [{user: hi}]\n", 3, "at most 60 s"),
        ("generator: [{says: a, calls: []}]\nturns: [{user: hi}]\n", 2, "exactly one of"),
        ("today: 2026-01-01\nclock: 2026-01-01T10:00\nturns: [{user: hi}]\n", 1, "both `today` and `clock`"),
        (
            "turns:\n  - user: hi\n    expect:\n      events: [{type: tool_caled}]\n",
            5,
            "did you mean `tool_call",
        ),
        (
            "turns:\n  - user: hi\n    expect:\n      events: [{type: declined, having: {why: x}}]\n",
            5,
            "it has: ",
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(
    text: str, line: int, says: str, tmp_path: Path
) -> None:
    path = write_scenario(make_bot(tmp_path / "bot"), "one", text)
    with pytest.raises(BotFileError) as caught:
        load_scenario(path)
    assert caught.value.line == line, str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("expect", "says"),
    [
        ("{not_called: [nota]}", "did you mean `note`?"),
        ("{intent: greeting}", "no intent 'greeting'"),
        ("{tool_called: [{name: lok}]}", "did you mean `look`?"),
        ("{flow_started: [cancel]}", "no flow 'cancel'"),
        ("{slot_set: {order: 1}}", "no slot 'order'"),
        ("{policy_refused: [late]}", "no policy 'late'"),
    ],
)
def test_a_name_that_the_bot_does_not_have_is_refused(expect: str, says: str, tmp_path: Path) -> None:
    bot = make_bot(tmp_path / "bot")
    file = load_scenario(write_scenario(bot, "one", f"turns:\n  - user: hi\n    expect: {expect}\n"))
    with (
        staged(bot, file.scenario, doubles()) as stage,
        pytest.raises(BotFileError, match=r"one\.yaml:4") as e,
    ):
        check_names(file, known_names(stage.bot))
    assert says in str(e.value)


def test_a_stub_of_a_tool_that_is_not_there_is_refused(tmp_path: Path) -> None:
    bot = make_bot(tmp_path / "bot")
    file = load_scenario(write_scenario(bot, "one", "stubs: {loook: [{returns: 1}]}\nturns: [{user: hi}]\n"))
    with staged(bot, file.scenario, doubles()) as stage, pytest.raises(BotFileError, match=r"stubs\.loook"):
        check_names(file, known_names(stage.bot))


def test_a_scenario_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    bot = make_bot(tmp_path / "bot")
    write_scenario(bot, "returns", "turns: [{user: hi}]\n")
    with pytest.raises(BotFileError, match="the scenarios are: returns") as caught:
        scenario_path(bot, "retuns")
    assert caught.value.hint == "Did you mean returns?"


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("15 minutes", timedelta(minutes=15)),
        ("2 hours", timedelta(hours=2)),
        ("1.5 h", timedelta(minutes=90)),
        ("3 days", timedelta(days=3)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_a_wait_is_written_in_words(text: str, span: timedelta) -> None:
    assert duration(text) == span
