"""What a store promises about calls that wait for a person and about files that tools make: part of `protocol`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pydantic import JsonValue

from agentkit.store.call_records import ApprovalRecord, FileRecord, NewApproval


class Approvals(Protocol):
    """The calls of one user that wait for a person, and what was decided about them."""

    def request_approval(self, request: NewApproval) -> ApprovalRecord:
        """Ask a person: durable on return. Asking again for the same call returns the first request.

        Raises:
            TurnConflict: The turn is not open, or the call was not written in it or has started.
        """
        ...

    def approvals(self, turn_id: str) -> list[ApprovalRecord]:
        """The requests of a turn, oldest first."""
        ...

    def approval(self, approval_id: str) -> ApprovalRecord:
        """One request.

        Raises:
            RecordNotFound: There is none of that name for this user.
        """
        ...

    def answer_approval(
        self,
        approval_id: str,
        *,
        shown: str,
        settled: Mapping[str, JsonValue] | None,
        by: str,
        answer: str = "",
    ) -> ApprovalRecord:
        """Decide about a waiting request, once.

        Args:
            approval_id: The request.
            shown: The hash of the arguments that the person was shown.
            settled: What the call may run with; None: it may not run.
            by: Who decided.
            answer: What they said about it.

        Raises:
            RecordNotFound: There is none of that name for this user.
            ApprovalRefused: It was answered before, its turn is over, or the hash is that of other arguments.
        """
        ...

    def use_approval(self, turn_id: str, call_id: str, arguments: Mapping[str, JsonValue]) -> None:
        """Spend the approval of a call that is about to start: durable on return.

        Raises:
            ApprovalRefused: Nobody agreed to this call with these arguments.
        """
        ...


class Files(Protocol):
    """The files that tools made for one user."""

    def save_file(self, content: bytes, *, name: str, media_type: str) -> str:
        """Keep a file, once for each content; returns the SHA-256 of it, which names it."""
        ...

    def files(self) -> list[FileRecord]:
        """All files of this user, oldest first."""
        ...

    def file(self, file_hash: str) -> FileRecord:
        """One file.

        Raises:
            RecordNotFound: This user has none of that name.
        """
        ...
