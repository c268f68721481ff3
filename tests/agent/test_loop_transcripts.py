"""Whole turns on doubles, compared with transcripts that a reviewer reads in the diff.

`UPDATE_GOLDEN=1 pytest tests/agent/test_loop_transcripts.py` writes them anew.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from agentkit.agent import Limits
from agentkit.testing import Calls, Says, ScriptedGenerator, ScriptStep
from tests.agent.desk import desk, tell

GOLDEN: Final = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Case:
    """A conversation: what the user says, and what the generator writes in all of it."""

    says: Sequence[str]
    steps: Sequence[ScriptStep] = ()
    bound: bool = True
    limits: Limits | None = None
    replies: bool = False
    documents: bool = False


RETURNS: Final = """\
# Returns policy
## How long do the rules for returns give me?
The rules for returns give you 30 days.
## What do returns cost?
Returns of a parcel are free.
# Warranty
The warranty lasts 5 years.
"""
FAQ: Final = "question,answer\nwhat are the rules of the warranty,Five years on all that is made of wood.\n"


def cancel(order: str, reason: str = "changed_mind") -> Calls:
    return Calls([("cancel_order", {"order_id": order, "reason": reason})])


CASES: Final = {
    "a stored answer needs no generator": Case(["Thank you!"]),
    "a person is asked for": Case(["I want to talk to a human"]),
    "out of scope is declined": Case(["who won the football match"]),
    "the only possible call is made without the generator": Case(["where is my order 1042"], replies=True),
    "the second tool serves where the first lacks its argument": Case(
        ["where is my parcel"], [Says("Done.")]
    ),
    "a missing number is asked for and the next message goes on": Case(
        ["I want to cancel an order", "it is 1042"], [cancel("1042")], replies=True
    ),
    "an invented street is asked for and never used": Case(
        ["change the address of my order 1042", "12 Quay Street"],
        [
            Calls([("change_address", {"order_id": "1042", "street": "123 Main Street"})]),
            Calls([("change_address", {"order_id": "1042", "street": "12 Quay Street"})]),
        ],
        replies=True,
    ),
    "a tool that refuses is quoted": Case(["cancel my order 1057"], [cancel("1057")]),
    "a reply that its evidence bears out is sent": Case(
        ["the table is broken"],
        [
            Calls([("create_ticket", {"problem": "the table is broken"})]),
            Says("There is a ticket about the table."),
        ],
    ),
    "a reply with an invented number is asked for again": Case(
        ["the table is broken"],
        [
            Calls([("create_ticket", {"problem": "the table is broken"})]),
            Says("Your ticket is number 4711."),
            Says("There is a ticket about the table.", expect="4711"),
        ],
    ),
    "a reply that invents twice is replaced by the evidence": Case(
        ["the table is broken"],
        [
            Calls([("create_ticket", {"problem": "the table is broken"})]),
            Says("Your ticket is number 4711."),
            Says("Your ticket is number 4712."),
        ],
    ),
    "an answer from a document says where it stands": Case(
        ["how long do the rules for returns give me"], documents=True
    ),
    "a stored answer of the documents says which question it answers": Case(
        ["what are the rules of the warranty"], documents=True
    ),
    "a written reply cites the passage that it rests on and no other": Case(
        ["where is my parcel 1042, and how long do the rules for returns give me"],
        [
            Calls([("track_parcel", {"order_id": "1042"})]),
            Says("Order 1042 is shipped by DHL. The rules for returns give you 30 days."),
        ],
        bound=False,
        documents=True,
    ),
    "without intents the generator chooses a tool": Case(
        ["where is my parcel 1042"],
        [Calls([("track_parcel", {"order_id": "1042"})]), Says("Order 1042 is shipped by DHL.")],
        bound=False,
    ),
    "without intents text is no answer where nothing was found": Case(
        ["where is my parcel 1042"], [Says("It was shipped to the United States.")], bound=False
    ),
    "nothing relevant is declined without asking the generator": Case(["zzz qqq xxx"], bound=False),
    "the same call again is stopped": Case(
        ["where is my parcel 1042"],
        [Calls([("track_parcel", {"order_id": "1042"})]), Calls([("track_parcel", {"order_id": "1042"})])],
        bound=False,
    ),
    "the steps of a turn are limited": Case(
        ["where is my parcel 1042"],
        [Calls([("track_parcel", {"order_id": "1042"})])],
        bound=False,
        limits=Limits(steps=1),
    ),
    "the tokens of a turn are limited": Case(
        ["where is my parcel 1042"],
        [Calls([("track_parcel", {"order_id": "1042"})])],
        bound=False,
        limits=Limits(tokens=60),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_transcript_of_a_turn_is_as_recorded(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    replies = None
    if case.replies:
        replies = tmp_path / "replies"
        replies.mkdir()
        for tool in ("track_parcel", "cancel_order", "change_address"):
            (replies / f"{tool}.jinja").write_text("Done: {{ result }}")
    documents = None
    if case.documents:
        documents = tmp_path / "documents"
        documents.mkdir()
        (documents / "returns.md").write_text(RETURNS, encoding="utf-8")
        (documents / "faq.csv").write_text(FAQ, encoding="utf-8")
    lines = []
    with (
        ScriptedGenerator(case.steps) as generator,
        desk(
            tmp_path,
            generator=generator,
            bound=case.bound,
            limits=case.limits,
            reply_folder=replies,
            documents=documents,
        ) as agent,
    ):
        for text in case.says:
            lines += [f"# user: {text}", tell(list(agent.stream(text, user="ada"))), ""]
    golden = GOLDEN / f"{name.replace(' ', '-')}.txt"
    told = "\n".join(lines)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(told, encoding="utf-8")
    assert told == golden.read_text(encoding="utf-8")


def test_every_transcript_has_its_case() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {name.replace(" ", "-") for name in CASES}
