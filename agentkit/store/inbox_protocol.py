"""What a store promises about messages that wait and about who answers them; part of `protocol`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from agentkit.messages import User
from agentkit.store.records import Accepted, BusyPolicy, Claim, InboxRecord, Lease

if TYPE_CHECKING:
    from agentkit.store.protocol import UserStore


class Inbox(Protocol):
    """Messages that wait for their turn, and the lease of a conversation."""

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
        """Accept a user message: durable on return.

        Args:
            conversation_id: The conversation.
            message: What was said.
            client_msg_id: What the sender calls the message. The same again is the same message: nothing is stored,
                and its record comes back.
            policy: What becomes of it while the conversation is being answered.
            room: Most messages that may wait in the conversation.
            claim_seconds: Take the lease for so long where it is free, as `claim` does, in the same transaction.

        Raises:
            AwaitsApproval: The open turn of the conversation waits for a person to decide; nothing was stored.
            Busy: There is no room, or the policy is `reject` and the conversation is being answered; nothing was
                stored.
            InputRejected: The text cannot be stored, or `client_msg_id` belongs to another message; nothing was.
        """
        ...

    def accepted(self, message_id: str) -> InboxRecord:
        """What became of an accepted message."""
        ...

    def waiting(self, conversation_id: str) -> list[InboxRecord]:
        """The messages of a conversation that no turn holds yet, in order."""
        ...

    def claim(self, conversation_id: str, seconds: float) -> Claim | None:
        """Take the lease of a conversation that has something to do: durable on return.

        Args:
            conversation_id: The conversation.
            seconds: After so long without an end of the turn others may take the lease.

        Returns:
            The lease with the turn that was left open, or else with a turn begun from the inbox: the message that
            waits longest, and those right behind it with the policy `merge`. None: there is nothing to
            do, or a person has the conversation.

        Raises:
            Busy: Somebody has the lease.
        """
        ...

    def under(self, lease: Lease) -> UserStore:
        """This user's store for the holder of a lease: its writes are refused once the lease is another's.

        Without a lease, turns are written only where nobody has one. `commit_turn` gives the lease back.
        """
        ...

    def release(self, lease: Lease) -> None:
        """Give a lease back without an end of the turn; does nothing when it is not the newest one."""
        ...

    def stop_requested(self, lease: Lease) -> bool:
        """Whether the holder of a lease is to end its turn: an `interrupt` came, or another has the lease."""
        ...
