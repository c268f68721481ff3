"""Answers the messages of conversations in their order, while other threads and processes do the same.

A message is accepted into the inbox of its conversation. Whoever gets the lease of the conversation answers what waits
longest; the others wait until their message was answered, by whomever, and read its events from the store.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import JsonValue

from agentkit.agent.hand_over import passed_on
from agentkit.agent.histories import Histories
from agentkit.agent.leases import Leases
from agentkit.agent.loop import commit, run_turn
from agentkit.agent.questions import Before, Questions
from agentkit.agent.reply import Reply, fold
from agentkit.agent.turn import Settle, Turn, Wiring
from agentkit.errors import AgentKitError, AwaitsApproval, LeaseLost, StoreError
from agentkit.events import DialogueMoved, Event, Interrupted, Replied, TextDelta, TurnFinished
from agentkit.memory import RecallPool
from agentkit.messages import Assistant, User, text_of, turns_in_window
from agentkit.store.protocol import (
    BusyPolicy,
    Claim,
    HandOffRecord,
    InboxRecord,
    OpenTurn,
    Store,
    TurnRecord,
    UserStore,
)

_SECONDS_BEYOND_A_TURN: Final = 30.0
"""A lease is longer than a turn may take: perceiving and storing are not under the limit."""

_LOOK_AGAIN: Final = 0.1  # seconds after which a waiting thread looks what other processes did


class Attendant:
    """Runs turns for one agent; its threads share it.

    Args:
        wiring: The agent's parts.
        store: The store of all conversations.
    """

    def __init__(self, wiring: Wiring, store: Store) -> None:
        self._wiring = wiring
        self._store = store
        self._recalls = RecallPool(wiring.encoder)
        self._leases = Leases(wiring.settings.limits.seconds + _SECONDS_BEYOND_A_TURN)
        self._ended = threading.Condition()
        self._stops: dict[
            str, threading.Event
        ] = {}  # by conversation: of the turn that this process works on
        self._profiles: dict[
            str, Mapping[str, JsonValue]
        ] = {}  # by conversation: of those who wait for a reply
        self._questions = Questions()
        self._histories = Histories()

    def answer(
        self,
        store: UserStore,
        conversation: str,
        message: User,
        *,
        client_msg_id: str | None,
        when_busy: BusyPolicy,
        profile: Mapping[str, JsonValue] | None,
    ) -> Iterator[Event]:
        """Accept a message, which is stored when this returns, and give the events of its turn."""
        self._leases.give_back_what_is_left(store, conversation)
        accepted = store.accept(
            conversation,
            message,
            client_msg_id=client_msg_id,
            policy=when_busy,
            room=self._wiring.settings.limits.waiting_messages,
            claim_seconds=self._leases.seconds,
        )
        if when_busy == "interrupt" and accepted.claim is None and not accepted.again:
            self._stop(conversation)
        events = self._answered(store, accepted.record, dict(profile or {}))
        if accepted.claim is not None:
            self._leases.lend(events, store, accepted.claim)
        return events

    def attend(self, settle: Settle | None = None) -> list[Reply]:
        """Finish every open turn and answer every waiting message that nobody else attends to.

        Args:
            settle: Asked about each call whose outcome a crash hid; None: nobody knows.
        """
        replies = []
        for key in self._store.unattended():
            store = self._store.for_user(key.tenant, key.user)
            with contextlib.suppress(LeaseLost, AwaitsApproval):
                while (claim := self._leases.claim(store, key.conversation_id)) is not None:
                    if (reply := _last_words(self._run(store, claim, {}, settle))) is not None:
                        replies.append(reply)
        return replies

    def go_on(self, left: OpenTurn) -> Iterator[Event]:
        """Go on with a turn about which a person decided, and give its events; those that are still to come."""
        store, turn = self._store.for_user(left.tenant, left.user), left.turn
        while (claim := self._leases.claim(store, turn.conversation_id, decided=turn.id)) is None:
            if _is_committed(store, turn):  # somebody else went on with it
                yield from store.events(turn.id)
                return
            with self._ended:
                self._ended.wait(_LOOK_AGAIN)
        if claim.turn.turn.id == turn.id:
            yield from self._run(store, claim, {})
        else:
            self._run_for_others(store, claim)
            yield from store.events(turn.id)

    def turn_of(self, claim: Claim, record: HandOffRecord) -> Turn:
        """The working state of a turn that a person writes."""
        store = self._store.for_user(record.tenant, record.user)
        return self._turn(store.under(claim.lease), claim, record.profile, None)

    def _answered(
        self, store: UserStore, record: InboxRecord, profile: Mapping[str, JsonValue]
    ) -> Iterator[Event]:
        conversation = record.conversation_id
        self._profiles[conversation] = profile
        try:
            while True:
                if record.turn_id is not None and record.turn_status != "open":
                    yield from store.events(record.turn_id)
                    return
                claim = self._leases.claim(store, conversation)
                if claim is None or record.turn_id is None:
                    record = store.accepted(
                        record.id
                    )  # the claim, or another worker, may have begun its turn
                if claim is not None and record.turn_id == claim.turn.turn.id:
                    yield from self._run(store, claim, profile)
                    return
                if claim is not None:
                    self._run_for_others(store, claim)
                elif record.turn_status in (None, "open") and (held := _held(store, conversation)):
                    yield from passed_on(self._wiring, store, record, held)
                    return
                elif record.turn_status in (None, "open"):
                    with self._ended:
                        self._ended.wait(_LOOK_AGAIN)
                record = store.accepted(record.id)
        finally:
            self._profiles.pop(conversation, None)

    def _run_for_others(self, store: UserStore, claim: Claim) -> None:
        """Answer what waits ahead; what goes wrong there is of no concern to who waits behind."""
        try:
            _last_words(self._run(store, claim, self._profiles.get(claim.lease.conversation_id, {})))
        except AgentKitError as error:
            if isinstance(error, StoreError) and not isinstance(error, LeaseLost):
                raise

    def _run(
        self,
        store: UserStore,
        claim: Claim,
        profile: Mapping[str, JsonValue],
        settle: Settle | None = None,
    ) -> Iterator[Event]:
        turn = self._turn(store.under(claim.lease), claim, profile, settle)
        if _is_of_a_person(claim.turn):
            commit(turn, "", "interrupted", (TurnFinished(turn_id=turn.turn_id),), None)
            return
        self._stops[turn.conversation_id] = turn.stop
        try:
            before = self._questions.before(turn, claim.turn.turn.seq)
            yield from _until_stopped(turn, before)
            if turn.committed:
                self._questions.note(turn, claim.turn.turn.seq, before)
                self._histories.note(turn, claim.turn.turn.seq, claim.turn.message)
        except StoreError:
            turn.committed = (
                True  # what cannot be written cannot be closed either; somebody else does it later
            )
            self._leases.give_back(store, claim.lease)
            raise
        finally:
            self._stops.pop(turn.conversation_id, None)
            # Ctrl-C, an early close of the stream and errors alike: the accepted message stays, and every
            # call gets a result. Nothing is yielded here.
            try:
                if turn.paused and not turn.committed:
                    self._leases.give_back(store, claim.lease)
                elif not turn.committed:
                    commit(
                        turn, turn.wiring.replies.interrupted(), "interrupted", _ending(turn, "closed"), None
                    )
            finally:
                with self._ended:
                    self._ended.notify_all()

    def _turn(
        self, store: UserStore, claim: Claim, profile: Mapping[str, JsonValue], settle: Settle | None
    ) -> Turn:
        left = claim.turn
        earlier = left.turn.seq  # turns count from 0, and all before an open one are committed
        latest = turns_in_window(earlier, self._wiring.settings.history_turns)
        conversation = left.turn.conversation_id
        turn = Turn(
            wiring=self._wiring,
            store=store,
            recall=self._recalls.for_user(store),
            tenant=store.tenant,
            user=store.user,
            conversation_id=conversation,
            turn_id=left.turn.id,
            text=text_of(left.message),
            history=self._histories.before(store, conversation, earlier, latest),
            history_from=earlier - latest,
            summaries=self._histories.summaries(conversation),
            profile=profile,
            lease=claim.lease,
            settle=settle or (lambda row: None),
        )
        asked = store.approvals(left.turn.id) if left.steps else []
        if asked:
            turn.profile = asked[-1].profile
        turn.approvals = {each.call.id: each for each in asked}
        turn.recorded = [step.message for step in left.steps]
        turn.journal = {row.call.id: row for row in left.journal}
        return turn

    def _stop(self, conversation: str) -> None:
        """Stop the turn of a conversation at once where it runs here; other processes read it in the store."""
        stop = self._stops.get(conversation)
        if stop is not None:
            stop.set()


def _held(store: UserStore, conversation: str) -> HandOffRecord | None:
    """The hand-off that keeps the bot silent, if there is one."""
    record = store.hand_off(conversation)
    return record if record is not None and record.keeps_the_bot_silent else None


def _last_words(events: Iterator[Event]) -> Reply | None:
    """The reply of a turn; None for one that is ended without a word."""
    first = next(events, None)
    return None if first is None else fold(_put_back(first, events))


def _put_back(first: Event, events: Iterator[Event]) -> Iterator[Event]:
    yield first
    yield from events


def _is_of_a_person(left: OpenTurn) -> bool:
    """Whether a person's desk died in it, before the conversation was the bot's again."""
    by_a_person = any(isinstance(step.message, Assistant) and step.message.by for step in left.steps)
    return by_a_person or not left.message.parts


def _is_committed(store: UserStore, turn: TurnRecord) -> bool:
    return next(each for each in store.turns(turn.conversation_id) if each.id == turn.id).status != "open"


def _until_stopped(turn: Turn, before: Before) -> Iterator[Event]:
    with contextlib.closing(run_turn(turn, before)) as events:  # type: ignore[type-var]
        for event in events:
            yield event
            if not turn.committed and turn.is_stopped():
                break
        else:
            return
    text, ending = turn.wiring.replies.interrupted(), _ending(turn, "newer message")
    commit(turn, text, "interrupted", ending, None)
    yield from ending[:-2]
    yield TextDelta(text=text)
    yield from ending[-2:]


def _ending(turn: Turn, reason: str) -> tuple[Event, ...]:
    """The last events of a turn that was stopped, so that every trace ends with a reply."""
    milliseconds = (time.monotonic() - turn.started) * 1000
    # Where the flows stand, without the yes to what may not have been done.
    moved = () if turn.dialogue is None else (DialogueMoved(state=turn.dialogue.interrupted()),)
    return (
        *moved,
        Interrupted(reason=reason),
        Replied(text=turn.wiring.replies.interrupted(), source="interrupted"),
        TurnFinished(turn_id=turn.turn_id, milliseconds=milliseconds),
    )
