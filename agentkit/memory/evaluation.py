"""Measuring recall on conversations with questions: through the store and the search that a bot uses."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentkit.errors import ConfigurationError
from agentkit.memory.recall import Recall
from agentkit.memory.remembering import memories_of
from agentkit.messages import assistant, user
from agentkit.models.protocols import Encoder
from agentkit.store.protocol import UserStore

_FILES: Final = ("corpus.jsonl", "queries.jsonl", "qrels.tsv")


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(alias="_id")
    text: str
    speaker: str = ""
    time: str = ""


@dataclass(frozen=True)
class Dialogue:
    """A long conversation with questions about it.

    Args:
        name: Of its folder.
        turns: What was said, in order.
        questions: The questions that have an answer in it, by id.
        relevant: The turns that answer each question.
    """

    name: str
    turns: tuple[_Row, ...]
    questions: dict[str, str]
    relevant: dict[str, frozenset[str]]


@dataclass(frozen=True)
class RecallScore:
    """What was found in one dialogue.

    Args:
        name: The dialogue.
        questions: How many were asked.
        recall: Mean share of the relevant turns among the first `limit` memories.
        milliseconds: What each search took, the encoder's pass not counted.
    """

    name: str
    questions: int
    recall: float
    milliseconds: tuple[float, ...]

    def slowest(self, percent: float) -> float:
        """What this share of the searches stays below, in milliseconds."""
        return float(numpy.percentile(self.milliseconds, percent))


def read_dialogues(folder: Path) -> list[Dialogue]:
    """Read a folder in BEIR form, or all such folders in it, by name.

    `corpus.jsonl` holds the turns in order: `_id`, `text`, and where there are any `speaker` and `time`; turns with
    another `time` than the one before begin a new conversation. `queries.jsonl`: `_id`, `text`. `qrels.tsv`: query,
    turn and score, with a header.

    Raises:
        ConfigurationError: A file is missing or is not of this form; says where.
    """
    folders = (
        [folder]
        if (folder / _FILES[0]).is_file()
        else sorted(f.parent for f in folder.glob(f"*/{_FILES[0]}"))
    )
    if not folders:
        raise ConfigurationError(
            f"{folder} holds no {_FILES[0]}, and no folder in it does.",
            hint="A data set is a folder with corpus.jsonl, queries.jsonl and qrels.tsv (the form of BEIR).",
        )
    return [_read(each) for each in folders]


def evaluate_recall(
    dialogue: Dialogue,
    encoder: Encoder,
    store: UserStore,
    *,
    limit: int = 10,
    min_similarity: float,
) -> RecallScore:
    """Let a user say every turn of a dialogue to a store, then search for what answers each question.

    Args:
        dialogue: What is said and asked.
        encoder: Embeds it.
        store: Of a user who has nothing yet.
        limit: How many memories are looked at for each question.
        min_similarity: As in `Recall.search`.
    """
    recall = Recall(store, encoder)
    turn_of = _said(dialogue.turns, store, recall, encoder)
    recall.search("", limit)  # reads everything once
    shares, taken = [], []
    for query, text in dialogue.questions.items():
        vector = encoder.encode([text])[0]
        started = time.perf_counter()
        found = recall.search(vector, limit, min_similarity, words=text)
        taken.append((time.perf_counter() - started) * 1000)
        hits = {turn_of[each.turn_id] for each in found if each.turn_id is not None}
        shares.append(len(hits & dialogue.relevant[query]) / len(dialogue.relevant[query]))
    return RecallScore(dialogue.name, len(shares), sum(shares) / len(shares), tuple(taken))


def _said(turns: Sequence[_Row], store: UserStore, recall: Recall, encoder: Encoder) -> dict[str, str]:
    """Say every turn; returns which row of the corpus a turn of the store is."""
    rows: dict[str, str] = {}
    conversation, at = "", None
    for row in turns:
        if row.time != at:
            conversation, at = store.new_conversation(row.time), row.time
        message = user(f"{row.speaker}: {row.text}" if row.speaker else row.text)
        turn = store.begin_turn(conversation, message)
        memories = recall.settle(memories_of(message, encoder))
        store.commit_turn(turn.id, reply=assistant(), events=(), memories=memories, status="done")
        rows[turn.id] = row.id
    return rows


def _read(folder: Path) -> Dialogue:
    turns = _rows(folder / "corpus.jsonl")
    known = {row.id for row in turns}
    relevant: dict[str, set[str]] = {}
    path = folder / "qrels.tsv"
    for number, line in enumerate(_lines(path)[1:], start=2):
        columns = line.split("\t")
        if len(columns) != 3 or columns[1] not in known:
            raise ConfigurationError(
                f"{path}, line {number}: expected a query, a turn of the corpus and a score, separated by tabs.",
                hint="The first line is a header; each other line is QUERY<tab>TURN<tab>SCORE.",
            )
        if columns[2].strip() != "0":
            relevant.setdefault(columns[0], set()).add(columns[1])
    questions = {row.id: row.text for row in _rows(folder / "queries.jsonl") if row.id in relevant}
    if not questions:
        raise ConfigurationError(
            f"No query of {folder / 'queries.jsonl'} has a turn in {path}.",
            hint="Compare the ids in the two files.",
        )
    return Dialogue(folder.name, turns, questions, {query: frozenset(relevant[query]) for query in questions})


def _rows(path: Path) -> tuple[_Row, ...]:
    rows = []
    for number, line in enumerate(_lines(path), start=1):
        try:
            rows.append(_Row.model_validate_json(line))
        except ValidationError as problem:
            raise ConfigurationError(
                f"{path}, line {number}: {problem.errors(include_url=False)[0]['msg']}.",
                hint='Each line is a JSON object with "_id" and "text".',
            ) from problem
    return tuple(rows)


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(
            f"{path} cannot be read: {problem}.",
            hint="A data set has corpus.jsonl, queries.jsonl and qrels.tsv.",
        ) from problem


def mean_recall(scores: Sequence[RecallScore]) -> float:
    """The mean over the questions of all dialogues."""
    return sum(each.recall * each.questions for each in scores) / sum(each.questions for each in scores)
