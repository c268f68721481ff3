"""Promises about the inbox and the lease: nothing accepted is lost or doubled, one conversation has one order."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from agentkit.errors import Busy, InputRejected, LeaseLost
from agentkit.messages import User, assistant, text_of, user
from agentkit.store.protocol import Claim, Store, UserStore
from agentkit.testing.promises.registry import OpenStore, of_a_store, of_a_user, of_stores, refused
from agentkit.testing.promises.samples import CALL, DONE, finish, say

_LONG = 100.0  # seconds of a lease that is not to end
_SHORT = 0.05


@of_a_user
def _a_message_to_a_free_conversation_begins_its_turn_at_once(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    accepted = ada.accept(conversation, user("hello there"), claim_seconds=_LONG)
    claim = _claim_of(accepted.claim)
    assert not accepted.again
    assert (accepted.record.turn_id, accepted.record.turn_status) == (claim.turn.turn.id, "open")
    assert claim.turn.message == user("hello there")
    assert ada.waiting(conversation) == []
    _finish(ada, claim)
    assert ada.accepted(accepted.record.id).turn_status == "done"
    assert len(ada.transcript(conversation)) == 2


@of_a_user
def _a_message_without_a_claim_waits(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    accepted = ada.accept(conversation, user("hello there"))
    assert accepted.claim is None
    assert [each.message for each in ada.waiting(conversation)] == [user("hello there")]
    assert ada.turns(conversation) == []
    claim = _claim_of(ada.claim(conversation, _LONG))
    assert claim.turn.message == user("hello there")
    assert ada.accepted(accepted.record.id).turn_id == claim.turn.turn.id


@of_a_user
def _messages_are_answered_in_the_order_they_were_accepted(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    claim = _claim_of(ada.accept(conversation, user("0"), claim_seconds=_LONG).claim)
    for number in range(1, 4):
        assert ada.accept(conversation, user(str(number)), claim_seconds=_LONG).claim is None
    assert [each.seq for each in ada.waiting(conversation)] == [1, 2, 3]
    _finish(ada, claim)
    while (next_one := ada.claim(conversation, _LONG)) is not None:
        _finish(ada, next_one)
    said = [text_of(each) for each in ada.transcript(conversation) if isinstance(each, User)]
    assert said == ["0", "1", "2", "3"]


@of_a_user
def _a_message_sent_again_under_its_name_is_the_same_message(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    first = ada.accept(conversation, user("cancel it"), client_msg_id="m-1", claim_seconds=_LONG)
    again = ada.accept(conversation, user("cancel it"), client_msg_id="m-1", claim_seconds=_LONG)
    assert (again.again, again.claim, again.record.id) == (True, None, first.record.id)
    _finish(ada, _claim_of(first.claim))
    later = ada.accept(conversation, user("cancel it"), client_msg_id="m-1", claim_seconds=_LONG)
    assert (later.again, later.record.turn_status) == (True, "done")
    assert len(ada.turns(conversation)) == 1
    assert not ada.accept(ada.new_conversation(), user("cancel it"), client_msg_id="m-1").again


@of_a_user
def _two_messages_cannot_have_one_name(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    first = ada.accept(conversation, user("cancel it"), client_msg_id="m-1", claim_seconds=_LONG)
    with refused(InputRejected):
        ada.accept(conversation, user("keep it"), client_msg_id="m-1")
    _finish(ada, _claim_of(first.claim))
    with refused(InputRejected):
        ada.accept(conversation, user("keep it"), client_msg_id="m-1")
    assert ada.waiting(conversation) == []


@of_a_user
def _messages_to_be_merged_become_one_turn(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    claim = _claim_of(ada.accept(conversation, user("0"), claim_seconds=_LONG).claim)
    records = [ada.accept(conversation, user(str(number)), policy="merge").record for number in (1, 2, 3)]
    last = ada.accept(conversation, user("4")).record
    _finish(ada, claim)
    merged = _claim_of(ada.claim(conversation, _LONG))
    assert text_of(merged.turn.message) == "1\n2\n3"
    assert {ada.accepted(each.id).turn_id for each in records} == {merged.turn.turn.id}
    assert ada.accepted(last.id).turn_id is None
    _finish(ada, merged)
    assert text_of(_claim_of(ada.claim(conversation, _LONG)).turn.message) == "4"


@of_a_user
def _a_busy_conversation_rejects_what_is_to_be_rejected(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    claim = _claim_of(ada.accept(conversation, user("0"), policy="reject", claim_seconds=_LONG).claim)
    with refused(Busy):
        ada.accept(conversation, user("1"), policy="reject")
    assert ada.waiting(conversation) == []
    _finish(ada, claim)
    assert not ada.accept(conversation, user("1"), policy="reject").again


@of_a_user
def _an_interrupting_message_asks_the_running_turn_to_stop(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    claim = _claim_of(ada.accept(conversation, user("0"), claim_seconds=_LONG).claim)
    ada.accept(conversation, user("1"))
    assert not ada.stop_requested(claim.lease)
    ada.accept(conversation, user("stop!"), policy="interrupt")
    assert ada.stop_requested(claim.lease)
    _finish(ada, claim)
    following = _claim_of(ada.claim(conversation, _LONG))
    assert not ada.stop_requested(following.lease)
    assert text_of(following.turn.message) == "1"


@of_a_user
def _an_inbox_has_room_for_so_many(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    for number in range(3):
        ada.accept(conversation, user(str(number)), room=3)
    with refused(Busy):
        ada.accept(conversation, user("3"), room=3)
    assert len(ada.waiting(conversation)) == 3


@of_a_user
def _one_worker_has_the_lease(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    claim = _claim_of(ada.accept(conversation, user("0"), claim_seconds=_LONG).claim)
    with refused(Busy):
        ada.claim(conversation, _LONG)
    with refused(Busy):
        ada.begin_turn(conversation, user("1"))
    ada.release(claim.lease)
    again = _claim_of(ada.claim(conversation, _LONG))
    assert again.turn.turn.id == claim.turn.turn.id
    assert again.lease.fence > claim.lease.fence


@of_a_user
def _a_worker_that_lost_its_lease_writes_nothing(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    claim = _claim_of(ada.accept(conversation, user("0"), claim_seconds=_SHORT).claim)
    mine, turn_id = ada.under(claim.lease), claim.turn.turn.id
    mine.record_step(turn_id, 0, assistant("", [CALL]))
    mine.start_call(turn_id, CALL, effect="write", idempotent=False)
    time.sleep(2 * _SHORT)
    other = _claim_of(ada.claim(conversation, _LONG))
    assert [row.call for row in other.turn.in_doubt] == [CALL]
    for write in (
        lambda: mine.finish_call(turn_id, DONE),
        lambda: mine.resolve_call(turn_id, CALL.id, DONE),
        lambda: mine.record_step(turn_id, 1, assistant("late")),
        lambda: mine.commit_turn(turn_id, reply=assistant("x"), events=(), memories=(), status="done"),
        lambda: ada.finish_call(turn_id, DONE),
    ):
        with refused(LeaseLost):
            write()
    assert mine.stop_requested(claim.lease)
    mine.release(claim.lease)  # of no effect: it is another's
    ada.under(other.lease).finish_call(turn_id, DONE)
    _finish(ada, other)


@of_a_user
def _a_lease_that_nobody_took_over_stays_good(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    claim = _claim_of(ada.accept(conversation, user("0"), claim_seconds=_SHORT).claim)
    time.sleep(2 * _SHORT)
    _finish(ada, claim)
    assert [turn.status for turn in ada.turns(conversation)] == ["done"]


@of_a_user
def _there_is_nothing_to_claim_where_nothing_is_to_be_done(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    assert ada.claim(conversation, _LONG) is None
    say(ada, conversation, "hello there")
    assert ada.claim(conversation, _LONG) is None


@of_a_store
def _what_nobody_attends_to_is_listed(store: Store) -> None:
    ada, ben = store.for_user("shop", "ada"), store.for_user("shop", "ben")
    attended, waiting, idle = (ada.new_conversation() for _ in range(3))
    ada.accept(attended, user("0"), claim_seconds=_LONG)
    ada.accept(waiting, user("0"))
    say(ada, idle, "0")
    left = ben.new_conversation()
    ben.begin_turn(left, user("0"))
    assert [(key.user, key.conversation_id) for key in store.unattended()] == [
        ("ada", waiting),
        ("ben", left),
    ]


@of_stores
def _stores_of_one_data_share_the_inbox_and_the_lease(open_store: OpenStore) -> None:
    one, two = open_store(), open_store()
    ada, same = one.for_user("shop", "ada"), two.for_user("shop", "ada")
    conversation = ada.new_conversation()
    claim = _claim_of(ada.accept(conversation, user("0"), claim_seconds=_LONG).claim)
    assert same.accept(conversation, user("1"), policy="interrupt", claim_seconds=_LONG).claim is None
    assert ada.stop_requested(claim.lease)
    with refused(Busy):
        same.claim(conversation, _LONG)
    _finish(ada, claim)
    _finish(same, _claim_of(same.claim(conversation, _LONG)))
    assert len(ada.transcript(conversation)) == 4
    one.close()
    two.close()


@of_stores
def _many_workers_keep_each_conversation_in_order(open_store: OpenStore) -> None:
    stores = [open_store(), open_store()]
    ada = stores[0].for_user("shop", "ada")
    conversations = [ada.new_conversation() for _ in range(3)]
    for number in range(8):
        for conversation in conversations:
            ada.accept(conversation, user(str(number)), client_msg_id=f"m-{number}")
    threads = [
        threading.Thread(target=_work_off, args=(stores[number % 2].for_user("shop", "ada"), conversations))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for conversation in conversations:
        said = [text_of(each) for each in ada.transcript(conversation) if isinstance(each, User)]
        assert said == [str(number) for number in range(8)]
    for store in stores:
        store.close()


def _work_off(ada: UserStore, conversations: Sequence[str]) -> None:
    left = list(conversations)
    while left:
        for conversation in tuple(left):
            try:
                claim = ada.claim(conversation, _LONG)
            except Busy:
                time.sleep(0.001)
                continue
            if claim is None:
                left.remove(conversation)
            else:
                _finish(ada, claim)


def _claim_of(claim: Claim | None) -> Claim:
    assert claim is not None
    return claim


def _finish(ada: UserStore, claim: Claim) -> None:
    finish(ada.under(claim.lease), claim.turn.turn.id, text_of(claim.turn.message))
