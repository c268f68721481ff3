"""`agentkit eval slots` reads cases, understands them as a turn would, and counts what it says it counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentkit.errors import BotFileError
from agentkit.models import load_encoder
from agentkit.prompts import PromptLibrary
from agentkit.service.understanding.evaluation import (
    check_understanding_cases,
    evaluate_understanding,
    load_sketched_bot,
    read_understanding_cases,
    summarise_understanding,
)
from agentkit.testing import HashingEncoder

FOLDER = Path(__file__).parents[3] / "benchmarks" / "slots"
GOOD = {"id": "a", "bot": "shop", "text": "1042", "today": "2026-11-25", "expected": ["confirm"]}


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("{", None),
        (json.dumps(GOOD | {"today": "soon"}), "today"),
        (json.dumps(GOOD | {"id": "b", "awaiting": "slot order_id"}), "awaiting"),
        (json.dumps(GOOD | {"id": "b", "awaited": ""}), "awaited"),
        (json.dumps(GOOD), "id"),
    ],
)
def test_a_wrong_line_is_named_with_its_file_line_and_field(
    tmp_path: Path, line: str, field: str | None
) -> None:
    file = write(tmp_path / "cases.jsonl", json.dumps(GOOD), line)
    with pytest.raises(BotFileError) as caught:
        read_understanding_cases(file)
    assert "cases.jsonl:2" in caught.value.message
    assert field is None or field in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"awaiting": "slot cancel_order.colour"}, "field `awaiting`: the flow 'cancel_order' has no slot 'colour'"),
        ({"awaiting": "slot cancel.order_id"}, "field `awaiting`: the bot 'shop' has no flow 'cancel'"),
        ({"awaiting": "which_flow cancel_order nothing"}, "field `awaiting`: the bot 'shop' has no flow 'nothing'"),
        ({"active": "nothing"}, "field `active`: the bot 'shop' has no flow 'nothing'"),
        ({"active": "cancel_order", "filled": {"colour": "red"}}, "field `filled`: the flow 'cancel_order' has no"),
    ],
)  # fmt: skip
def test_a_line_that_names_what_its_bot_does_not_have_is_named(
    tmp_path: Path, wrong: dict[str, object], message: str
) -> None:
    good = GOOD | {"awaiting": "slot cancel_order.order_id", "filled": {"order_id": "1"}}
    file = write(tmp_path / "cases.jsonl", json.dumps(good), "", json.dumps(GOOD | {"id": "b"} | wrong))
    bots = {"shop": load_sketched_bot(FOLDER / "shop", HashingEncoder())}
    with pytest.raises(BotFileError) as caught:
        check_understanding_cases(file, read_understanding_cases(file), bots)
    assert f"cases.jsonl:3: {message}" in caught.value.message
    assert caught.value.hint


def test_the_lines_that_ship_name_what_their_bots_have() -> None:
    bots = {name: load_sketched_bot(FOLDER / name, HashingEncoder()) for name in ("shop", "clinic", "hotel")}
    for file in FOLDER.glob("*.jsonl"):
        check_understanding_cases(file, read_understanding_cases(file), bots)


def test_a_missing_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    for file in (tmp_path / "none.jsonl", write(tmp_path / "empty.jsonl", "", "")):
        with pytest.raises(BotFileError):
            read_understanding_cases(file)


def test_the_three_hundred_messages_are_two_halves_without_a_common_one() -> None:
    halves = [read_understanding_cases(FOLDER / f"{half}.jsonl") for half in ("development", "held_out")]
    assert [len(each) >= 150 for each in halves] == [True, True]
    assert not {each.id for each in halves[0]} & {each.id for each in halves[1]}
    kinds = {each.kind for half in halves for each in half}
    assert {"number", "date", "amount", "correction", "negation", "two requests"} <= kinds


@pytest.mark.weights
def test_most_messages_are_understood_exactly_without_a_generation() -> None:
    cases = read_understanding_cases(FOLDER / "held_out.jsonl")
    encoder = load_encoder("minilm-l6")
    bots = {name: load_sketched_bot(FOLDER / name, encoder) for name in ("shop", "clinic", "hotel")}
    found = evaluate_understanding(cases, bots, encoder=encoder, generator=None, prompts=PromptLibrary())
    summary = summarise_understanding(list(found))
    assert summary.exact / summary.cases >= 0.92
    assert summary.without_generation == summary.cases
