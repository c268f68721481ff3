"""A store without a file: for tests, for agents that forget, and as the simplest reading of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from agentkit.errors import StoreError
from agentkit.messages import text_of
from agentkit.store.call_records import ApprovalRecord
from agentkit.store.erasure_records import ErasedKinds, ErasureReceipt, Retention
from agentkit.store.hand_off_records import HandOffRecord
from agentkit.store.protocol import KnowledgeTable, UserStore
from agentkit.store.records import ConversationKey, Lease, OpenTurn, PastTurn
from agentkit.testing.in_memory_calls import InMemoryApprovals, InMemoryFiles
from agentkit.testing.in_memory_conversations import InMemoryConversations
from agentkit.testing.in_memory_erasure import InMemoryErasure, expire, receipt
from agentkit.testing.in_memory_hand_offs import InMemoryHandOffs
from agentkit.testing.in_memory_knowledge import InMemoryKnowledge
from agentkit.testing.in_memory_queue import shown
from agentkit.testing.in_memory_rows import InMemoryData, loaded, storable_text


class InMemoryUserStore(
    InMemoryConversations, InMemoryHandOffs, InMemoryApprovals, InMemoryFiles, InMemoryErasure
):
    """Everything of one user; made by `InMemoryStore.for_user` only."""

    def under(self, lease: Lease) -> InMemoryUserStore:
        """This user's store for the holder of a lease."""
        return InMemoryUserStore(self._data, self._owner, self._is_closed, lease)


class InMemoryStore:
    """A `Store` that keeps the contract as long as the process lives.

    Args:
        data: What it holds; stores made of the same data are like processes that share a file.
    """

    def __init__(self, data: InMemoryData | None = None) -> None:
        self._data = data or InMemoryData()
        self._closed = False

    def for_user(self, tenant: str, user: str) -> UserStore:
        """The only way to anybody's data."""
        whose = storable_text(tenant, "the tenant's name"), storable_text(user, "the user's name")
        return InMemoryUserStore(self._data, whose, lambda: self._closed)

    def open_turns(self) -> list[OpenTurn]:
        """Every accepted turn that is not committed, of all users, in the order they were accepted."""
        with self._data.lock:
            self._check_open()
            found = [each for each in self._data.turns.values() if each[1].is_open]
            return [loaded(*each) for each in found]

    def waiting_approvals(self) -> list[ApprovalRecord]:
        """Every request that waits for a person, of all users, oldest first."""
        with self._data.lock:
            self._check_open()
            asked = [
                record
                for _, turn in self._data.turns.values()
                if turn.is_open
                for record in turn.approvals.values()
                if record.status == "waiting"
            ]
            return sorted(asked, key=lambda each: each.created_at)

    def remembered_users(self) -> list[tuple[str, str]]:
        """Tenant and name of every user of whom something is remembered, in their order."""
        with self._data.lock:
            self._check_open()
            return sorted(owner for owner, memories in self._data.memories.items() if memories)

    def queue(self) -> list[HandOffRecord]:
        """Every hand-off that is not over, of all users: higher priority first, then older."""
        with self._data.lock:
            self._check_open()
            active = [
                shown(conversation, data)
                for conversation in self._data.conversations.values()
                for data in conversation.hand_offs
                if data.record.is_active
            ]
            return sorted(active, key=lambda each: (-each.priority, each.created_at))

    def past_turns(self, since: datetime | None = None) -> Iterator[PastTurn]:
        """Every committed turn, of all users, that began then or later, oldest first."""
        with self._data.lock:
            self._check_open()
            turns = list(self._data.turns.values())
        for conversation, turn in turns:
            if not turn.is_open and (since is None or turn.record.created_at >= since):
                yield PastTurn(
                    tenant=conversation.owner[0],
                    user=conversation.owner[1],
                    turn=turn.record,
                    text=text_of(turn.message),
                    events=turn.events,
                )

    def past_hand_offs(self) -> list[HandOffRecord]:
        """Every hand-off there ever was, of all users, oldest first."""
        with self._data.lock:
            self._check_open()
            found = [
                shown(conversation, data)
                for conversation in self._data.conversations.values()
                for data in conversation.hand_offs
            ]
            return sorted(found, key=lambda each: each.created_at)

    def unattended(self) -> list[ConversationKey]:
        """The conversations with something to do that nobody has the lease of."""
        with self._data.lock:
            self._check_open()
            return [
                ConversationKey(tenant=each.owner[0], user=each.owner[1], conversation_id=each.record.id)
                for each in self._data.conversations.values()
                if (each.open_turn or each.waiting)
                and not each.is_held
                and not any(data.record.keeps_the_bot_silent for data in each.hand_offs)
            ]

    def expire(
        self, retention: Retention, *, wait: float = 30.0, beside: Sequence[Path] = ()
    ) -> ErasureReceipt:
        """Erase what is older than it may be, of all users."""
        with self._data.lock:
            self._check_open()
            return receipt(expire(self._data, retention, dry_run=False))

    def expired(self, retention: Retention) -> ErasedKinds:
        """What `expire` would erase."""
        with self._data.lock:
            self._check_open()
            return expire(self._data, retention, dry_run=True)

    def knowledge(self, tenant: str, collection: str = "knowledge") -> KnowledgeTable:
        """The documents of a tenant under one name."""
        return InMemoryKnowledge(self._data, tenant, collection, lambda: self._closed)

    def close(self) -> None:
        """Close the store; closing twice is harmless."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("The store is closed.", hint="Open it again.")
