"""Messages that wait, and the lease of a conversation. Each public method is one transaction."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from agentkit.errors import Busy, InputRejected, RecordNotFound
from agentkit.messages import User, text_of
from agentkit.store import turn_reading
from agentkit.store.call_records import awaits_approval
from agentkit.store.connection import Row
from agentkit.store.failures import poisoned, storable, validated
from agentkit.store.records import Accepted, BusyPolicy, Claim, InboxRecord, Lease, OpenTurn
from agentkit.store.turn_reading import TURN_COLUMNS
from agentkit.store.turn_rows import TurnRows, message_json
from agentkit.store.user_rows import is_held

_COLUMNS: Final = """
SELECT inbox.id, conversations.id AS conversation_id, inbox.seq, inbox.client_msg_id, inbox.policy, inbox.message,
    turns.id AS turn_id, turns.status AS turn_status, turns.message AS turn_message, inbox.created_at
FROM inbox JOIN conversations ON conversations.number = inbox.conversation
LEFT JOIN turns ON turns.number = inbox.turn """

_ONE: Final = _COLUMNS + "WHERE inbox.id = ? AND conversations.tenant = ? AND conversations.user = ?"

_OF_CLIENT: Final = _COLUMNS + "WHERE inbox.conversation = ? AND inbox.client_msg_id = ?"

_WAITING: Final = _COLUMNS + "WHERE inbox.conversation = ? AND inbox.turn IS NULL ORDER BY inbox.seq"

# Everything that decides about a message, in one statement.
_ARRIVAL: Final = """
SELECT conversations.number, conversations.id, leases.fence, leases.holder, leases.until, leases.seconds,
    (SELECT coalesce(max(seq) + 1, 0) FROM inbox WHERE conversation = conversations.number) AS inbox_seq,
    (SELECT count(*) FROM inbox WHERE conversation = conversations.number AND turn IS NULL) AS waiting,
    (SELECT coalesce(max(seq) + 1, 0) FROM turns WHERE conversation = conversations.number) AS turn_seq,
    (SELECT number FROM turns WHERE conversation = conversations.number AND status = 'open') AS open_turn,
    EXISTS (
        SELECT 1 FROM hand_offs WHERE conversation = conversations.number
        AND status IN ('waiting', 'taken') AND (status = 'taken' OR holds)
    ) AS is_with_a_person
FROM conversations LEFT JOIN leases ON leases.conversation = conversations.number
WHERE conversations.id = ? AND conversations.tenant = ? AND conversations.user = ?"""

_DECIDED_BY_A_PERSON: Final = """
SELECT id FROM approvals WHERE turn = ? AND status = 'waiting' ORDER BY number"""

_ADD: Final = """
INSERT INTO inbox (conversation, seq, id, client_msg_id, policy, message, turn, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""

_TAKE: Final = "UPDATE inbox SET turn = ?, message = NULL WHERE id = ?"

_OPEN_TURN: Final = TURN_COLUMNS + "WHERE turns.conversation = ? AND turns.status = 'open'"

_IS_WITH_A_PERSON: Final = """
SELECT 1 FROM hand_offs WHERE conversation = ? AND status IN ('waiting', 'taken') AND (status = 'taken' OR holds)"""

_LEASE: Final = """
INSERT INTO leases (conversation, fence, holder, until, seconds, stop) VALUES (?, 1, ?, ?, ?, 0)
ON CONFLICT (conversation) DO UPDATE
SET fence = fence + 1, holder = excluded.holder, until = excluded.until, seconds = excluded.seconds, stop = 0
RETURNING fence"""

_STOP: Final = "UPDATE leases SET stop = 1 WHERE conversation = ?"

_IS_STOPPED: Final = """
SELECT leases.fence, leases.stop FROM leases JOIN conversations ON conversations.number = leases.conversation
WHERE conversations.id = ? AND conversations.tenant = ? AND conversations.user = ?"""

_RELEASE: Final = "UPDATE leases SET holder = NULL WHERE conversation = ? AND fence = ?"


_FIELDS: Final = (
    "id",
    "conversation_id",
    "seq",
    "client_msg_id",
    "policy",
    "turn_id",
    "turn_status",
    "created_at",
)


class InboxRows(TurnRows):
    """Implements `protocol.Inbox`, where every method is described."""

    def accept(
        self,
        conversation_id: str,
        message: User,
        *,
        client_msg_id: str | None = None,
        policy: BusyPolicy = "enqueue",
        room: int = 16,
        claim_seconds: float | None = None,
    ) -> Accepted:
        """Accept a user message, and begin its turn if the conversation is free: durable on return."""
        text = message_json(message)
        name = None if client_msg_id is None else storable(client_msg_id, "client_msg_id")
        with self._connection.writing("accept"):
            there = self._conversation_row(conversation_id, _ARRIVAL)
            number = there["number"]
            if name is not None and (known := self._connection.row(_OF_CLIENT, (number, name))) is not None:
                _check_same(known, message)
                return Accepted(record=_record(known), again=True)
            held = is_held(there, self._sources)
            self._refuse_if_busy(there, held and policy == "reject", room)
            record = InboxRecord(
                id=self._ids(),
                conversation_id=conversation_id,
                seq=there["inbox_seq"],
                client_msg_id=name,
                policy=policy,
                message=message,
                turn_id=None,
                turn_status=None,
                created_at=self._clock(),
            )
            if claim_seconds is not None and not held and _is_idle(there):
                return self._begun_at_once(there, record, text, claim_seconds)
            self._connection.execute(_ADD, _values(number, record, text, None))
            if held and policy == "interrupt":
                self._connection.execute(_STOP, (number,))
            if claim_seconds is None or held or (claim := self._claim(there, claim_seconds)) is None:
                return Accepted(record=record)
            row = self._connection.rows(_ONE, (record.id, self._tenant, self._user))[0]
        return Accepted(record=_record(row), claim=claim)

    def accepted(self, message_id: str) -> InboxRecord:
        """What became of an accepted message."""
        rows = self._connection.read(_ONE, (message_id, self._tenant, self._user))
        if not rows:
            raise RecordNotFound(f"User {self._user!r} has no message {message_id!r}.")
        return _record(rows[0])

    def waiting(self, conversation_id: str) -> list[InboxRecord]:
        """The messages of a conversation that no turn holds yet, in order."""
        with self._connection.reading():
            number = self._conversation_row(conversation_id)["number"]
            return [_record(row) for row in self._connection.rows(_WAITING, (number,))]

    def claim(self, conversation_id: str, seconds: float) -> Claim | None:
        """Take the lease of a conversation with something to do, and what is to be done."""
        with self._connection.writing("claim"):
            conversation = self._conversation_row(conversation_id)
            if is_held(conversation, self._sources):
                raise Busy(
                    f"Conversation {conversation_id} is being answered by another worker.",
                    hint="Wait for its reply.",
                )
            return self._claim(conversation, seconds)

    def release(self, lease: Lease) -> None:
        """Give a lease back; does nothing when it is not the newest one."""
        with self._connection.writing("release"):
            number = self._conversation_row(lease.conversation_id)["number"]
            self._connection.execute(_RELEASE, (number, lease.fence))

    def stop_requested(self, lease: Lease) -> bool:
        """Whether the holder of a lease is to end its turn: it was asked to, or the lease is another's now."""
        rows = self._connection.read(_IS_STOPPED, (lease.conversation_id, self._tenant, self._user))
        return not rows or rows[0]["fence"] != lease.fence or bool(rows[0]["stop"])

    def _refuse_if_busy(self, there: Row, rejected: bool, room: int) -> None:
        conversation_id = there["id"]
        if there["open_turn"] is not None and (
            asked := self._connection.rows(_DECIDED_BY_A_PERSON, (there["open_turn"],))
        ):
            raise awaits_approval(conversation_id, [row["id"] for row in asked], "Nothing was stored.")
        if rejected:
            raise Busy(
                f"Conversation {conversation_id} is being answered. Nothing was stored.",
                hint="Wait for that reply, choose another policy, or start another conversation.",
            )
        if there["waiting"] >= room:
            raise Busy(
                f"Conversation {conversation_id} has {there['waiting']} messages that wait for an answer; "
                f"there is room for {room}. Nothing was stored.",
                hint="Try again when some are answered.",
            )

    def _begun_at_once(self, there: Row, record: InboxRecord, text: str, seconds: float) -> Accepted:
        """Begin the turn of a message that nothing is ahead of; nothing is read back of what is known."""
        turn_number, turn = self._add_turn(there, text, there["turn_seq"])
        self._connection.execute(_ADD, _values(there["number"], record, None, turn_number))
        begun = record.model_copy(update={"message": None, "turn_id": turn.id, "turn_status": turn.status})
        assert record.message is not None
        lease = self._take_lease(there, seconds)
        opened = OpenTurn(
            tenant=self._tenant, user=self._user, turn=turn, message=record.message, steps=(), journal=()
        )
        return Accepted(record=begun, claim=Claim(lease=lease, turn=opened))

    def _claim(self, conversation: Row, seconds: float) -> Claim | None:
        number = conversation["number"]
        if self._connection.row(_IS_WITH_A_PERSON, (number,)) is not None:
            return None
        if not self._has_open_turn(number) and not self._begin_next(conversation):
            return None
        return self._leased(conversation, seconds)

    def _has_open_turn(self, number: int) -> bool:
        return self._connection.row(_OPEN_TURN, (number,)) is not None

    def _open_turn_number(self, number: int) -> int:
        return int(self._connection.rows(_OPEN_TURN, (number,))[0]["number"])

    def _leased(self, conversation: Row, seconds: float) -> Claim:
        """Take the lease of a conversation with an open turn."""
        lease = self._take_lease(conversation, seconds)
        row = self._connection.rows(_OPEN_TURN, (conversation["number"],))[0]
        return Claim(lease=lease, turn=turn_reading.load_open_turn(self._connection, row))

    def _take_lease(self, conversation: Row, seconds: float) -> Lease:
        until = self._sources.ticks() + seconds
        values = (conversation["number"], self._sources.worker, until, seconds)
        fence = self._connection.rows(_LEASE, values)[0]["fence"]
        return Lease(conversation_id=conversation["id"], fence=fence)

    def _begin_next(self, conversation: Row, *, all_of_them: bool = False) -> bool:
        """Begin the turn of the message that waits longest, and of those behind it that are to be merged."""
        waiting = self._connection.rows(_WAITING, (conversation["number"],))
        if not waiting:
            return False
        taken = waiting[:1]
        for row in waiting[1:]:
            if row["policy"] != "merge" and not all_of_them:
                break
            taken.append(row)
        parts = tuple(part for row in taken for part in _message(row).parts)
        turn, _ = self._add_turn(conversation, message_json(User(parts=parts)))
        self._connection.execute_many(_TAKE, ((turn, row["id"]) for row in taken))
        return True


def _is_idle(there: Row) -> bool:
    """Whether nothing is ahead of a message that arrives, and no person has the conversation."""
    return not (there["waiting"] or there["is_with_a_person"]) and there["open_turn"] is None


def _values(conversation: int, record: InboxRecord, text: str | None, turn: int | None) -> tuple[object, ...]:
    """The columns of `_ADD`; a message that a turn holds is kept there only."""
    now = record.created_at.isoformat()
    return (conversation, record.seq, record.id, record.client_msg_id, record.policy, text, turn, now)


def _message(row: Row) -> User:
    try:
        return User.model_validate_json(row["message"])
    except ValidationError as problem:
        raise poisoned("inbox", row["id"], problem) from problem


def _record(row: Row) -> InboxRecord:
    message = None if row["message"] is None else _message(row)
    values = {name: row[name] for name in _FIELDS}
    return validated(InboxRecord, "inbox", row["id"], values | {"message": message})


def _check_same(known: Row, message: User) -> None:
    """One name for two messages is a mistake of the sender: the second would be lost without a word."""
    stored = User.model_validate_json(known["message"] or known["turn_message"])
    if not all(part in stored.parts for part in message.parts):
        raise InputRejected(
            f"client_msg_id {known['client_msg_id']!r} belongs to another message of this conversation: "
            f"{text_of(stored)[:60]!r}. Nothing was stored.",
            hint="Give every message an id of its own, and use it again only to send the same message again.",
        )
