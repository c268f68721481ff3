"""Promises about conversations that a person takes over."""

from __future__ import annotations

import time

from agentkit.errors import Busy, InputRejected, LeaseLost, RecordNotFound, TurnConflict
from agentkit.messages import assistant, text_of, user
from agentkit.store.erasure_records import Retention
from agentkit.store.hand_off_records import Callback, EndOfHandOff, HandOffChange, NewHandOff
from agentkit.store.protocol import HandOffRecord, Store, UserStore
from agentkit.store.records import Claim
from agentkit.testing.promises.registry import OpenStore, of_a_store, of_a_user, of_stores, refused
from agentkit.testing.promises.samples import say, trace


@of_stores
def _a_conversation_enters_the_queue_with_the_end_of_its_turn_and_survives_the_process(
    open_store: OpenStore,
) -> None:
    first = open_store()
    ada = first.for_user("shop", "ada")
    conversation = ada.new_conversation()
    turn = ada.begin_turn(conversation, user("a person please"))
    assert first.queue() == []
    new = NewHandOff(
        id=turn.id, reason="asked", summary="short", slots={"order": 1}, priority=2, profile={"vip": True}
    )
    _end(ada, turn.id, "Somebody comes.", new)
    queued = first.queue()
    first.close()
    second = open_store()
    assert second.queue() == queued == [second.for_user("shop", "ada").hand_off(conversation)]
    record = queued[0]
    assert (record.status, record.reason, record.summary, record.priority) == ("waiting", "asked", "short", 2)
    assert (record.slots, record.profile, record.turn_id) == ({"order": 1}, {"vip": True}, turn.id)
    assert (record.tenant, record.user, record.conversation_id) == ("shop", "ada", conversation)
    second.close()


@of_a_user
def _a_turn_that_cannot_end_queues_nothing(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    turn = ada.begin_turn(conversation, user("hello"))
    with refused(InputRejected):
        _end(ada, turn.id, "Yes.", NewHandOff(id=turn.id, reason="\ud800"))
    assert ada.hand_off(conversation) is None
    _end(ada, turn.id, "Yes.", None)
    with refused(TurnConflict):
        _end(ada, turn.id, "Yes.", NewHandOff(id=turn.id, reason="late"))
    assert ada.hand_offs(conversation) == []


@of_a_store
def _the_more_urgent_comes_first_and_among_equals_the_older(store: Store) -> None:
    priorities = {"ada": 0, "ben": 5, "cleo": 0, "dan": 5}
    for name, priority in priorities.items():
        _queued(store.for_user("shop", name), NewHandOff(id=name, reason="asked", priority=priority))
    assert [each.user for each in store.queue()] == ["ben", "dan", "ada", "cleo"]


@of_a_user
def _a_conversation_is_in_the_queue_once(ada: UserStore) -> None:
    first = _queued(ada, NewHandOff(id="first", reason="asked", priority=3, holds=False))
    turn = ada.begin_turn(first.conversation_id, user("a person!"))
    _end(ada, turn.id, "Yes.", NewHandOff(id="second", reason="angry", priority=1))
    (record,) = ada.hand_offs(first.conversation_id)
    assert (record.id, record.reason, record.priority, record.holds) == ("first", "angry", 3, True)
    assert record.turn_id == turn.id


@of_a_store
def _while_a_person_is_waited_for_messages_stay_in_the_inbox(store: Store) -> None:
    ada = store.for_user("shop", "ada")
    conversation = _queued(ada).conversation_id
    accepted = ada.accept(conversation, user("are you there?"), claim_seconds=100)
    assert accepted.claim is None
    assert ada.claim(conversation, 100) is None
    assert store.unattended() == []
    assert [text_of(each.message) for each in ada.waiting(conversation) if each.message] == ["are you there?"]
    record = ada.hand_off(conversation)
    assert record is not None
    assert (record.waiting, record.keeps_the_bot_silent) == (1, True)


@of_a_store
def _where_nobody_is_there_the_bot_goes_on_until_somebody_takes_it(store: Store) -> None:
    ada = store.for_user("shop", "ada")
    record = _queued(ada, NewHandOff(id="night", reason="asked", holds=False))
    assert not record.keeps_the_bot_silent
    say(ada, record.conversation_id, "and what about tables?")
    ada.take_hand_off(record.id, by="Anna", seconds=100)
    assert ada.accept(record.conversation_id, user("hello"), claim_seconds=100).claim is None


@of_a_user
def _two_people_cannot_have_the_same_one(ada: UserStore) -> None:
    record = _queued(ada)
    anna = ada.take_hand_off(record.id, by="Anna", seconds=100)
    assert (anna.status, anna.person, anna.fence) == ("taken", "Anna", 1)
    with refused(Busy):
        ada.take_hand_off(record.id, by="Bob", seconds=100)
    bob = ada.take_hand_off(record.id, by="Bob", seconds=100, from_others=True)
    assert bob.fence == 2
    with refused(LeaseLost):
        ada.claim_for_person(record.id, anna.fence, 100)
    assert ada.claim_for_person(record.id, bob.fence, 100) is not None


@of_a_user
def _after_a_crash_the_same_person_takes_it_again_and_the_old_window_writes_nothing(ada: UserStore) -> None:
    record = _queued(ada)
    old = ada.take_hand_off(record.id, by="Anna", seconds=100)
    new = ada.take_hand_off(record.id, by="Anna", seconds=100)
    assert new.fence > old.fence
    with refused(LeaseLost):
        ada.claim_for_person(record.id, old.fence, 100)


@of_a_user
def _a_person_who_does_nothing_may_be_relieved(ada: UserStore) -> None:
    record = _queued(ada)
    ada.take_hand_off(record.id, by="Anna", seconds=0.01)
    time.sleep(0.05)
    idle = ada.hand_off(record.conversation_id)
    assert idle is not None
    assert (idle.is_idle, idle.person) == (True, "Anna")
    assert ada.take_hand_off(record.id, by="Bob", seconds=100).person == "Bob"


@of_a_user
def _what_a_person_says_answers_all_that_waits_and_carries_their_name(ada: UserStore) -> None:
    record = _queued(ada)
    for text in ("first", "second"):
        ada.accept(record.conversation_id, user(text))
    claim = _claimed(ada, record)
    mine = ada.under(claim.lease)
    assert text_of(claim.turn.message) == "first\nsecond"
    mine.commit_turn(
        claim.turn.turn.id,
        reply=assistant("Both, yes.", by="Anna"),
        events=trace(claim.turn.turn.id, "Both, yes."),
        memories=(),
        status="done",
    )
    last = ada.transcript(record.conversation_id, last_turns=1)
    assert last == (claim.turn.message, assistant("Both, yes.", by="Anna"))
    assert ada.waiting(record.conversation_id) == []
    answered = ada.hand_off(record.conversation_id)
    assert answered is not None
    assert answered.answered_at is not None


@of_a_user
def _a_person_may_speak_without_being_asked(ada: UserStore) -> None:
    record = _queued(ada)
    claim = _claimed(ada, record)
    assert claim.turn.message.parts == ()


@of_a_user
def _what_a_person_sends_again_is_said_once(ada: UserStore) -> None:
    record = _queued(ada)
    taken = ada.take_hand_off(record.id, by="Anna", seconds=100)
    first = ada.claim_for_person(record.id, taken.fence, 0.01, client_msg_id="a1")
    time.sleep(0.05)
    again = ada.claim_for_person(record.id, taken.fence, 100, client_msg_id="a1")  # after a crash in between
    assert first is not None
    assert again is not None
    assert again.turn.turn == first.turn.turn
    _end(ada.under(again.lease), again.turn.turn.id, "Hello.", None)
    assert ada.claim_for_person(record.id, taken.fence, 100, client_msg_id="a1") is None


@of_a_user
def _the_end_comes_with_the_turn_that_says_so_and_what_waits_is_left_to_the_bot(ada: UserStore) -> None:
    record = _queued(ada)
    ada.accept(record.conversation_id, user("one more thing"))
    taken = ada.take_hand_off(record.id, by="Anna", seconds=100)
    claim = ada.claim_for_person(record.id, taken.fence, 100, with_waiting=False)
    assert claim is not None
    assert claim.turn.message.parts == ()
    ended = EndOfHandOff(outcome="given_back", note="voucher agreed")
    _end(ada.under(claim.lease), claim.turn.turn.id, "Back to the bot.", ended)
    assert ada.hand_off(record.conversation_id) is None
    (over,) = ada.hand_offs(record.conversation_id)
    assert (over.status, over.note, over.person) == ("given_back", "voucher agreed", "Anna")
    assert over.ended_at is not None
    with refused(TurnConflict):
        ada.take_hand_off(record.id, by="Bob", seconds=100)
    with refused(TurnConflict):
        ada.claim_for_person(record.id, taken.fence, 100)
    bots = ada.claim(record.conversation_id, 100)
    assert bots is not None
    assert text_of(bots.turn.message) == "one more thing"


@of_a_user
def _the_answer_that_ends_it_is_an_answer(ada: UserStore) -> None:
    record = _queued(ada)
    claim = _claimed(ada, record)
    ended = EndOfHandOff(outcome="closed")
    _end(ada.under(claim.lease), claim.turn.turn.id, "It is on its way.", ended, by="Anna")
    (over,) = ada.hand_offs(record.conversation_id)
    assert over.status == "closed"
    assert over.answered_at is not None


@of_a_user
def _a_customer_may_go_back_to_the_bot(ada: UserStore) -> None:
    record = _queued(ada)
    ada.accept(record.conversation_id, user("never mind"))
    withdrawn = ada.withdraw_hand_off(record.conversation_id)
    assert withdrawn is not None
    assert withdrawn.status == "withdrawn"
    assert ada.withdraw_hand_off(record.conversation_id) is None
    assert ada.claim(record.conversation_id, 100) is not None


@of_a_user
def _the_customer_is_told_once_who_answers(ada: UserStore) -> None:
    record = _queued(ada)
    told = [ada.acknowledge_hand_off(record.conversation_id) for _ in range(2)]
    ada.take_hand_off(record.id, by="Anna", seconds=100)
    told += [ada.acknowledge_hand_off(record.conversation_id) for _ in range(2)]
    assert told == [True, False, True, False]


@of_a_user
def _how_a_customer_wants_to_be_called_is_kept_with_the_turn_that_heard_it(ada: UserStore) -> None:
    record = _queued(ada, NewHandOff(id="night", reason="asked", holds=False))
    turn = ada.begin_turn(record.conversation_id, user("0151 2345678, after five"))
    wish = Callback(phone="0151 2345678", when="after five")
    _end(ada, turn.id, "We call you.", wish)
    kept = ada.hand_off(record.conversation_id)
    assert kept is not None
    assert kept.callback == wish


@of_a_store
def _all_that_was_said_and_handed_over_can_be_looked_at(store: Store) -> None:
    ada, ben = store.for_user("shop", "ada"), store.for_user("shop", "ben")
    say(ada, ada.new_conversation(), "hello")
    record = _queued(ben)
    ben.withdraw_hand_off(record.conversation_id)
    ada.begin_turn(ada.new_conversation(), user("not answered yet"))
    past = list(store.past_turns())
    assert [(each.user, each.text) for each in past] == [("ada", "hello"), ("ben", "a person please")]
    assert past[0].events == ada.events(past[0].turn.id)
    assert [each.status for each in store.past_hand_offs()] == ["withdrawn"]
    assert [each.text for each in store.past_turns(past[1].turn.created_at)] == ["a person please"]


@of_a_store
def _nothing_of_anybody_else_can_be_taken(store: Store) -> None:
    record = _queued(store.for_user("shop", "ada"))
    ben = store.for_user("shop", "ben")
    with refused(RecordNotFound):
        ben.take_hand_off(record.id, by="Anna", seconds=100)
    with refused(RecordNotFound):
        ben.claim_for_person(record.id, 0, 100)


@of_a_store
def _a_conversation_that_a_person_is_to_answer_does_not_expire(store: Store) -> None:
    ada = store.for_user("shop", "ada")
    record = _queued(ada)
    at_once = Retention(conversations=0)
    time.sleep(0.01)
    assert store.expire(at_once).erased.conversations == 0
    ada.withdraw_hand_off(record.conversation_id)
    assert store.expired(at_once).hand_offs == 1
    assert store.expire(at_once).erased.conversations == 1
    assert store.past_hand_offs() == []


@of_a_store
def _erasing_takes_the_queue_along(store: Store) -> None:
    ada = store.for_user("shop", "ada")
    record = _queued(ada)
    assert ada.erase().erased.hand_offs == 1
    assert store.queue() == []
    with refused(RecordNotFound):
        ada.take_hand_off(record.id, by="Anna", seconds=100)


def _queued(ada: UserStore, new: NewHandOff | None = None) -> HandOffRecord:
    conversation = ada.new_conversation()
    turn = ada.begin_turn(conversation, user("a person please"))
    _end(ada, turn.id, "Somebody comes.", new or NewHandOff(id=turn.id, reason="asked"))
    record = ada.hand_off(conversation)
    assert record is not None
    return record


def _claimed(ada: UserStore, record: HandOffRecord) -> Claim:
    taken = ada.take_hand_off(record.id, by="Anna", seconds=100)
    claim = ada.claim_for_person(record.id, taken.fence, 100)
    assert claim is not None
    return claim


def _end(ada: UserStore, turn_id: str, text: str, change: HandOffChange | None, *, by: str = "") -> None:
    ada.commit_turn(
        turn_id,
        reply=assistant(text, by=by),
        events=trace(turn_id, text),
        memories=(),
        status="done",
        hand_off=change,
    )
