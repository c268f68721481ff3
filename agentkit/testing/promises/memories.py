"""Promises about memories and their vectors, and how a reader learns that something changed."""

from __future__ import annotations

import numpy

from agentkit.errors import InputRejected, RecordNotFound
from agentkit.store.protocol import NewMemory, UserStore
from agentkit.store.records import MemoryMark
from agentkit.testing.promises.registry import of_a_user, refused
from agentkit.testing.promises.samples import memory, say, unit


@of_a_user
def _a_memory_reads_back_with_its_vector_and_its_trust(ada: UserStore) -> None:
    vector = unit(0.1, -0.7, 0.3)
    memory_id = ada.add_memory(NewMemory("fact", "the sofa is grey", "untrusted", 0.25, "e1", vector))
    [record] = ada.memory([memory_id])
    assert (record.kind, record.text, record.trust) == ("fact", "the sofa is grey", "untrusted")
    assert (record.importance, record.encoder_id, record.turn_id) == (0.25, "e1", None)
    ids, vectors = ada.memory_vectors("e1")
    assert ids == (memory_id,)
    assert vectors.dtype == numpy.float32
    numpy.testing.assert_array_equal(vectors, vector[None])


@of_a_user
def _memories_are_listed_oldest_first_and_by_kind(ada: UserStore) -> None:
    for number in range(3):
        ada.add_memory(memory(f"fact {number}"))
    ada.add_memory(NewMemory("message", "a message", "user", 0.1, "encoder-a", unit(1, 1, 1)))
    assert [record.text for record in ada.memories()] == ["fact 0", "fact 1", "fact 2", "a message"]
    assert [record.seq for record in ada.memories()] == [0, 1, 2, 3]
    assert [record.text for record in ada.memories("message")] == ["a message"]


@of_a_user
def _memories_come_in_the_order_asked_and_lost_ones_are_left_out(ada: UserStore) -> None:
    first, second = (ada.add_memory(memory(text)) for text in ("first", "second"))
    assert [record.text for record in ada.memory([second, "no such", first])] == ["second", "first"]


@of_a_user
def _vectors_of_another_encoder_are_left_out_and_counted(ada: UserStore) -> None:
    ada.add_memory(memory("a"))
    ada.add_memory(NewMemory("fact", "b", "user", 0.5, "encoder-b", unit(1, 2)))
    ada.add_memory(NewMemory("fact", "c", "user", 0.5, "", None))
    changes = ada.memory_changes("encoder-a")
    assert (len(changes.ids), changes.vectors.shape, changes.stale) == (1, (1, 3), 2)
    assert ada.memory_vectors("encoder-b")[1].shape == (1, 2)
    assert ada.memory_vectors("encoder-c")[1].shape == (0, 0)


@of_a_user
def _only_what_came_since_a_mark_is_read(ada: UserStore) -> None:
    assert ada.memory_changes("encoder-a").mark == MemoryMark(added=0, rewritten=0)
    ada.add_memory(memory("a"))
    first = ada.memory_changes("encoder-a")
    assert ada.memory_changes("encoder-a", first.mark).ids == ()
    added = ada.add_memory(memory("b"))
    second = ada.memory_changes("encoder-a", first.mark)
    assert (second.ids, second.complete) == ((added,), False)


@of_a_user
def _a_removed_or_rewritten_memory_makes_everything_new(ada: UserStore) -> None:
    first, second = (ada.add_memory(memory(text)) for text in ("first", "second"))
    mark = ada.memory_changes("encoder-a").mark
    ada.remove_memory(first)
    changes = ada.memory_changes("encoder-a", mark)
    assert (changes.complete, changes.ids) == (True, (second,))
    ada.set_memory_vectors("encoder-b", {second: unit(1, 2)})
    assert ada.memory_changes("encoder-a", changes.mark).complete
    assert ada.memory_vectors("encoder-a")[0] == ()
    assert ada.memory_vectors("encoder-b")[0] == (second,)


@of_a_user
def _the_number_of_a_removed_memory_is_not_used_again(ada: UserStore) -> None:
    ids = [ada.add_memory(memory(text)) for text in ("first", "second")]
    ada.remove_memory(ids[-1])
    ada.add_memory(memory("third"))
    assert [record.seq for record in ada.memories()] == [0, 2]
    with refused(RecordNotFound):
        ada.remove_memory(ids[-1])


@of_a_user
def _new_vectors_are_set_for_all_or_for_none(ada: UserStore) -> None:
    first = ada.add_memory(memory("first"))
    with refused(RecordNotFound):
        ada.set_memory_vectors("encoder-b", {first: unit(1, 2), "no such": unit(1, 2)})
    assert ada.memory_vectors("encoder-a")[0] == (first,)


@of_a_user
def _a_memory_of_a_turn_names_its_conversation(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    turn_id = say(ada, conversation, "hello there")
    ada.add_memory(memory("said by a tool", turn_id=turn_id))
    assert {record.conversation_id for record in ada.memories()} == {conversation}
    with refused(RecordNotFound):
        ada.add_memory(memory("of a turn that is not there", turn_id="no such"))


@of_a_user
def _a_memory_that_cannot_be_stored_is_refused(ada: UserStore) -> None:
    with refused(InputRejected):
        ada.add_memory(memory("\ud800"))
    with refused(ValueError):
        NewMemory("fact", "x", "user", 0.5, "", unit(1, 2))
    with refused(ValueError):
        NewMemory("fact", "x", "user", 0.5, "e", None)
    with refused(ValueError):
        NewMemory("fact", "x", "user", 0.5, "e", unit(1, 2)[None])
    assert ada.memories() == []
