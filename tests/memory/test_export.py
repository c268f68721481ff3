"""A person's data as a value, as JSON that reads back, and as text to read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from agentkit.memory.export import UserExport, as_markdown, export_user
from agentkit.messages import assistant, user
from agentkit.store.hand_off_records import Callback, NewHandOff
from agentkit.store.protocol import NewMemory
from tests.store.samples import open_store, say

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def test_everything_of_a_user_and_nothing_of_others_is_exported(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada, ben = store.for_user("shop", "ada"), store.for_user("shop", "ben")
        conversation = ada.new_conversation("The *sofa*")
        say(ada, conversation, "My sofa is grey", "Noted # one")
        old = ada.memories()[0].id
        ada.add_memory(NewMemory("fact", "My sofa\nis blue", "user", 0.8, "", None, replaces=(old,)))
        ada.begin_turn(conversation, user("it is being answered"))
        ada.accept(ada.new_conversation(), user("it waits"))
        say(ben, ben.new_conversation(), "a secret of ben")
        exported = export_user(ada, NOW)
    assert UserExport.model_validate_json(exported.model_dump_json()) == exported
    assert [len(each.turns) for each in exported.conversations] == [2, 0]
    assert [len(turn.events) for turn in exported.conversations[0].turns] == [2, 0]
    assert "ben" not in exported.model_dump_json()
    text = as_markdown(exported)
    assert text.splitlines()[0] == "# What is kept of ada"
    assert "## Facts (1)" in text
    assert "- My sofa is blue (since" in text
    assert "- My sofa is grey (since" in text
    assert "replaced by a newer one" in text
    assert "The \\*sofa\\*" in text
    assert (
        "- **user**: My sofa is grey\n- **bot**: Noted \\# one\n- **not answered yet**: it is being" in text
    )
    assert "- **not answered yet**: it waits" in text


def test_a_user_without_anything_has_an_empty_export(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        exported = export_user(store.for_user("shop", "nobody"), NOW)
    assert (exported.conversations, exported.memories) == ((), ())
    assert "## Facts (0)" in as_markdown(exported)


def test_what_went_to_a_person_is_in_the_export(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada")
        conversation = ada.new_conversation()
        turn = ada.begin_turn(conversation, user("a person please"))
        new = NewHandOff(id=turn.id, reason="asked for", slots={"order": "1042"})
        ada.commit_turn(turn.id, reply=assistant("Yes."), events=(), memories=(), status="done", hand_off=new)
        taken = ada.take_hand_off(turn.id, by="Anna", seconds=60)
        claim = ada.claim_for_person(taken.id, taken.fence, 60)
        assert claim is not None
        ada.under(claim.lease).commit_turn(
            claim.turn.turn.id,
            reply=assistant("Here I am.", by="Anna"),
            events=(),
            memories=(),
            status="done",
            hand_off=Callback(phone="0151 2345678", when="after five"),
        )
        exported = export_user(ada, NOW)
    assert UserExport.model_validate_json(exported.model_dump_json()) == exported
    (record,) = exported.conversations[0].hand_offs
    assert (record.slots, record.person) == ({"order": "1042"}, "Anna")
    text = as_markdown(exported)
    assert "- **Anna**: Here I am." in text
    assert "- **went to a person**: asked for, call 0151 2345678 after five" in text
