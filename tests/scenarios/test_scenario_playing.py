"""Scenarios are played apart from everything else, and each expectation can fail."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from agentkit.errors import BotFileError
from agentkit.events import ToolCallFinished
from agentkit.scenarios import Checked, Played, UserLine, load_scenario, play, staged
from agentkit.scenarios.checks import read_rows
from agentkit.scenarios.stage import DATA_VARIABLE
from tests.scenarios.small_bot import doubles, make_bot, write_scenario


def played(bot: Path, text: str) -> list[Played]:
    """Play a scenario of the bot."""
    file = load_scenario(write_scenario(bot, "one", text))
    with staged(bot, file.scenario, doubles()) as stage:
        return list(play(file.scenario, stage))


def checks(items: list[Played]) -> list[tuple[str, bool]]:
    return [(each.what, each.holds) for each in items if isinstance(each, Checked)]


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    return make_bot(tmp_path / "bot")


@pytest.mark.parametrize(
    ("user", "right", "wrong"),
    [
        ("hello", "{intent: greet}", "{intent: ask}"),
        ("tell a joke", "{intent: null}", "{intent: greet}"),
        ("hello", "{said: [Hello]}", "{said: [hello]}"),
        ("hello", "{said: [{pattern: 'H\\w+!'}]}", "{said: [{pattern: '^How'}]}"),
        (
            "hello",
            "{said: [{meaning: 'How are you?', similarity: 0.9}]}",
            "{said: [{meaning: 'It rains.', similarity: 0.9}]}",
        ),
        ("hello", "{not_said: [Goodbye]}", "{not_said: [Hello]}"),
        ("hello", "{source: stored_answer}", "{source: quoted}"),
        ("tell a joke", "{declined: true}", "{declined: false}"),
        ("please look", "{tool_called: [look]}", "{tool_called: [note]}"),
        ("please look", "{not_called: [note]}", "{not_called: [look]}"),
        ("please look", "{generated: false}", "{generated: true}"),
        ("hello", "{handed_off: false}", "{handed_off: true}"),
        ("hello", "{confirmation: false}", "{confirmation: true}"),
        (
            "please look",
            "{events: [{type: tool_call_started, having: {effect: read}}]}",
            "{events: [{type: tool_call_started, having: {effect: write}}]}",
        ),
        (
            "write it down",
            "{database: [{file: shop.db, sql: 'SELECT count(*) FROM notes', rows: [[1]]}]}",
            "{database: [{file: shop.db, sql: 'SELECT count(*) FROM notes', rows: [[0]]}]}",
        ),
        (
            "hello",
            "{database: [{sql: 'SELECT count(*) FROM turns', rows: [[1]]}]}",
            "{database: [{sql: 'SELECT count(*) FROM turns', rows: [[2]]}]}",
        ),
    ],
)
def test_an_expectation_holds_or_fails(user: str, right: str, wrong: str, bot: Path) -> None:
    for expect, holds in ((right, True), (wrong, False)):
        items = played(bot, f"turns:\n  - user: {user}\n    expect: {expect}\n")
        assert [each for _, each in checks(items)] == [holds], items
    assert all(each.found for each in items if isinstance(each, Checked))


def test_a_reply_is_compared_word_for_word(bot: Path) -> None:
    for reply, holds in (("Hello! How are you?", True), ("Hello!", False)):
        items = played(bot, f"turns:\n  - user: hello\n    bot: {reply}\n")
        assert checks(items) == [("the reply is word for word as written", holds)]


def test_the_bot_folder_and_the_user_data_are_left_alone(bot: Path) -> None:
    before = sorted(path.relative_to(bot) for path in bot.rglob("*"))
    data = os.environ[DATA_VARIABLE]
    played(bot, "turns: [{user: write it down}]\n")
    added = {path.relative_to(bot) for path in bot.rglob("*")} - set(before)
    assert added == {Path("scenarios/one.yaml")}
    assert os.environ[DATA_VARIABLE] == data
    assert not any("agentkit-stage" in str(getattr(m, "__file__", "")) for m in list(sys.modules.values()))


def test_every_scenario_starts_from_fresh_data(bot: Path) -> None:
    text = (
        "turns:\n  - user: write it down\n    expect:\n"
        "      database: [{file: shop.db, sql: 'SELECT count(*) FROM notes', rows: [[1]]}]\n"
    )
    assert [checks(played(bot, text))[0][1] for _ in range(2)] == [True, True]


def test_time_passes_only_where_a_line_waits(bot: Path) -> None:
    text = (
        "user: ada\nclock: 2026-11-23T23:00\nturns:\n"
        "  - {user: please look, expect: {said: ['2026-11-23 by ada']}}\n"
        "  - {user: please look, wait: 2 hours, expect: {said: ['2026-11-24']}}\n"
        "  - {user: please look, person: ben, expect: {said: ['by ben']}}\n"
    )
    assert checks(played(bot, text)) == [
        ("reply contains “2026-11-23 by ada”", True),
        ("reply contains “2026-11-24”", True),
        ("reply contains “by ben”", True),
    ]


def test_lines_go_back_and_forth_between_named_conversations(bot: Path) -> None:
    lines = [("phone", False), ("laptop", True), ("phone", False), ("new", True)]
    text = "turns:\n" + "".join(f"  - {{user: hello, conversation: {name}}}\n" for name, _ in lines)
    items = played(bot, text)
    assert [each.new_conversation for each in items if isinstance(each, UserLine)] == [n for _, n in lines]
    conversations = [each.conversation_id for each in items if each.__class__.__name__ == "TurnStarted"]  # type: ignore[union-attr]
    assert conversations[0] == conversations[2]
    assert len(set(conversations)) == 3


@pytest.mark.parametrize(
    ("stub", "status", "text"),
    [
        ("returns: {day: Monday, user: nobody}", "ok", "Monday"),
        ("fails: it is closed", "failed", "it is closed"),
        ("breaks: no route to host", "failed", "internal error"),
        ("slow: true", "timeout", ""),
    ],
)
def test_a_stub_stands_in_for_a_tool(stub: str, status: str, text: str, bot: Path) -> None:
    items = played(bot, f"stubs:\n  look: [{{{stub}}}]\nturns: [{{user: please look}}]\n")
    results = [each.result for each in items if isinstance(each, ToolCallFinished)]
    assert [each.status for each in results[:1]] == [status]
    assert text in "".join(part.text for part in results[0].parts)


def test_a_line_that_a_person_agrees_in_fails_where_the_bot_waits_for_nobody(bot: Path) -> None:
    text = "turns: [{user: write it down, approve: note, expect: {tool_called: [note]}}]\n"
    waited = ("waited for a person to agree to note", False)
    assert checks(played(bot, text)) == [("called note()", True), waited]
    with (bot / "agent.yaml").open("a") as settings:
        settings.write("approve: [note]\n")
    assert all(holds for _, holds in checks(played(bot, text)))


def test_a_stub_holds_for_as_many_calls_as_it_says(bot: Path) -> None:
    text = (
        "user: ada\nstubs:\n  look: [{returns: {day: first, user: x}, times: 1}]\nturns:\n"
        "  - {user: please look, expect: {said: [first]}}\n"
        "  - {user: please look, expect: {not_said: [first], said: [by ada]}}\n"
    )
    assert all(holds for _, holds in checks(played(bot, text)))


def test_replies_are_the_same_in_every_run(bot: Path) -> None:
    text = "clock: 2026-11-23T10:00\nturns: [{user: please look}, {user: write it down}]\n"

    def trace() -> list[str]:
        return [
            each.model_copy(update={"milliseconds": 0.0}).model_dump_json()
            for each in played(bot, text)
            if not isinstance(each, UserLine | Checked)
        ]

    assert trace() == trace()


@pytest.mark.parametrize("sql", ["DELETE FROM notes", "DROP TABLE notes", "ATTACH '/tmp/x.db' AS other"])
def test_a_check_of_the_database_cannot_change_it(sql: str, bot: Path) -> None:
    items = played(
        bot,
        f'turns:\n  - user: write it down\n    expect: {{database: [{{file: shop.db, sql: "{sql}", rows: []}}]}}\n',
    )
    (check,) = [each for each in items if isinstance(each, Checked)]
    assert not check.holds
    assert "not authorized" in check.found


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="unable to open"):
        read_rows(tmp_path / "none.db", "SELECT 1")
    assert not (tmp_path / "none.db").exists()


def test_errors_name_the_folder_that_the_author_knows(bot: Path) -> None:
    (bot / "tools.py").write_text("1 / 0\n")
    with pytest.raises(BotFileError) as caught:
        played(bot, "turns: [{user: hello}]\n")
    assert str(bot / "tools.py") in str(caught.value)


def test_a_script_stands_in_for_the_generator(bot: Path) -> None:
    text = "generator:\n  - says: never asked\nturns: [{user: hello, expect: {said: [Hello]}}]\n"
    assert checks(played(bot, text)) == [("reply contains “Hello”", True)]
