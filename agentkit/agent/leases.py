"""The leases of one process: taking them, lending them to streams that nobody reads yet, and giving them back."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

from agentkit.agent.approval_desk import refuse_if_waiting
from agentkit.errors import AwaitsApproval, Busy, StoreError
from agentkit.events import Event
from agentkit.store.protocol import Claim, Lease, UserStore


class Leases:
    """What the threads of an agent hold; they share it.

    Args:
        seconds: How long a lease is.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._unread: dict[str, Claim] = {}  # by conversation: claims of streams that nobody reads yet
        self._left: dict[str, Lease] = {}  # by conversation: leases that could not be given back

    def lend(self, events: Iterator[Event], store: UserStore, claim: Claim) -> None:
        """Keep a claim for a stream that nobody reads yet.

        Such a stream must not hold the conversation: others that wait for it may take the claim, and with the stream it
        is given back.
        """
        self._unread[claim.lease.conversation_id] = claim
        weakref.finalize(events, self._give_back_unread, store, claim).atexit = False

    def claim(self, store: UserStore, conversation: str, decided: str = "") -> Claim | None:
        """The lease and what is to be done; None where there is nothing, or somebody else does it.

        Raises:
            AwaitsApproval: A person has to decide about the open turn first, if it is not the one called `decided`.
        """
        if (unread := self._unread.pop(conversation, None)) is not None:
            return unread
        self.give_back_what_is_left(store, conversation)
        try:
            claim = store.claim(conversation, self.seconds)
        except Busy:
            return None
        if claim is not None and claim.turn.steps and claim.turn.turn.id != decided:
            try:
                refuse_if_waiting(store, claim.turn.turn, "What was said since is stored and waits.")
            except AwaitsApproval:
                self.give_back(store, claim.lease)
                raise
        return claim

    def _give_back_unread(self, store: UserStore, claim: Claim) -> None:
        if self._unread.get(claim.lease.conversation_id) is claim:
            del self._unread[claim.lease.conversation_id]
            self.give_back(store, claim.lease)

    def give_back(self, store: UserStore, lease: Lease) -> None:
        """Give a lease back, now or as soon as the store can be written."""
        try:
            store.release(lease)
        except StoreError:
            self._left[lease.conversation_id] = lease

    def give_back_what_is_left(self, store: UserStore, conversation: str) -> None:
        """Give back the lease of a conversation that could not be given back before."""
        lease = self._left.get(conversation)
        if lease is not None:
            store.release(lease)
            del self._left[conversation]
