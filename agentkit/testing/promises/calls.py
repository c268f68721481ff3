"""Promises about calls that wait for a person, and about files that tools make."""

from __future__ import annotations

import hashlib

from agentkit.errors import ApprovalRefused, InputRejected, LeaseLost, RecordNotFound, TurnConflict
from agentkit.messages import assistant, tool_result, user
from agentkit.store.call_records import NewApproval, arguments_hash
from agentkit.store.protocol import ApprovalRecord, Store, UserStore
from agentkit.testing.promises.registry import OpenStore, of_a_store, of_a_user, of_stores, refused
from agentkit.testing.promises.samples import CALL, turn_with_started_call, turn_with_written_call

_SHOWN = arguments_hash(CALL.name, CALL.arguments)


@of_stores
def _a_request_and_its_answer_survive_the_process(open_store: OpenStore) -> None:
    first = open_store()
    record = _asked(first.for_user("shop", "ada"), {"vip": True})
    assert first.waiting_approvals() == [record]
    first.close()
    second = open_store()
    ada = second.for_user("shop", "ada")
    assert (record.status, record.call, record.hash) == ("waiting", CALL, _SHOWN)
    assert ada.approval(record.id) == record == second.waiting_approvals()[0]
    assert record.profile == {"vip": True}
    answered = ada.answer_approval(record.id, shown=_SHOWN, settled=CALL.arguments, by="boss", answer="fine")
    assert (answered.status, answered.answered_by, answered.answer) == ("approved", "boss", "fine")
    second.close()
    third = open_store()
    assert third.for_user("shop", "ada").approvals(record.turn_id) == [answered]
    assert third.waiting_approvals() == []
    third.close()


@of_a_user
def _a_call_is_asked_for_once(ada: UserStore) -> None:
    record = _asked(ada)
    again = NewApproval(turn_id=record.turn_id, call=CALL, effect="write", reasons=())
    assert ada.request_approval(again) == record
    assert ada.approvals(record.turn_id) == [record]


@of_a_user
def _only_a_call_that_was_written_and_has_not_started_can_be_asked_for(ada: UserStore) -> None:
    started = turn_with_started_call(ada)
    with refused(TurnConflict):
        ada.request_approval(NewApproval(turn_id=started, call=CALL, effect="write", reasons=()))
    other = CALL.model_copy(update={"id": "nobody wrote it"})
    turn = turn_with_written_call(ada)
    with refused(TurnConflict):
        ada.request_approval(NewApproval(turn_id=turn, call=other, effect="write", reasons=()))
    assert ada.approvals(turn) == []


@of_a_user
def _a_decision_is_made_once_and_for_what_was_shown(ada: UserStore) -> None:
    record = _asked(ada)
    with refused(ApprovalRefused):
        ada.answer_approval(record.id, shown="another hash", settled=CALL.arguments, by="boss")
    with refused(InputRejected):
        ada.answer_approval(record.id, shown=_SHOWN, settled=None, by="boss", answer="\ud800")
    assert ada.approval(record.id) == record
    rejected = ada.answer_approval(record.id, shown=_SHOWN, settled=None, by="boss")
    assert (rejected.status, rejected.settled) == ("rejected", None)
    with refused(ApprovalRefused):
        ada.answer_approval(record.id, shown=_SHOWN, settled=CALL.arguments, by="boss")
    with refused(ApprovalRefused):
        ada.use_approval(record.turn_id, CALL.id, CALL.arguments)
    assert ada.approval(record.id) == rejected


@of_a_user
def _an_approval_is_spent_on_the_arguments_that_were_agreed_to(ada: UserStore) -> None:
    record = _asked(ada)
    with refused(ApprovalRefused):
        ada.use_approval(record.turn_id, CALL.id, CALL.arguments)
    changed = {"order_id": "1043"}
    assert ada.answer_approval(record.id, shown=_SHOWN, settled=changed, by="boss").status == "changed"
    with refused(ApprovalRefused):
        ada.use_approval(record.turn_id, CALL.id, CALL.arguments)
    for _ in range(2):  # a crash may come between this and the journal
        ada.use_approval(record.turn_id, CALL.id, changed)
        assert ada.approval(record.id).status == "used"


@of_a_store
def _a_turn_that_is_over_waits_for_nobody(store: Store) -> None:
    ada = store.for_user("shop", "ada")
    record = _asked(ada)
    ended = tool_result(CALL, "It was interrupted.", status="interrupted")
    reply = assistant("Stopped.")
    ada.commit_turn(
        record.turn_id, reply=reply, events=(), memories=(), status="interrupted", results=[ended]
    )
    assert store.waiting_approvals() == []
    with refused(ApprovalRefused):
        ada.answer_approval(record.id, shown=_SHOWN, settled=CALL.arguments, by="boss")


@of_a_user
def _only_the_holder_of_the_lease_asks_and_spends_but_anybody_answers(ada: UserStore) -> None:
    conversation = ada.new_conversation()
    claim = ada.accept(conversation, user("Please cancel order 1042"), claim_seconds=100).claim
    assert claim is not None
    turn, mine = claim.turn.turn.id, ada.under(claim.lease)
    mine.record_step(turn, 0, assistant("", [CALL]))
    request = NewApproval(turn_id=turn, call=CALL, effect="write", reasons=())
    with refused(LeaseLost):
        ada.request_approval(request)
    record = mine.request_approval(request)
    ada.answer_approval(record.id, shown=_SHOWN, settled=CALL.arguments, by="boss")
    with refused(LeaseLost):
        ada.use_approval(turn, CALL.id, CALL.arguments)
    mine.use_approval(turn, CALL.id, CALL.arguments)


@of_stores
def _a_file_is_kept_once_under_the_hash_of_its_content(open_store: OpenStore) -> None:
    first = open_store()
    content = b"\x00\xff not text"
    name = first.for_user("shop", "ada").save_file(content, name="a.bin", media_type="application/x-a")
    assert name == hashlib.sha256(content).hexdigest()
    assert first.for_user("shop", "ada").save_file(content, name="b.bin", media_type="b/b") == name
    first.close()
    second = open_store()
    kept = second.for_user("shop", "ada").file(name)
    assert (kept.content, kept.name, kept.media_type) == (content, "a.bin", "application/x-a")
    with refused(RecordNotFound):
        second.for_user("shop", "ben").file(name)
    second.close()


@of_a_store
def _erasing_takes_approvals_and_files_along(store: Store) -> None:
    ada = store.for_user("shop", "ada")
    record = _asked(ada)
    name = ada.save_file(b"her secret", name="a.txt", media_type="text/plain")
    erased = ada.erase().erased
    assert (erased.approvals, erased.files) == (1, 1)
    assert store.waiting_approvals() == []
    with refused(RecordNotFound):
        ada.approval(record.id)
    with refused(RecordNotFound):
        ada.file(name)


def _asked(ada: UserStore, profile: dict[str, bool] | None = None) -> ApprovalRecord:
    turn = turn_with_written_call(ada)
    return ada.request_approval(
        NewApproval(turn_id=turn, call=CALL, effect="write", reasons=(), profile=dict(profile or {}))
    )
