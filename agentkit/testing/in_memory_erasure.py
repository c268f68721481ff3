"""Erasure and retention in an in-memory store; the protocol describes every method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from agentkit.errors import RecordNotFound
from agentkit.store.erasure_records import ErasedKinds, ErasureReceipt, Retention
from agentkit.store.records import MemoryRecord
from agentkit.testing.in_memory_rows import ConversationData, InMemoryData, Owner, UserData


class InMemoryErasure(UserData):
    """Implements `protocol.Erasable`."""

    def remove_memory(
        self, memory_id: str, *, wait: float = 30.0, beside: Sequence[Path] = ()
    ) -> ErasureReceipt:
        """Erase one memory."""
        with self._use():
            mine = self._data.memories.get(self._owner, {})
            if memory_id not in mine:
                raise RecordNotFound(f"User {self.user!r} has no memory {memory_id!r}.")
            record = mine[memory_id].record
            _remove_memories(self._data, self._owner, [record])
            return receipt(count_of([], [record]))

    def erase(self, *, wait: float = 30.0, beside: Sequence[Path] = ()) -> ErasureReceipt:
        """Erase everything of this user."""
        with self._use():
            mine = [each for each in self._data.conversations.values() if each.owner == self._owner]
            memories = [each.record for each in self._data.memories.pop(self._owner, {}).values()]
            self._data.rewritten[self._owner] = self._data.rewritten.get(self._owner, 0) + 1
            remove_conversations(self._data, mine)
            files = self._data.files.pop(self._owner, {})
            return receipt(count_of(mine, memories).model_copy(update={"files": len(files)}))


def expire(data: InMemoryData, retention: Retention, *, dry_run: bool) -> ErasedKinds:
    """Erase, or only count, what is older than it may be."""
    now = data.clock()
    old = [each for each in data.conversations.values() if _is_old(each, retention.conversations, now)]
    memories = {
        owner: [each.record for each in kept.values() if _memory_is_old(each.record, retention, now)]
        for owner, kept in data.memories.items()
    }
    traced = [
        turn
        for each in data.conversations.values()
        for turn in each.turns
        if each not in old and turn.events and _before(turn.record.finished_at, retention.events, now)
    ]
    counts = Counter(count_of(old, [record for mine in memories.values() for record in mine]).model_dump())
    counts["events"] += sum(len(turn.events) for turn in traced)
    files = [
        (kept, file.hash)
        for kept in data.files.values()
        for file in kept.values()
        if _before(file.created_at, retention.files, now)
    ]
    counts["files"] += len(files)
    if not dry_run:
        remove_conversations(data, old)
        for turn in traced:
            turn.events = ()
        for kept_files, digest in files:
            del kept_files[digest]
        for owner, records in memories.items():
            _remove_memories(data, owner, records)
    return ErasedKinds(**counts)


def receipt(counts: ErasedKinds) -> ErasureReceipt:
    """Of a store that has no files."""
    return ErasureReceipt(
        erased=counts,
        searched=(),
        bytes_searched=0,
        pieces=0,
        remnants=(),
        rewritten=False,
        not_reached=(),
        seconds=0.0,
    )


def count_of(conversations: Sequence[ConversationData], memories: Sequence[MemoryRecord]) -> ErasedKinds:
    """How much there is of each kind."""
    turns = [turn for each in conversations for turn in each.turns]
    facts = sum(record.kind == "fact" for record in memories)
    return ErasedKinds(
        conversations=len(conversations),
        turns=len(turns),
        steps=sum(len(turn.steps) for turn in turns),
        calls=sum(len(turn.journal) for turn in turns),
        approvals=sum(len(turn.approvals) for turn in turns),
        hand_offs=sum(len(each.hand_offs) for each in conversations),
        events=sum(len(turn.events) for turn in turns),
        waiting=sum(len(each.inbox) for each in conversations),
        summaries=sum(len(each.summaries) for each in conversations),
        messages=len(memories) - facts,
        facts=facts,
    )


def remove_conversations(data: InMemoryData, conversations: Iterable[ConversationData]) -> None:
    """Take conversations away; what is remembered of them names no turn any more."""
    for each in conversations:
        del data.conversations[each.record.id]
        for turn in each.turns:
            del data.turns[turn.record.id]
        for message in each.inbox:
            del data.messages[message.id]
        for memory in data.memories.get(each.owner, {}).values():
            if memory.record.conversation_id == each.record.id:
                nowhere = {"turn_id": None, "conversation_id": None}
                memory.record = memory.record.model_copy(update=nowhere)


def _remove_memories(data: InMemoryData, owner: Owner, records: Sequence[MemoryRecord]) -> None:
    for record in records:
        del data.memories[owner][record.id]
    if records:
        data.rewritten[owner] = data.rewritten.get(owner, 0) + 1


def _is_old(conversation: ConversationData, days: float | None, now: datetime) -> bool:
    is_active = any(each.record.is_active for each in conversation.hand_offs)
    if is_active or conversation.waiting or any(turn.is_open for turn in conversation.turns):
        return False
    times = [conversation.record.created_at, *(turn.record.finished_at for turn in conversation.turns)]
    return all(_before(time, days, now) for time in times)


def _memory_is_old(record: MemoryRecord, retention: Retention, now: datetime) -> bool:
    limits = [retention.messages if record.kind == "message" else retention.facts]
    if record.replaced_by is not None:
        limits.append(retention.replaced)
    return any(_before(record.created_at, days, now) for days in limits)


def _before(time: datetime | None, days: float | None, now: datetime) -> bool:
    return time is not None and days is not None and time < now - timedelta(days=days)
