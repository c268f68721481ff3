"""Approvals and files of an in-memory store; the protocol describes every method."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from pydantic import JsonValue

from agentkit.errors import ApprovalRefused, RecordNotFound, TurnConflict
from agentkit.store.call_records import ApprovalRecord, FileRecord, NewApproval, arguments_hash
from agentkit.testing.in_memory_rows import TurnData, UserData, check_storable, storable_text


class InMemoryApprovals(UserData):
    """Implements `protocol.Approvals`."""

    def request_approval(self, request: NewApproval) -> ApprovalRecord:
        """Ask a person."""
        check_storable(request)
        call = request.call
        with self._use():
            conversation, turn = self._writable_turn(request.turn_id)
            if call.id in turn.approvals:
                return turn.approvals[call.id]
            row = turn.journal.get(call.id)
            if row is None or row.status != "written":
                raise TurnConflict(f"Call {call.id} of turn {request.turn_id} does not wait to be started.")
            turn.approvals[call.id] = ApprovalRecord(
                id=self._data.ids(),
                tenant=self.tenant,
                user=self.user,
                conversation_id=conversation.record.id,
                turn_id=request.turn_id,
                call=call,
                hash=arguments_hash(call.name, call.arguments),
                effect=request.effect,
                reasons=request.reasons,
                profile=dict(request.profile),
                status="waiting",
                settled=None,
                answered_by="",
                answer="",
                created_at=self._data.clock(),
            )
            return turn.approvals[call.id]

    def approvals(self, turn_id: str) -> list[ApprovalRecord]:
        """The requests of a turn, oldest first."""
        with self._use():
            return list(self._turn(turn_id)[1].approvals.values())

    def approval(self, approval_id: str) -> ApprovalRecord:
        """One request."""
        with self._use():
            return self._approval(approval_id)[1]

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
        said = {"answered_by": storable_text(by, "the name"), "answer": storable_text(answer, "the answer")}
        with self._use():
            turn, record = self._approval(approval_id)
            if record.status != "waiting":
                raise ApprovalRefused(f"Approval {approval_id} was answered before: {record.status}.")
            if not turn.is_open:
                raise ApprovalRefused(f"The turn of approval {approval_id} is over.")
            if record.hash != shown:
                raise ApprovalRefused(f"Approval {approval_id} is for other arguments than those shown.")
            if settled is None:
                decided: dict[str, object] = {"status": "rejected"}
            else:
                same = arguments_hash(record.call.name, settled) == shown
                decided = {"status": "approved" if same else "changed", "settled": dict(settled)}
            turn.approvals[record.call.id] = record.model_copy(update={**decided, **said})
            return turn.approvals[record.call.id]

    def use_approval(self, turn_id: str, call_id: str, arguments: Mapping[str, JsonValue]) -> None:
        """Spend the approval of a call that is about to start."""
        with self._use():
            _, turn = self._writable_turn(turn_id)
            record = turn.approvals.get(call_id)
            if record is None or record.settled is None:
                raise ApprovalRefused(f"Nobody has agreed to call {call_id} of turn {turn_id}.")
            name = record.call.name
            if arguments_hash(name, record.settled) != arguments_hash(name, arguments):
                raise ApprovalRefused(f"Call {call_id} of turn {turn_id} was agreed to with other arguments.")
            turn.approvals[call_id] = record.model_copy(update={"status": "used"})

    def _approval(self, approval_id: str) -> tuple[TurnData, ApprovalRecord]:
        for conversation, turn in self._data.turns.values():
            for record in turn.approvals.values():
                if record.id == approval_id and conversation.owner == self._owner:
                    return turn, record
        raise RecordNotFound(f"User {self.user!r} has no approval {approval_id!r}.")


class InMemoryFiles(UserData):
    """Implements `protocol.Files`."""

    def save_file(self, content: bytes, *, name: str, media_type: str) -> str:
        """Keep a file, once for each content."""
        digest = hashlib.sha256(content).hexdigest()
        with self._use():
            record = FileRecord(
                hash=digest,
                name=storable_text(name, "the name of a file"),
                media_type=storable_text(media_type, "the kind of a file"),
                created_at=self._data.clock(),
                content=content,
            )
            self._data.files.setdefault(self._owner, {}).setdefault(digest, record)
        return digest

    def files(self) -> list[FileRecord]:
        """All files of this user, oldest first."""
        with self._use():
            mine = self._data.files.get(self._owner, {}).values()
            return sorted(mine, key=lambda file: (file.created_at, file.hash))

    def file(self, file_hash: str) -> FileRecord:
        """One file."""
        with self._use():
            found = self._data.files.get(self._owner, {}).get(file_hash)
            if found is None:
                raise RecordNotFound(f"User {self.user!r} has no file {file_hash!r}.")
            return found
