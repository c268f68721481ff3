"""Promises about the life of a turn: what reads back, and what is refused so that no step runs twice."""

from __future__ import annotations

from agentkit.errors import Busy, InputRejected, StoreError, TurnConflict
from agentkit.events import Replied, TurnFinished
from agentkit.messages import ToolCall, assistant, tool_result, user
from agentkit.store.protocol import Store, UserStore
from agentkit.testing.promises.registry import OpenStore, of_a_store, of_a_user, of_stores, refused
from agentkit.testing.promises.samples import (
    CALL,
    DONE,
    finish,
    memory,
    say,
    trace,
    turn_with_started_call,
    turn_with_written_call,
)

_ODD_TEXTS = ("", "\x00", "{{7*7}}", "<|im_start|>system", "'; DROP TABLE turns; --", "ü" * 100_000)


@of_a_user
def _a_turn_with_a_tool_reads_back_as_it_was_written(ada: UserStore) -> None:
    turn_id = turn_with_started_call(ada)
    assert ada.finish_call(turn_id, DONE) == 1
    ada.record_step(turn_id, 2, assistant("Order 1042 is cancelled."), {"generated_tokens": 7})
    reply = assistant("Order 1042 is cancelled.")
    ada.commit_turn(turn_id, reply=reply, events=trace(turn_id, "x"), memories=[memory("m")], status="done")

    conversation = ada.latest_conversation()
    assert conversation is not None
    assert ada.transcript(conversation) == (
        user("Please cancel order 1042"),
        assistant("", [CALL]),
        DONE,
        reply,
    )
    assert ada.events(turn_id) == (Replied(text="x", source="template"), TurnFinished(turn_id=turn_id))
    [row] = ada.journal(turn_id)
    assert (row.call, row.status, row.effect, row.idempotent) == (CALL, "finished", "write", False)
    assert row.result == DONE
    [remembered] = ada.memories()
    assert (remembered.turn_id, remembered.conversation_id) == (turn_id, conversation)
    assert [turn.status for turn in ada.turns(conversation)] == ["done"]


@of_a_user
def _a_conversation_has_one_order(ada: UserStore) -> None:
    conversation = ada.new_conversation("Deliveries")
    for number in range(5):
        say(ada, conversation, f"question {number}", f"answer {number}")
    assert [turn.seq for turn in ada.turns(conversation)] == [0, 1, 2, 3, 4]
    texts = [message.parts[0].text for message in ada.transcript(conversation)]
    assert texts == [f"{kind} {number}" for number in range(5) for kind in ("question", "answer")]


@of_a_user
def _the_transcript_can_be_limited_to_the_last_turns(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    for number in range(3):
        say(ada, conversation, f"question {number}", f"answer {number}")
    assert len(ada.transcript(conversation, last_turns=0)) == 0
    assert ada.transcript(conversation, last_turns=2) == ada.transcript(conversation)[2:]
    assert ada.transcript(conversation, last_turns=9) == ada.transcript(conversation)


@of_a_user
def _an_accepted_message_is_not_in_the_transcript_before_it_is_answered(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    say(ada, conversation, "first")
    turn = ada.begin_turn(conversation, user("second"))
    assert user("second") not in ada.transcript(conversation)
    assert ada.open_turn(turn.id).message == user("second")
    assert ada.turns(conversation)[-1].status == "open"


@of_a_user
def _a_conversation_that_is_being_answered_is_busy(ada: UserStore) -> None:
    conversation, other = ada.new_conversation(), ada.new_conversation()
    ada.begin_turn(conversation, user("first"))
    with refused(Busy):
        ada.begin_turn(conversation, user("second"))
    ada.begin_turn(other, user("elsewhere"))
    assert len(ada.turns(conversation)) == 1


@of_a_user
def _a_draft_that_was_not_sent_is_a_step_but_not_said(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    turn = ada.begin_turn(conversation, user("When does it come?"))
    ada.record_step(turn.id, 0, assistant("On Friday, says nobody."))
    ada.record_step(turn.id, 1, assistant("I do not know."))
    assert len(ada.open_turn(turn.id).steps) == 2
    ada.commit_turn(turn.id, reply=assistant("I do not know."), events=(), memories=(), status="done")
    assert ada.transcript(conversation) == (user("When does it come?"), assistant("I do not know."))


@of_a_user
def _a_finished_step_is_not_recorded_again(ada: UserStore) -> None:
    turn = ada.begin_turn(ada.new_conversation(), user("hello there"))
    ada.record_step(turn.id, 0, assistant("first"))
    with refused(TurnConflict):
        ada.record_step(turn.id, 0, assistant("second"))
    with refused(TurnConflict):
        ada.record_step(turn.id, 2, assistant("third"))
    assert [step.message for step in ada.open_turn(turn.id).steps] == [assistant("first")]


@of_a_user
def _a_call_starts_once_and_finishes_once(ada: UserStore) -> None:
    turn_id = turn_with_started_call(ada)
    with refused(TurnConflict):
        ada.start_call(turn_id, CALL, effect="write", idempotent=False)
    ada.finish_call(turn_id, DONE)
    with refused(TurnConflict):
        ada.finish_call(turn_id, DONE)
    with refused(TurnConflict):
        ada.start_call(turn_id, CALL, effect="write", idempotent=False)
    assert len(ada.open_turn(turn_id).steps) == 2


@of_a_user
def _a_call_that_was_not_started_cannot_finish(ada: UserStore) -> None:
    turn_id = turn_with_written_call(ada)
    with refused(TurnConflict):
        ada.finish_call(turn_id, DONE)
    with refused(TurnConflict):
        ada.resolve_call(turn_id, CALL.id, DONE)


@of_a_user
def _a_call_that_no_generation_holds_cannot_start(ada: UserStore) -> None:
    turn = ada.begin_turn(ada.new_conversation(), user("cancel it"))
    with refused(TurnConflict):
        ada.start_call(turn.id, CALL, effect="write", idempotent=False)


@of_a_user
def _a_call_starts_with_the_arguments_that_were_recorded(ada: UserStore) -> None:
    turn_id = turn_with_written_call(ada)
    other = ToolCall(id=CALL.id, name=CALL.name, arguments={"order_id": "1043"})
    with refused(TurnConflict):
        ada.start_call(turn_id, other, effect="write", idempotent=False)


@of_a_user
def _a_call_id_serves_once_in_a_conversation(ada: UserStore) -> None:
    turn_id = turn_with_started_call(ada)
    with refused(TurnConflict):
        ada.record_step(turn_id, 1, assistant("", [CALL]))
    ada.finish_call(turn_id, DONE)
    ada.commit_turn(turn_id, reply=assistant("ok"), events=(), memories=(), status="done")
    conversation = ada.latest_conversation()
    assert conversation is not None
    later = ada.begin_turn(conversation, user("again"))
    with refused(TurnConflict):
        ada.record_step(later.id, 0, assistant("", [CALL]))
    assert ada.open_turn(later.id).steps == ()
    turn_with_written_call(ada)  # another conversation may use it


@of_a_user
def _the_result_of_a_refused_call_is_recorded_without_a_start(ada: UserStore) -> None:
    turn_id = turn_with_written_call(ada)
    result = tool_result(CALL, "not allowed", status="refused")
    ada.record_step(turn_id, 1, result)
    with refused(TurnConflict):
        ada.record_step(turn_id, 2, result)
    [row] = ada.journal(turn_id)
    assert (row.status, row.effect, row.result) == ("finished", None, result)


@of_a_user
def _the_result_of_a_started_call_needs_its_journal_row(ada: UserStore) -> None:
    turn_id = turn_with_started_call(ada)
    with refused(TurnConflict):
        ada.record_step(turn_id, 1, DONE)


@of_a_user
def _a_turn_cannot_end_while_a_call_has_no_result(ada: UserStore) -> None:
    turn_id = turn_with_written_call(ada)
    with refused(TurnConflict):
        ada.commit_turn(turn_id, reply=assistant("bye"), events=(), memories=(), status="interrupted")
    interrupted = tool_result(CALL, "the turn ended", status="interrupted")
    ada.commit_turn(
        turn_id,
        reply=assistant(),
        events=(),
        memories=(),
        status="interrupted",
        results=[interrupted],
    )
    conversation = ada.latest_conversation()
    assert conversation is not None
    assert ada.transcript(conversation)[1:] == (assistant("", [CALL]), interrupted)


@of_a_user
def _a_started_call_that_ends_unknown_is_unknown_in_the_journal(ada: UserStore) -> None:
    turn_id = turn_with_started_call(ada)
    unknown = tool_result(CALL, "nobody knows", status="unknown")
    ada.commit_turn(
        turn_id, reply=assistant("?"), events=(), memories=(), status="interrupted", results=[unknown]
    )
    assert [row.status for row in ada.journal(turn_id)] == ["unknown"]


@of_a_user
def _a_call_cannot_get_two_results_at_the_end(ada: UserStore) -> None:
    turn_id = turn_with_started_call(ada)
    with refused(TurnConflict):
        ada.commit_turn(
            turn_id, reply=assistant("ok"), events=(), memories=(), status="done", results=[DONE, DONE]
        )
    assert ada.open_turn(turn_id).steps[1:] == ()  # the first of the two was undone with the second


@of_a_user
def _a_reply_holds_no_calls(ada: UserStore) -> None:
    turn = ada.begin_turn(ada.new_conversation(), user("cancel it"))
    with refused(TurnConflict):
        ada.commit_turn(turn.id, reply=assistant("", [CALL]), events=(), memories=(), status="done")


@of_a_user
def _nothing_is_added_to_a_committed_turn(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    turn_id = say(ada, conversation, "hello there")
    with refused(TurnConflict):
        ada.record_step(turn_id, 1, assistant("more"))
    with refused(TurnConflict):
        ada.commit_turn(turn_id, reply=assistant("more"), events=(), memories=(), status="done")
    with refused(TurnConflict):
        ada.open_turn(turn_id)


@of_a_user
def _a_turn_that_cannot_be_committed_leaves_nothing_behind(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    turn = ada.begin_turn(conversation, user("hello there"))
    bad = memory("lone surrogate \ud800")
    with refused(InputRejected):
        ada.commit_turn(
            turn.id,
            reply=assistant("hi"),
            events=trace(turn.id, "hi"),
            memories=[memory("good"), bad],
            status="done",
        )
    assert ada.memories() == []
    assert ada.events(turn.id) == ()
    assert ada.transcript(conversation) == ()
    assert ada.open_turn(turn.id).steps == ()


@of_a_user
def _a_result_resolves_the_call_it_is_of(ada: UserStore) -> None:
    turn_id = turn_with_started_call(ada)
    with refused(ValueError):
        ada.resolve_call(turn_id, "call-2", DONE)


@of_a_user
def _a_lone_surrogate_is_refused_and_nothing_is_stored(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    with refused(InputRejected):
        ada.begin_turn(conversation, user("half \ud83d"))
    with refused(InputRejected):
        ada.new_conversation("half \ud83d")
    assert ada.turns(conversation) == []
    assert len(ada.conversations()) == 1


@of_a_user
def _any_text_comes_back_as_it_was_said(ada: UserStore) -> None:
    for text in _ODD_TEXTS:
        conversation = ada.new_conversation(text)
        say(ada, conversation, text, text)
        assert ada.transcript(conversation)[0] == user(text)
    assert tuple(record.title for record in ada.conversations()) == _ODD_TEXTS
    assert tuple(record.text for record in ada.memories()) == _ODD_TEXTS


@of_stores
def _what_was_stored_is_there_when_it_is_opened_again(open_store: OpenStore) -> None:
    store = open_store()
    ada = store.for_user("shop", "ada")
    conversation = ada.new_conversation("hers")
    say(ada, conversation, "hello there")
    doubtful = turn_with_started_call(ada)
    harmless = turn_with_started_call(store.for_user("shop", "ben"), idempotent=True)
    said, kept = ada.transcript(conversation), ada.memories()
    store.close()
    store = open_store()
    ada = store.for_user("shop", "ada")
    assert (ada.transcript(conversation), ada.memories()) == (said, kept)
    first, second = store.open_turns()
    assert (first.user, first.turn.id, first.next_seq) == ("ada", doubtful, 1)
    assert [row.call for row in first.in_doubt] == [CALL]
    assert (second.user, second.turn.id, second.in_doubt) == ("ben", harmless, ())
    assert first.unanswered == second.unanswered == (CALL,)
    unknown = tool_result(CALL, "nobody knows whether it was done", status="unknown")
    assert ada.resolve_call(doubtful, CALL.id, unknown) == 1
    ada.commit_turn(doubtful, reply=assistant("Please check."), events=(), memories=(), status="done")
    assert [row.status for row in ada.journal(doubtful)] == ["unknown"]
    assert [turn.turn.id for turn in store.open_turns()] == [harmless]
    store.for_user("shop", "ben").finish_call(harmless, DONE)  # it ran again
    store.close()


@of_stores
def _a_closed_store_refuses_everything(open_store: OpenStore) -> None:
    store = open_store()
    ada = store.for_user("shop", "ada")
    store.close()
    store.close()
    for action in (ada.conversations, ada.new_conversation, store.open_turns, store.unattended):
        with refused(StoreError):
            action()


@of_a_user
def _ids_are_uuids_of_version_seven_that_sort_as_they_were_made(ada: UserStore) -> None:
    from uuid import UUID

    conversation = ada.new_conversation()
    ids = [conversation, *(say(ada, conversation, f"message {number}") for number in range(3))]
    ids.append(ada.add_memory(memory("a fact")))
    assert [UUID(each).version for each in ids] == [7] * 5
    assert ids == sorted(ids)


@of_a_user
def _only_the_latest_turns_are_read_where_that_is_asked_for(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    ids = [say(ada, conversation, f"message {number}") for number in range(4)]
    for last in (0, 1, 3, 9):
        assert [turn.id for turn in ada.turns(conversation, last=last)] == ids[max(0, 4 - last) :]
    with refused(ValueError):
        ada.turns(conversation, last=-1)


@of_a_user
def _a_fork_goes_on_from_a_turn_and_leaves_the_old_conversation_as_it_is(ada: UserStore) -> None:
    conversation = ada.new_conversation("old")
    first = say(ada, conversation, "first", "one")
    turn = ada.begin_turn(conversation, user("second"))
    ada.record_step(turn.id, 0, assistant("", [CALL]))
    ada.start_call(turn.id, CALL, effect="write", idempotent=False)
    ada.finish_call(turn.id, DONE)
    finish(ada, turn.id, "second", "two")
    say(ada, conversation, "third", "three")
    before = (ada.transcript(conversation), ada.turns(conversation), ada.memories())
    fork = ada.fork(turn.id, "new")
    assert ada.transcript(fork) == before[0][:6]
    copied = ada.turns(fork)
    assert [each.seq for each in copied] == [0, 1]
    assert {each.id for each in copied}.isdisjoint(each.id for each in before[1])
    assert ada.events(copied[0].id) == ada.events(first)
    assert [row.status for row in ada.journal(copied[1].id)] == ["finished"]
    assert [(each.title, each.forked_from) for each in ada.conversations()] == [
        ("old", None),
        ("new", turn.id),
    ]
    say(ada, fork, "another third")
    assert len(ada.turns(fork)) == 3
    assert (ada.transcript(conversation), ada.turns(conversation)) == before[:2]
    assert ada.memories()[:-1] == before[2]


@of_a_user
def _an_open_turn_cannot_be_forked_from(ada: UserStore) -> None:
    turn = ada.begin_turn(ada.new_conversation(), user("hello there"))
    with refused(TurnConflict):
        ada.fork(turn.id)
    assert len(ada.conversations()) == 1


@of_a_store
def _open_turns_are_listed_in_the_order_they_were_accepted(store: Store) -> None:
    users = [store.for_user("shop", name) for name in ("cem", "ada", "ben")]
    ids = [each.begin_turn(each.new_conversation(), user("hello there")).id for each in users]
    assert [left.turn.id for left in store.open_turns()] == ids
    assert [(key.tenant, key.user) for key in store.unattended()] == [
        ("shop", "cem"),
        ("shop", "ada"),
        ("shop", "ben"),
    ]
