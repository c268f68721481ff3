"""Many scenarios at once, their reports, recordings and exports."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree

import pytest

from agentkit.cli.exports import EXPORTS, Pace, check_export, export, screenplay
from agentkit.errors import BotFileError, InputRejected, RecordingMissed
from agentkit.scenarios import Checked, Played, explain, load_scenario, play, staged, write_junit
from agentkit.scenarios.recorder import Said, changes, record, replay, scenario_text, trace
from agentkit.scenarios.recording import load, recording_path
from agentkit.scenarios.results import PlayedTurn, Result, statistics_of, turns_of
from agentkit.scenarios.running import Company, Plan
from agentkit.scenarios.updating import update_replies, with_replies
from agentkit.testing import HashingEncoder, ScriptedGenerator
from tests.scenarios.small_bot import doubles, make_bot, write_scenario

TALK = """
user: ada
clock: 2026-11-23T10:00
turns:
  # a comment that stays
  - user: hello
    bot: Hi!
  - user: please look
    bot: |-
      Seen on
      another day.
    expect: {tool_called: [look]}
  - {user: write it down, bot: "?"}
  - user: tell a joke
"""


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    return make_bot(tmp_path / "bot")


def play_file(bot: Path, path: Path) -> list[Played]:
    file = load_scenario(path)
    with staged(bot, file.scenario, doubles()) as stage:
        return list(play(file.scenario, stage))


def result_of(bot: Path, path: Path) -> Result:
    return Result(name=path.stem, path=path, turns=turns_of(play_file(bot, path)))


def test_a_failure_is_explained_by_the_turn_and_a_diff_of_the_transcript(bot: Path) -> None:
    result = result_of(bot, write_scenario(bot, "talk", TALK))
    assert not result.passed
    shown = "\n".join(explain(result))
    assert "-bot ▸ Hi!\n+bot ▸ Hello! How are you?" in shown
    assert " you ▸ please look" in shown


def test_replies_are_written_anew_and_the_rest_of_the_file_stays(bot: Path) -> None:
    path = write_scenario(bot, "talk", TALK)
    assert update_replies(result_of(bot, path)) == 3
    text = path.read_text()
    assert "# a comment that stays" in text
    assert '- {user: write it down, bot: "It is written down."}' in text
    result = result_of(bot, path)
    assert result.passed, list(explain(result))
    assert [turn.written is None for turn in result.turns] == [False, False, False, True]
    assert update_replies(result) == 0


def test_a_reply_of_several_lines_becomes_a_block(bot: Path) -> None:
    text = "turns:\n  - user: a\n    bot: x\n    wait: 2s\n"
    assert with_replies(text, [(0, 'one: "1"\n\n- two')]) == (
        'turns:\n  - user: a\n    bot: |-\n      one: "1"\n\n      - two\n    wait: 2s\n'
    )


def test_junit_counts_failures_and_errors(bot: Path, tmp_path: Path) -> None:
    failed = result_of(bot, write_scenario(bot, "talk", TALK))
    broken = Result(name="broken", path=tmp_path, error="line\x00 one\nline two")
    write_junit(tmp_path / "out" / "r.xml", "Small", [failed, broken])
    (suite,) = ElementTree.parse(tmp_path / "out" / "r.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "1")
    assert "+bot ▸ Hello!" in (suite.find("testcase[@name='talk']/failure") or suite[1][0]).text  # type: ignore[operator]


def test_a_scenario_that_a_bare_assertion_cut_off_has_not_passed(bot: Path) -> None:
    path = write_scenario(bot, "talk", TALK)
    record(bot, load_scenario(path), ScriptedGenerator([]), HashingEncoder())
    with (bot / "tools.py").open("a") as tools:
        tools.write("    assert not SHOP.exists()\n")
    result = Company(Plan(bot, replay=True)).run(path)
    assert not result.passed
    assert "in reset" in result.error


def test_turns_without_generation_are_counted_and_timed() -> None:
    turns = [
        PlayedTurn(user="a", milliseconds=10),
        PlayedTurn(user="b", milliseconds=30, reads_state=True),
        PlayedTurn(user="c", milliseconds=500, generations=1),
    ]
    figures = statistics_of([Result(name="x", path=Path("x"), turns=tuple(turns))])
    assert (figures.without_generation, figures.median_without, figures.median_encoder) == (2, 20, 10)
    assert (figures.reading_state, figures.median_with) == (1, 500)


def test_a_recording_replays_every_event(bot: Path) -> None:
    file = load_scenario(write_scenario(bot, "talk", TALK))
    played = record(bot, file, ScriptedGenerator([]), HashingEncoder())
    assert trace(replay(bot, file)) == trace(played)


def test_a_replay_that_asks_for_something_else_shows_the_nearest_recording(bot: Path) -> None:
    path = write_scenario(bot, "talk", TALK)
    record(bot, load_scenario(path), ScriptedGenerator([]), HashingEncoder())
    path.write_text(path.read_text().replace("please look", "please look closer"))
    with pytest.raises(RecordingMissed, match="please look closer") as caught:
        replay(bot, load_scenario(path))
    assert "the nearest that is: 'please look'" in caught.value.message
    assert "--live" in caught.value.hint


def test_what_a_generator_says_otherwise_is_shown(bot: Path) -> None:
    file = load_scenario(write_scenario(bot, "talk", TALK))
    record(bot, file, ScriptedGenerator([]), HashingEncoder())
    before = load(recording_path(file.path))[0]
    after = before.model_copy(update={"generator": "other"})
    assert list(changes(before, before)) == []
    assert "scripted" in next(iter(changes(before, after)))


def test_a_damaged_recording_is_refused(bot: Path) -> None:
    file = load_scenario(write_scenario(bot, "talk", TALK))
    record(bot, file, ScriptedGenerator([]), HashingEncoder())
    recording_path(file.path).with_suffix(".safetensors").write_bytes(b"no vectors")
    with pytest.raises(BotFileError, match="cannot be read"):
        replay(bot, file)


def test_a_conversation_becomes_a_scenario_that_passes(bot: Path, tmp_path: Path) -> None:
    items = play_file(bot, write_scenario(bot, "talk", TALK))
    file = load_scenario(bot / "scenarios" / "talk.yaml")
    said: list[Said] = []
    for item in items:
        if item.__class__.__name__ == "UserLine":
            said.append(Said(item.text, []))  # type: ignore[union-attr]
        elif not isinstance(item, Checked):
            said[-1].events.append(item)  # type: ignore[attr-defined]
    text = scenario_text("again", "ada", file.scenario.starts() or pytest.fail("no clock"), said)
    (bot / "scenarios" / "again.yaml").write_text(text)
    again = load_scenario(bot / "scenarios" / "again.yaml")
    assert [line.user for line in again.scenario.turns] == [line.user for line in file.scenario.turns]
    assert all(each.holds for each in play_file(bot, again.path) if isinstance(each, Checked))


def test_every_export_holds_the_conversation(bot: Path, tmp_path: Path) -> None:
    path = write_scenario(bot, "talk", TALK.replace("  - user: tell", "  - wait: 3 days\n    user: tell"))
    acts = screenplay(
        "Small & <b>Co</b>", load_scenario(path).scenario, play_file(bot, path), Pace(typing=20)
    )
    for ending in EXPORTS:
        target = tmp_path / "out" / f"demo{ending}"
        export(acts, target, steps=True)
        text = target.read_text()
        assert "please look" in text.replace('"', "").replace(",", "") or ending == ".cast"
        assert "<b>Co" not in text or ending in (".cast",)
    times = [row[0] for row in map(json.loads, (tmp_path / "out/demo.cast").read_text().splitlines()[1:])]
    assert times == sorted(times)
    written = "".join(
        row[2] for row in map(json.loads, (tmp_path / "out/demo.cast").read_text().splitlines()[1:])
    )
    assert "please look\r\n" in written
    assert "3 days later" in written
    ElementTree.parse(tmp_path / "out/demo.svg")
    assert "http" not in (tmp_path / "out/demo.html").read_text().replace("http-equiv", "")


def test_inner_steps_can_be_left_out_but_not_what_failed(bot: Path) -> None:
    path = write_scenario(bot, "talk", TALK)
    acts = screenplay("Small", load_scenario(path).scenario, play_file(bot, path))
    text = EXPORTS[".md"](acts, steps=False)
    assert "| intent |" not in text
    assert "✗ expected" in text


def test_an_unknown_kind_of_export_is_refused_before_anything_is_played() -> None:
    with pytest.raises(InputRejected, match="no kind of export") as caught:
        check_export(Path("demo.gif"))
    assert ".svg" in caught.value.hint


@pytest.mark.slow
@pytest.mark.weights
def test_scenarios_run_in_processes_and_by_pytest(tmp_path: Path) -> None:
    bot = make_bot(tmp_path / "bot")
    good = "user: ada\nclock: 2026-11-23T10:00\nturns: [{user: hello, expect: {said: [Hello]}}]\n"
    write_scenario(bot, "one", good)
    write_scenario(bot, "two", good.replace("[Hello]", "[Goodbye]"))
    write_scenario(bot, "three", "turns: [{usr: hi}]\n")
    agentkit = Path(sys.executable).with_name("agentkit")
    run = subprocess.run(
        [agentkit, "test", bot, "-n", "2", "--json"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1, run.stderr
    results = {each["name"]: each for each in json.loads(run.stdout)["results"]}
    assert results["one"]["turns"][0]["reply"].startswith("Hello")
    assert results["two"]["turns"][0]["failures"][0]["what"] == "reply contains “Goodbye”"
    assert "did you mean `user`?" in results["three"]["error"]
    assert subprocess.run([agentkit, "test", bot, "one"], check=False).returncode == 0
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", bot],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in run.stdout
    assert "2 failed" in run.stdout
    assert "reply contains “Goodbye”" in run.stdout
    # Recorded with the real models, played again by pytest without any.
    run = subprocess.run(
        [agentkit, "record", bot, "one", "--from", "one"], capture_output=True, text=True, check=False
    )
    assert "every event is the same" in run.stdout, textwrap.shorten(run.stderr, 500)
