"""Promises about memories and their vectors, and how a reader learns that something changed."""

from __future__ import annotations

import numpy

from agentkit.errors import InputRejected, RecordNotFound
from agentkit.messages import user
from agentkit.store.protocol import ErasedKinds, NewMemory, Retention, Store, SummaryRecord, UserStore
from agentkit.store.records import MemoryMark
from agentkit.testing.promises.registry import of_a_store, of_a_user, refused
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
def _a_replaced_memory_is_kept_as_history_and_stays_replaced(ada: UserStore) -> None:
    old = ada.add_memory(NewMemory("fact", "I live in Leeds", "user", 0.8, "", None, about="live in"))
    new = ada.add_memory(
        NewMemory("fact", "I live in York", "user", 0.8, "", None, about="live in", replaces=(old, "no such"))
    )
    ada.add_memory(NewMemory("fact", "something else", "user", 0.8, "", None, replaces=(old,)))
    assert [record.text for record in ada.memories()] == ["I live in York", "something else"]
    [first, *_] = ada.memories(replaced=True)
    assert (first.id, first.replaced_by, first.about) == (old, new, "live in")
    assert [record.replaced_by for record in ada.memory([old, new])] == [new, None]


@of_a_user
def _changes_tell_what_a_search_needs(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    say(ada, conversation, "first")
    say(ada, conversation, "second")
    ada.add_memory(memory("of no turn"))
    heads = ada.memory_changes("encoder-a").heads
    assert [(head.text, head.kind, head.conversation_id, head.turn_seq) for head in heads] == [
        ("first", "message", conversation, 0),
        ("second", "message", conversation, 1),
        ("of no turn", "fact", None, -1),
    ]
    assert [head.created_at for head in heads] == [record.created_at for record in ada.memories()]


@of_a_user
def _the_longest_summary_that_ends_early_enough_is_given(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    assert ada.summary(conversation, 100) is None
    for through in (4, 12, 8):
        ada.add_summary(conversation, SummaryRecord(through=through, text=f"to {through}", trust="user"))
    ada.add_summary(conversation, SummaryRecord(through=8, text="another", trust="user"))
    found = [ada.summary(conversation, through) for through in (3, 4, 8, 11, 12, 100)]
    assert [each.text if each else None for each in found] == [None, "to 4", "to 8", "to 8", "to 12", "to 12"]


@of_a_user
def _an_erased_user_has_nothing_and_can_begin_again(ada: UserStore) -> None:
    conversation = ada.new_conversation("hers")
    say(ada, conversation, "My sofa is grey")
    ada.add_summary(conversation, SummaryRecord(through=1, text="a sofa", trust="user"))
    ada.accept(ada.new_conversation(), user("it waits"))
    mark = ada.memory_changes("encoder-a").mark
    receipt = ada.erase()
    assert receipt.remnants == ()
    counts = receipt.erased
    assert (counts.conversations, counts.turns, counts.waiting, counts.summaries) == (2, 1, 1, 1)
    assert (counts.steps, counts.events, counts.messages, counts.facts) == (1, 2, 1, 0)
    assert (ada.conversations(), ada.memories(replaced=True)) == ([], [])
    with refused(RecordNotFound):
        ada.transcript(conversation)
    say(ada, ada.new_conversation(), "hello again")
    changes = ada.memory_changes("encoder-a", mark)
    assert (changes.complete, len(changes.ids)) == (True, 1)


@of_a_store
def _only_what_is_old_expires(store: Store) -> None:
    ada = store.for_user("shop", "ada")
    say(ada, ada.new_conversation(), "My sofa is grey")
    old = ada.add_memory(NewMemory("fact", "I live in Leeds", "user", 0.8, "", None))
    ada.add_memory(NewMemory("fact", "I live in York", "user", 0.8, "", None, replaces=(old,)))
    for kept in (Retention(), Retention(conversations=1, events=1, messages=1, facts=1, replaced=1)):
        assert store.expired(kept) == store.expire(kept).erased == ErasedKinds()
    replaced = Retention(replaced=0)
    assert store.expired(replaced) == store.expire(replaced).erased == ErasedKinds(facts=1)
    events = Retention(events=0)
    assert store.expired(events) == store.expire(events).erased == ErasedKinds(events=2)
    everything = Retention(conversations=0, messages=0, facts=0)
    counts = ErasedKinds(conversations=1, turns=1, steps=1, messages=1, facts=1)
    assert store.expired(everything) == store.expire(everything).erased == counts
    assert (ada.conversations(), ada.memories()) == ([], [])


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


@of_a_store
def _the_users_of_whom_something_is_remembered_are_listed(store: Store) -> None:
    for tenant, name in (("shop", "ben"), ("shop", "ada"), ("café", "ada")):
        store.for_user(tenant, name).add_memory(memory("a"))
    gone = store.for_user("shop", "cy").add_memory(memory("a"))
    store.for_user("shop", "cy").remove_memory(gone)
    store.for_user("shop", "dora").new_conversation()
    assert store.remembered_users() == [("café", "ada"), ("shop", "ada"), ("shop", "ben")]


@of_a_user
def _memories_are_found_by_id_with_those_that_were_replaced_or_without(ada: UserStore) -> None:
    old = ada.add_memory(memory("a"))
    new = ada.add_memory(NewMemory("fact", "b", "user", 0.5, "", None, replaces=(old,)))
    assert [record.id for record in ada.memory([old, new])] == [old, new]
    assert [record.id for record in ada.memory([old, new], replaced=False)] == [new]


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
