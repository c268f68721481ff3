"""Promises about whose data it is: nobody reaches anything of anybody else, tried with every method."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from agentkit.errors import RecordNotFound
from agentkit.messages import assistant, user
from agentkit.store.call_records import NewApproval, arguments_hash
from agentkit.store.hand_off_records import NewHandOff
from agentkit.store.protocol import Lease, NewMemory, Store, SummaryRecord, UserStore
from agentkit.testing.promises.registry import of_a_store, refused
from agentkit.testing.promises.samples import (
    ASKED,
    CALL,
    DONE,
    memory,
    say,
    turn_with_started_call,
    turn_with_written_call,
    unit,
)


@dataclass(frozen=True)
class _Adas:
    """Ids of things that belong to Ada of tenant `shop`."""

    conversation: str
    turn: str
    open_turn: str
    memory: str
    message: str
    lease: Lease
    approval: str
    file: str
    hand_off: str
    handed_over: str


_Attempt = Callable[[UserStore, _Adas], object]

# They take an id, and must say that there is no such thing.
_WITH_ID: Final[dict[str, _Attempt]] = {
    "begin_turn": lambda other, adas: other.begin_turn(adas.conversation, user("hello there")),
    "record_step": lambda other, adas: other.record_step(adas.open_turn, 1, assistant("x")),
    "start_call": lambda other, adas: other.start_call(adas.open_turn, CALL, effect="write", idempotent=True),
    "finish_call": lambda other, adas: other.finish_call(adas.open_turn, DONE),
    "resolve_call": lambda other, adas: other.resolve_call(adas.open_turn, CALL.id, DONE),
    "commit_turn": lambda other, adas: other.commit_turn(
        adas.open_turn, reply=assistant("x"), events=(), memories=(), status="done"
    ),
    "open_turn": lambda other, adas: other.open_turn(adas.open_turn),
    "request_approval": lambda other, adas: other.request_approval(
        NewApproval(turn_id=adas.open_turn, call=CALL, effect="write", reasons=())
    ),
    "hand_off": lambda other, adas: other.hand_off(adas.handed_over),
    "hand_offs": lambda other, adas: other.hand_offs(adas.handed_over),
    "take_hand_off": lambda other, adas: other.take_hand_off(adas.hand_off, by="Anna", seconds=100),
    "claim_for_person": lambda other, adas: other.claim_for_person(adas.hand_off, 0, 100),
    "acknowledge_hand_off": lambda other, adas: other.acknowledge_hand_off(adas.handed_over),
    "withdraw_hand_off": lambda other, adas: other.withdraw_hand_off(adas.handed_over),
    "approvals": lambda other, adas: other.approvals(adas.open_turn),
    "approval": lambda other, adas: other.approval(adas.approval),
    "answer_approval": lambda other, adas: other.answer_approval(
        adas.approval,
        shown=arguments_hash(ASKED.name, ASKED.arguments),
        settled=ASKED.arguments,
        by="mallory",
    ),
    "use_approval": lambda other, adas: other.use_approval(adas.open_turn, CALL.id, CALL.arguments),
    "file": lambda other, adas: other.file(adas.file),
    "transcript": lambda other, adas: other.transcript(adas.conversation),
    "turns": lambda other, adas: other.turns(adas.conversation),
    "fork": lambda other, adas: other.fork(adas.turn),
    "events": lambda other, adas: other.events(adas.turn),
    "journal": lambda other, adas: other.journal(adas.turn),
    "accept": lambda other, adas: other.accept(adas.conversation, user("hello there"), claim_seconds=1),
    "accepted": lambda other, adas: other.accepted(adas.message),
    "waiting": lambda other, adas: other.waiting(adas.conversation),
    "claim": lambda other, adas: other.claim(adas.conversation, 1),
    "release": lambda other, adas: other.release(adas.lease),
    "summary": lambda other, adas: other.summary(adas.conversation, 5),
    "add_summary": lambda other, adas: other.add_summary(
        adas.conversation, SummaryRecord(through=1, text="x", trust="user")
    ),
    "add_memory": lambda other, adas: other.add_memory(memory("mine", turn_id=adas.turn)),
    "set_memory_vectors": lambda other, adas: other.set_memory_vectors("e", {adas.memory: unit(0, 1)}),
    "remove_memory": lambda other, adas: other.remove_memory(adas.memory),
}

# They give something to Ada and nothing to anybody else.
_LISTS: Final[dict[str, _Attempt]] = {
    "conversations": lambda other, adas: other.conversations(),
    "latest_conversation": lambda other, adas: other.latest_conversation(),
    "memories": lambda other, adas: other.memories(),
    "files": lambda other, adas: other.files(),
    "memory": lambda other, adas: other.memory([adas.memory]),
    "memory_vectors": lambda other, adas: other.memory_vectors("encoder-a")[0],
    "memory_changes": lambda other, adas: other.memory_changes("encoder-a").ids,
    "stop_requested": lambda other, adas: not other.stop_requested(adas.lease),
}

# `under` gives a store of the same user; what that one refuses, and what `erase` leaves alone, is checked below.
_HARMLESS: Final = {"new_conversation", "save_file", "tenant", "user", "under", "erase"}

_OTHERS: Final = (("shop", "ben"), ("other shop", "ada"), ("", "ada"), ("shop", "ADA"), ("shop", "ada "))


@of_a_store
def _an_id_of_somebody_else_does_not_exist(store: Store) -> None:
    ada = store.for_user("shop", "ada")
    adas = _things_of(ada)
    before = list(_everything_of(ada, adas))
    for name, attempt in _WITH_ID.items():
        for whose in _OTHERS:
            other = store.for_user(*whose)
            for tried in (other, other.under(adas.lease)):
                with refused(RecordNotFound):
                    attempt(tried, adas)
        assert list(_everything_of(ada, adas)) == before, name


@of_a_store
def _a_list_holds_nothing_of_somebody_else(store: Store) -> None:
    adas = _things_of(store.for_user("shop", "ada"))
    for name, attempt in _LISTS.items():
        assert attempt(store.for_user("shop", "ada"), adas), name
        for whose in _OTHERS:
            assert not attempt(store.for_user(*whose), adas), name


@of_a_store
def _erasing_and_replacing_touch_nothing_of_somebody_else(store: Store) -> None:
    ada = store.for_user("shop", "ada")
    adas = _things_of(ada)
    before = list(_everything_of(ada, adas))
    for whose in _OTHERS:
        theirs = NewMemory("fact", "mine", "user", 0.5, "", None, replaces=(adas.memory,))
        store.for_user(*whose).add_memory(theirs)
        store.for_user(*whose).erase()
        assert list(_everything_of(ada, adas)) == before


@of_a_store
def _every_method_of_a_user_is_tried(store: Store) -> None:
    public = {name for name, _ in inspect.getmembers(UserStore) if not name.startswith("_")}
    tried = set(_WITH_ID) | set(_LISTS) | _HARMLESS
    assert public == tried, public ^ tried


def _things_of(ada: UserStore) -> _Adas:
    conversation = ada.new_conversation("hers")
    turn = say(ada, conversation, "My sofa is the grey one")
    open_turn = turn_with_started_call(ada)
    waiting = turn_with_written_call(ada, ASKED)
    asked = NewApproval(turn_id=waiting, call=ASKED, effect="write", reasons=())
    leased = ada.new_conversation()
    accepted = ada.accept(leased, user("and my lamp?"), claim_seconds=100)
    assert accepted.claim is not None
    handed_over = ada.new_conversation()
    asks = ada.begin_turn(handed_over, user("a person please"))
    ada.commit_turn(
        asks.id,
        reply=assistant("Somebody comes."),
        events=(),
        memories=(),
        status="done",
        hand_off=NewHandOff(id=asks.id, reason="asked"),
    )
    return _Adas(
        conversation=conversation,
        turn=turn,
        open_turn=open_turn,
        memory=ada.memories()[0].id,
        message=accepted.record.id,
        lease=accepted.claim.lease,
        approval=ada.request_approval(asked).id,
        file=ada.save_file(b"hers", name="hers.txt", media_type="text/plain"),
        hand_off=asks.id,
        handed_over=handed_over,
    )


def _everything_of(ada: UserStore, adas: _Adas) -> Iterator[object]:
    yield ada.conversations()
    yield ada.transcript(adas.conversation)
    yield ada.turns(adas.conversation)
    yield ada.waiting(adas.conversation)
    yield ada.accepted(adas.message)
    yield ada.events(adas.turn)
    yield ada.open_turn(adas.open_turn)
    yield ada.stop_requested(adas.lease)
    yield ada.approval(adas.approval)
    yield ada.file(adas.file)
    yield ada.hand_offs(adas.handed_over)
    yield ada.files()
    yield ada.memories()
    yield ada.memory_changes("encoder-a").mark
