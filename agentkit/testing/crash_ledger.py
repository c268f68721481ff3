"""What the world outside of a store saw, and the check of the store's promises against it.

A process under test writes into a `Ledger` whatever leaves it: messages it acknowledged, generations it paid
for, effects of its tools. After a kill and a resume, `broken_promises` compares the ledger with the database.
It uses only the public store, so any agent can be checked with it.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from agentkit.messages import Assistant, ToolResult
from agentkit.store.protocol import OpenTurn, TurnRecord, UserStore
from agentkit.store.sqlite_store import SqliteStore

Kind: TypeAlias = Literal["sent", "refused", "accepted", "generated", "effect", "committed"]
"""`sent`: about to be accepted or refused; the others have happened."""


@dataclass(frozen=True)
class Ledger:
    """Lines in files that outlive the process that writes them.

    Args:
        folder: Where the files are.
        writer: Whose lines; none reads those of all who write without a name.
    """

    folder: Path
    writer: str = ""

    def write(self, kind: Kind, text: str) -> None:
        """Add a line; it is on the disk when this returns."""
        line = json.dumps(text) + "\n"
        descriptor = os.open(self._path(kind), os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        try:
            os.write(descriptor, line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self, kind: Kind) -> list[str]:
        """The lines of one kind, oldest first."""
        path = self._path(kind)
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _path(self, kind: Kind) -> Path:
        return self.folder / f"{kind}{'-' * bool(self.writer)}{self.writer}.ledger"


def broken_promises(
    store: SqliteStore,
    users: Iterable[tuple[str, str]],
    ledger: Ledger,
    *,
    repeatable: Sequence[str] = (),
    every_message_is_remembered: bool = True,
) -> list[str]:
    """Every way in which the database and the ledger contradict the contract; empty when it was kept.

    The ledger holds: under `accepted` the text of each message whose `begin_turn` returned, under `committed`
    that of each whose `commit_turn` returned, under `effect` the call id of each effect that happened.

    Args:
        store: The database after the crash, resumed or not.
        users: Tenants and users to look at.
        ledger: What the world saw.
        repeatable: Ids of calls that may run more than once, because they are idempotent.
        every_message_is_remembered: Each committed turn has a memory of kind `message`: false for small talk.
    """
    found = [f"6 sound: {problem}" for problem in store.problems()]
    accepted: Counter[str] = Counter()
    committed: Counter[str] = Counter()
    open_turns = {left.turn.id: left for left in store.open_turns()}
    effects = Counter(ledger.read("effect"))
    for tenant, name in users:
        user_store = store.for_user(tenant, name)
        remembered = {memory.turn_id for memory in user_store.memories("message")}
        for conversation in user_store.conversations():
            turns = user_store.turns(conversation.id)
            found += _out_of_order(conversation.id, turns)
            said = user_store.transcript(conversation.id)
            found += _wrong_results(conversation.id, said)
            texts = [part.text for message in said if message.role == "user" for part in message.parts]
            waiting = (each.message for each in user_store.waiting(conversation.id))
            accepted.update(
                [*texts, *(part.text for message in waiting if message for part in message.parts)]
            )
            committed.update(texts)
            for turn in turns:
                if turn.status == "open":
                    left = open_turns[turn.id]
                    accepted.update(part.text for part in left.message.parts)
                    found += _half_committed(user_store, left, remembered)
                elif turn.status != "interrupted":
                    found += _half_missing(user_store, turn, remembered, every_message_is_remembered)
                found += _wrong_effects(user_store, turn, effects, repeatable)
    found += [
        f"1 accepted = stored: {text!r} is lost" for text in Counter(ledger.read("accepted")) - accepted
    ]
    found += [f"2 all or nothing: {text!r} is lost" for text in Counter(ledger.read("committed")) - committed]
    return found


def _out_of_order(conversation_id: str, turns: Sequence[TurnRecord]) -> Iterator[str]:
    if [turn.seq for turn in turns] != list(range(len(turns))):
        yield f"5 one order: turns of {conversation_id} are {[turn.seq for turn in turns]}"
    if any(turn.status == "open" for turn in turns[:-1]):
        yield f"5 one order: a turn of {conversation_id} was begun before the one ahead of it ended"


def _wrong_results(conversation_id: str, said: Sequence[object]) -> Iterator[str]:
    calls = [call.id for message in said if isinstance(message, Assistant) for call in message.calls]
    results = [message.call_id for message in said if isinstance(message, ToolResult)]
    if Counter(calls) != Counter(results):
        yield f"2 all or nothing: {conversation_id} has calls {calls} and results {results}"


def _half_committed(user_store: UserStore, left: OpenTurn, remembered: Set[str | None]) -> Iterator[str]:
    if user_store.events(left.turn.id):
        yield f"2 all or nothing: open turn {left.turn.id} has events"
    # A fact may be there: a tool can remember one while the turn is open.
    if left.turn.id in remembered:
        yield f"2 all or nothing: open turn {left.turn.id} is remembered"
    if [step.seq for step in left.steps] != list(range(len(left.steps))):
        yield f"5 one order: steps of {left.turn.id} are {[step.seq for step in left.steps]}"


def _half_missing(
    user_store: UserStore, turn: TurnRecord, remembered: Set[str | None], is_remembered: bool
) -> Iterator[str]:
    events = user_store.events(turn.id)
    if not events or events[-1].type != "turn_finished":
        yield f"2 all or nothing: committed turn {turn.id} lacks its events"
    if is_remembered and turn.id not in remembered:
        yield f"2 all or nothing: committed turn {turn.id} is not remembered"


def _wrong_effects(
    user_store: UserStore, turn: TurnRecord, effects: Counter[str], repeatable: Sequence[str]
) -> Iterator[str]:
    for row in user_store.journal(turn.id):
        happened = effects[row.call.id]
        if happened > 1 and row.call.id not in repeatable and not row.idempotent:
            yield f"4 at most once: the effect of {row.call.id} happened {happened} times"
        if happened and row.status == "written":
            yield f"4 at most once: {row.call.id} ran before its journal row said so"
        is_ok = row.result is not None and row.result.status == "ok"
        if is_ok and row.effect is not None and row.effect != "read" and not happened:
            yield f"4 at most once: {row.call.id} has a result and no effect"
