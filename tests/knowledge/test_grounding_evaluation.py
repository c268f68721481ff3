"""The evaluation reads cases, takes the path of a conversation, and counts what it says it counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentkit.errors import BotFileError
from agentkit.knowledge.answerability import Combination, Judge
from agentkit.knowledge.evaluation import (
    GroundingPrediction,
    evaluate_grounding,
    read_grounding_cases,
    summarise_grounding,
)
from agentkit.prompts import PromptLibrary
from agentkit.testing import HashingEncoder

GOOD = {
    "id": "a",
    "evidence": ["Pickup costs 19 EUR."],
    "question": "What does pickup cost?",
    "answerable": True,
    "must": ["19 EUR"],
}
CASES = Path(__file__).parents[2] / "benchmarks" / "grounding_cases.jsonl"
EVERYTHING_IS_ANSWERED = Judge(Combination(bias=9, weights={}, threshold=0.5))
NOTHING_IS_ANSWERED = Judge(Combination(bias=-9, weights={}, threshold=0.5))


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_cases_are_read_and_empty_lines_are_skipped(tmp_path: Path) -> None:
    other = GOOD | {"id": "b", "answerable": False, "must": []}
    file = write(tmp_path / "cases.jsonl", json.dumps(GOOD), "", json.dumps(other), "")
    assert [(case.id, case.answerable) for case in read_grounding_cases(file)] == [("a", True), ("b", False)]


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("{", None),
        (json.dumps(GOOD | {"answerable": "yes"}), "answerable"),
        (json.dumps(GOOD | {"evidence": "one text"}), "evidence"),
        (json.dumps(GOOD | {"question": ""}), "question"),
        (json.dumps(GOOD | {"quesiton": "?"}), "quesiton"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "id"}), "id"),
        (json.dumps(GOOD | {"question": "the same id again"}), "id"),
    ],
)
def test_a_wrong_line_is_named_with_its_file_line_and_field(
    tmp_path: Path, line: str, field: str | None
) -> None:
    file = write(tmp_path / "cases.jsonl", json.dumps(GOOD), line)
    with pytest.raises(BotFileError) as caught:
        read_grounding_cases(file)
    assert caught.value.path == file
    assert caught.value.line == 2
    assert caught.value.field == field
    assert caught.value.hint


@pytest.mark.parametrize("content", [None, b"", b"\n\n", b"\xff\xfe\x00"])
def test_a_file_without_cases_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "cases.jsonl"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BotFileError):
        read_grounding_cases(file)


def test_a_prediction_is_one_line_of_json_with_three_fields() -> None:
    line = GroundingPrediction("a", "Ä\n19 EUR", declined=False, probability=0.9, milliseconds=3).to_json()
    assert "\n" not in line
    assert json.loads(line) == {"id": "a", "reply": "Ä\n19 EUR", "declined": False}


def test_rates_count_right_replies_refusals_and_inventions(tmp_path: Path) -> None:
    rows = [GOOD | {"id": name, "answerable": name < "d"} for name in "abcde"]
    cases = read_grounding_cases(write(tmp_path / "cases.jsonl", *map(json.dumps, rows)))
    said = [
        GroundingPrediction("a", "Pickup costs 19 EUR.", False, 0.9, 10),
        GroundingPrediction("b", "Pickup costs 21 EUR.", False, 0.9, 20),
        GroundingPrediction("c", "I do not know what 77 EUR are for.", True, 0.1, 30),
        GroundingPrediction("d", "I do not know.", True, 0.1, 40),
        GroundingPrediction("e", "Pickup costs 19 EUR.", False, 0.9, 50, "generator+encoder"),
    ]
    summary = summarise_grounding(said, cases)
    assert (summary.answerable, summary.right, summary.wrongly_declined) == (3, 1, 1)
    assert (summary.unanswerable, summary.declined, summary.invented) == (2, 1, 1)
    assert summary.median_milliseconds == 30
    assert summary.asked == 1
    assert summary.area == pytest.approx((1 + 0.5 + 1 + 0.5 + 0.5 + 0) / 6)
    assert summarise_grounding(said[:3], cases).area is None
    assert summarise_grounding([], cases).median_milliseconds == 0


def test_our_own_cases_are_at_least_sixty_from_several_trades_and_half_unanswerable() -> None:
    cases = read_grounding_cases(CASES)
    assert len(cases) >= 60
    assert len({case.id.split("-")[0] for case in cases}) >= 10
    assert sum(case.answerable for case in cases) * 2 == len(cases)
    for case in cases:
        assert bool(case.must) == case.answerable
        assert all(any(must in text for text in case.evidence) for must in case.must)


@pytest.mark.parametrize("judge", [EVERYTHING_IS_ANSWERED, NOTHING_IS_ANSWERED])
def test_nothing_is_invented_whatever_the_judge_says(judge: Judge) -> None:
    cases = read_grounding_cases(CASES)
    found = list(
        evaluate_grounding(
            cases, generator=None, encoder=HashingEncoder(), judge=judge, prompts=PromptLibrary()
        )
    )
    summary = summarise_grounding(found, cases)
    assert summary.invented == 0
    assert summary.declined == (summary.unanswerable if judge is NOTHING_IS_ANSWERED else 0)
    assert summary.right == 0 or judge is EVERYTHING_IS_ANSWERED
