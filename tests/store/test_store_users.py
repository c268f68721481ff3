"""Nobody reaches anything of anybody else: tried with every method that takes an id."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from agentkit.errors import RecordNotFound
from agentkit.messages import assistant, user
from agentkit.store.protocol import NewApproval, UserStore
from agentkit.store.records import arguments_hash
from agentkit.store.sqlite_store import SqliteStore
from tests.store.samples import (
    CALL,
    DONE,
    memory,
    open_store,
    say,
    turn_with_started_call,
    turn_with_written_call,
    unit,
)

ASKED: Final = CALL.model_copy(update={"id": "asked"})


@dataclass(frozen=True)
class Adas:
    """Ids of things that belong to Ada of tenant `shop`."""

    conversation: str
    turn: str
    open_turn: str
    memory: str
    approval: str
    file: str


Attempt = Callable[[UserStore, Adas], object]

ATTEMPTS: Final[dict[str, Attempt]] = {
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
    "approvals": lambda other, adas: other.approvals(adas.open_turn),
    "approval": lambda other, adas: other.approval(adas.approval),
    "answer_approval": lambda other, adas: other.answer_approval(
        adas.approval, shown=arguments_hash(CALL.name, CALL.arguments), settled=CALL.arguments, by="mallory"
    ),
    "use_approval": lambda other, adas: other.use_approval(adas.open_turn, CALL.id, CALL.arguments),
    "file": lambda other, adas: other.file(adas.file),
    "transcript": lambda other, adas: other.transcript(adas.conversation),
    "turns": lambda other, adas: other.turns(adas.conversation),
    "events": lambda other, adas: other.events(adas.turn),
    "journal": lambda other, adas: other.journal(adas.turn),
    "add_memory": lambda other, adas: other.add_memory(memory("mine", turn_id=adas.turn)),
    "set_memory_vectors": lambda other, adas: other.set_memory_vectors("e", {adas.memory: unit(0, 1)}),
    "remove_memory": lambda other, adas: other.remove_memory(adas.memory),
}

# They take no id; what they give is compared below.
WITHOUT_ID: Final[dict[str, Callable[[UserStore, Adas], object]]] = {
    "conversations": lambda other, adas: other.conversations(),
    "latest_conversation": lambda other, adas: other.latest_conversation(),
    "memories": lambda other, adas: other.memories(),
    "memory": lambda other, adas: other.memory([adas.memory]),
    "memory_vectors": lambda other, adas: other.memory_vectors("encoder-a")[0],
    "memory_changes": lambda other, adas: other.memory_changes("encoder-a").ids,
}
ALLOWED: Final = {"new_conversation", "save_file", "tenant", "user"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with open_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def adas(store: SqliteStore) -> Adas:
    ada = store.for_user("shop", "ada")
    conversation = ada.new_conversation("hers")
    waiting = turn_with_written_call(ada, ASKED)
    request = NewApproval(turn_id=waiting, call=ASKED, effect="write", reasons=())
    return Adas(
        conversation=conversation,
        turn=say(ada, conversation, "My sofa is the grey one"),
        open_turn=turn_with_started_call(ada),
        memory=ada.memories()[0].id,
        approval=ada.request_approval(request).id,
        file=ada.save_file(b"hers", name="hers.txt", media_type="text/plain"),
    )


OTHERS: Final = [("shop", "ben"), ("other shop", "ada"), ("", "ada"), ("shop", "ADA"), ("shop", "ada ")]


@pytest.mark.parametrize("method", ATTEMPTS)
def test_an_id_of_somebody_else_does_not_exist(store: SqliteStore, adas: Adas, method: str) -> None:
    before = list(everything_of(store.for_user("shop", "ada"), adas))
    for other in OTHERS:
        with pytest.raises(RecordNotFound):
            ATTEMPTS[method](store.for_user(*other), adas)
    assert list(everything_of(store.for_user("shop", "ada"), adas)) == before


@pytest.mark.parametrize("method", WITHOUT_ID)
def test_a_list_holds_nothing_of_somebody_else(store: SqliteStore, adas: Adas, method: str) -> None:
    assert WITHOUT_ID[method](store.for_user("shop", "ada"), adas)
    for other in OTHERS:
        assert not WITHOUT_ID[method](store.for_user(*other), adas)


def test_every_method_of_a_user_store_is_tried() -> None:
    public = {name for name, _ in inspect.getmembers(UserStore) if not name.startswith("_")}
    assert public == set(ATTEMPTS) | set(WITHOUT_ID) | ALLOWED


def test_knowledge_belongs_to_a_tenant(store: SqliteStore) -> None:
    store.knowledge("shop").replace_document("returns.md", "hash", [], encoder_id="e")
    assert store.knowledge("other shop").documents() == []
    assert store.knowledge("shop", "internal").documents() == []
    with pytest.raises(RecordNotFound):
        store.knowledge("other shop").remove_document("returns.md")


def everything_of(ada: UserStore, adas: Adas) -> Iterator[object]:
    yield ada.conversations()
    yield ada.transcript(adas.conversation)
    yield ada.turns(adas.conversation)
    yield ada.events(adas.turn)
    yield ada.open_turn(adas.open_turn)
    yield ada.memories()
    yield ada.memory_changes("encoder-a").mark
