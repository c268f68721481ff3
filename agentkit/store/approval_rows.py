"""Calls that wait for a person, and what was decided. Each public write is one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from agentkit.errors import ApprovalRefused, RecordNotFound, StoreCorrupt, TurnConflict
from agentkit.events import ApprovalReason
from agentkit.messages import ToolCall
from agentkit.store.call_records import ApprovalRecord, NewApproval, arguments_hash
from agentkit.store.connection import Connection, Row
from agentkit.store.failures import poisoned, storable, unstorable, validated
from agentkit.store.user_rows import UserRows

_REASONS: Final[TypeAdapter[tuple[ApprovalReason, ...]]] = TypeAdapter(tuple[ApprovalReason, ...])
_OBJECT: Final[TypeAdapter[dict[str, JsonValue]]] = TypeAdapter(dict[str, JsonValue])

_COLUMNS: Final = """
SELECT approvals.*, turns.id AS turn_id, turns.status AS turn_status, conversations.id AS conversation_id,
    conversations.tenant, conversations.user
FROM approvals JOIN turns ON turns.number = approvals.turn
JOIN conversations ON conversations.number = turns.conversation """

_OF_TURN: Final = _COLUMNS + "WHERE approvals.turn = ? ORDER BY approvals.number"

_ONE: Final = _COLUMNS + "WHERE approvals.id = ? AND conversations.tenant = ? AND conversations.user = ?"

_OF_CALL: Final = _COLUMNS + "WHERE approvals.turn = ? AND approvals.call_id = ?"

_WAITING: Final = (
    _COLUMNS + "WHERE approvals.status = 'waiting' AND turns.status = 'open' ORDER BY approvals.number"
)

_JOURNALLED: Final = "SELECT status FROM journal WHERE turn = ? AND call_id = ?"

_ADD: Final = """
INSERT INTO approvals (id, turn, call_id, tool, effect, arguments, hash, reasons, profile, status, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', ?)"""

_ANSWER: Final = """
UPDATE approvals SET status = ?, settled = ?, settled_hash = ?, answered_by = ?, answer = ?, answered_at = ?
WHERE id = ?"""

_USE: Final = "UPDATE approvals SET status = 'used' WHERE id = ?"


class ApprovalRows(UserRows):
    """Implements `protocol.Approvals`, where every method is described."""

    def request_approval(self, request: NewApproval) -> ApprovalRecord:
        """Ask a person: durable on return."""
        call = request.call
        values = (
            call.name,
            request.effect,
            _json(dict(call.arguments)),
            arguments_hash(call.name, call.arguments),
            _REASONS.dump_json(request.reasons).decode(),
            _json(request.profile),
        )
        with self._connection.writing("request_approval"):
            turn = self._writable_turn_row(request.turn_id)
            found = self._connection.row(_OF_CALL, (turn["number"], call.id))
            if found is None:
                journal = self._connection.row(_JOURNALLED, (turn["number"], call.id))
                if journal is None or journal["status"] != "written":
                    raise TurnConflict(
                        f"Call {call.id} of turn {request.turn_id} does not wait to be started."
                    )
                row = (self._ids(), turn["number"], call.id, *values, self._now())
                self._connection.execute(_ADD, row)
                found = self._connection.rows(_OF_CALL, (turn["number"], call.id))[0]
        return record_of(found)

    def approvals(self, turn_id: str) -> list[ApprovalRecord]:
        """The requests of a turn, oldest first."""
        with self._connection.reading():
            rows = self._connection.rows(_OF_TURN, (self._turn_row(turn_id)["number"],))
        return [record_of(row) for row in rows]

    def approval(self, approval_id: str) -> ApprovalRecord:
        """One request."""
        with self._connection.reading():
            return record_of(self._approval_row(approval_id))

    def answer_approval(
        self,
        approval_id: str,
        *,
        shown: str,
        settled: Mapping[str, JsonValue] | None,
        by: str,
        answer: str = "",
    ) -> ApprovalRecord:
        """Decide about a waiting request, once."""
        storable(answer, "the answer")
        storable(by, "the name of whoever answers")
        with self._connection.writing("answer_approval"):
            row = self._approval_row(approval_id)
            if row["status"] != "waiting":
                raise ApprovalRefused(
                    f"Approval {approval_id} was answered before: {row['status']} by {row['answered_by']}.",
                    hint="An approval is answered once. If the call is wanted after all, ask the bot for it again.",
                )
            if row["turn_status"] != "open":
                raise ApprovalRefused(
                    f"The turn of approval {approval_id} is over; its call is not made any more."
                )
            if row["hash"] != shown:
                raise ApprovalRefused(
                    f"Approval {approval_id} is for other arguments than the ones that were shown.",
                    hint="Look at it again (agentkit approvals list) and decide about what it says now.",
                )
            if settled is None:
                status, text, digest = "rejected", None, None
            else:
                digest = arguments_hash(row["tool"], settled)
                status, text = "approved" if digest == shown else "changed", _json(dict(settled))
            self._connection.execute(_ANSWER, (status, text, digest, by, answer, self._now(), approval_id))
            return record_of(self._approval_row(approval_id))

    def use_approval(self, turn_id: str, call_id: str, arguments: Mapping[str, JsonValue]) -> None:
        """Spend the approval of a call that is about to start."""
        with self._connection.writing("use_approval"):
            turn = self._writable_turn_row(turn_id)
            row = self._connection.row(_OF_CALL, (turn["number"], call_id))
            if row is None or row["status"] not in ("approved", "changed", "used"):
                raise ApprovalRefused(f"Nobody has agreed to call {call_id} of turn {turn_id}.")
            if row["settled_hash"] != arguments_hash(row["tool"], arguments):
                raise ApprovalRefused(f"Call {call_id} of turn {turn_id} was agreed to with other arguments.")
            # Spent before: a crash came between here and the journal, which lets the call start once.
            self._connection.execute(_USE, (row["id"],))

    def _approval_row(self, approval_id: str) -> Row:
        row = self._connection.row(_ONE, (approval_id, self._tenant, self._user))
        if row is None:
            raise RecordNotFound(
                f"User {self._user!r} has no approval {approval_id!r}.",
                hint="`agentkit approvals list BOT` shows what waits, and for whom.",
            )
        return row


def waiting_of(connection: Connection) -> list[ApprovalRecord]:
    """Every request that waits, of all users, oldest first; inside a `reading` block."""
    return [record_of(row) for row in connection.rows(_WAITING)]


def record_of(row: Row) -> ApprovalRecord:
    """A request from a row of this module's queries."""
    same = ("id", "tenant", "user", "conversation_id", "turn_id", "hash", "effect", "status", "created_at")
    try:
        arguments = _OBJECT.validate_json(row["arguments"])
        values = {
            **{field: row[field] for field in same},
            "call": ToolCall(id=row["call_id"], name=row["tool"], arguments=arguments),
            "reasons": _REASONS.validate_json(row["reasons"]),
            "profile": _OBJECT.validate_json(row["profile"]),
            "settled": None if row["settled"] is None else _OBJECT.validate_json(row["settled"]),
            "answered_by": row["answered_by"] or "",
            "answer": row["answer"] or "",
        }
    except ValidationError as problem:
        raise poisoned("approvals", row["id"], problem) from problem
    record = validated(ApprovalRecord, "approvals", row["id"], values)
    if record.hash != arguments_hash(record.call.name, record.call.arguments):
        raise StoreCorrupt(
            f"Row {record.id} of table approvals is not what agentkit writes: the hash is that of other arguments.",
            hint="The file was changed by something else; reject the approval, and find out by whom.",
        )
    return record


def _json(value: dict[str, JsonValue]) -> str:
    try:
        return _OBJECT.dump_json(value).decode()
    except PydanticSerializationError as problem:
        raise unstorable("the arguments of a call") from problem
