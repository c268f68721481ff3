"""What the cases ask and which figures come of it, with an engine that takes no time."""

from __future__ import annotations

import pytest

from agentkit.models.bench.cases import (
    Setting,
    calls_in_a_row,
    eight_at_once,
    figure,
    fresh_process,
    growth,
    long_history,
    plain_writing,
    support_turn,
)
from agentkit.models.bench.desk import CALL_TOKENS, REPLY_TOKENS, load_desk
from tests.models.bench.scripted_engine import ScriptedEngine

DESK = load_desk()


def test_a_support_turn_is_its_call_and_its_reply() -> None:
    found = support_turn(ScriptedEngine(seconds=0.5), DESK, Setting())
    assert found["turn_call"] == 0.5 * CALL_TOKENS
    assert found["turn"] == 0.5 * (CALL_TOKENS + REPLY_TOKENS)
    assert found["reply_token"] == 500
    assert found["call_passes"] == 12 / CALL_TOKENS


def test_every_round_asks_for_another_order() -> None:
    engine = ScriptedEngine()
    support_turn(engine, DESK, Setting(round=0))
    support_turn(engine, DESK, Setting(round=1))
    assert engine.requests[1].messages[-1] != engine.requests[4].messages[-1]


def test_the_history_is_seen_before_the_turn_is_measured() -> None:
    engine = ScriptedEngine()
    long_history(engine, DESK, Setting())
    seen, call = engine.requests[:2]
    assert seen.messages[:-1] == call.messages[:-1]
    assert seen.max_tokens == 1


def test_the_first_start_of_all_is_not_measured() -> None:
    assert fresh_process(ScriptedEngine(), DESK, Setting()) == {"start": 3.0}


def test_eight_conversations_are_counted_as_eight_replies() -> None:
    found = eight_at_once(ScriptedEngine(seconds=1 / (CALL_TOKENS + REPLY_TOKENS)), DESK, Setting())
    assert found["together"] == pytest.approx(60)


def test_growth_is_read_at_turn_five_and_turn_fifty() -> None:
    engine = ScriptedEngine()
    assert growth(engine, DESK, Setting())["growth"] == 1
    assert len(engine.requests) == 2 * 54


def test_an_engine_that_keeps_no_prompts_skips_the_turns_between() -> None:
    engine = ScriptedEngine(reuses_prompts=False)
    growth(engine, DESK, Setting())
    assert len(engine.requests) == 2 * 16


def test_calls_in_a_row_are_read_at_their_marks() -> None:
    found = calls_in_a_row(ScriptedEngine(seconds=0.001), DESK, Setting(marks=(2, 5)))
    assert found["calls_2"] == found["calls_5"] == pytest.approx(CALL_TOKENS)
    assert found["calls_5_growth"] == 1
    assert "calls_5_relative" not in found
    assert (found["calls_5_passes"], found["calls_5_rows"], found["calls_5_prefilled"]) == (12, 5, 500)


def test_a_machine_that_slows_down_is_no_growth_of_calls() -> None:
    found = calls_in_a_row(ScriptedEngine(seconds=0.001, slows_down=True), DESK, Setting(marks=(2, 5)))
    assert found["calls_5"] > 1.5 * found["calls_2"]
    assert found["calls_5_relative"] == pytest.approx(CALL_TOKENS / 10)
    assert found["calls_5_growth"] == pytest.approx(1)


def test_impatience_ends_a_row_of_calls_early() -> None:
    engine = ScriptedEngine()
    assert calls_in_a_row(engine, DESK, Setting(marks=(2, 5), patience=0)) == {}
    assert len(engine.requests) == 2


def test_decoding_is_what_a_longer_text_takes_beyond_a_shorter_one() -> None:
    found = plain_writing(ScriptedEngine(seconds=0.5), DESK, Setting())
    assert found["decode"] == 2
    assert found["prefill"] == 1000


def test_figures_of_calls_say_how_many_calls() -> None:
    assert figure("calls_1024").title == "(e) a call, around call 1,024 in a row"
    assert figure("calls_64_growth").unit == "times"
