"""What went to a person is erased from the bytes of the file, too."""

from __future__ import annotations

from pathlib import Path

from agentkit.messages import assistant, user
from agentkit.store.hand_off_records import EndOfHandOff, NewHandOff
from tests.store.samples import open_store


def test_what_went_to_a_person_is_gone_from_the_bytes(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ada = store.for_user("shop", "ada-lovelace")
        turn = ada.begin_turn(ada.new_conversation(), user("a person please"))
        new = NewHandOff(
            id=turn.id,
            reason="secret-of-ada asked",
            summary="secret-of-ada summary",
            slots={"x": "secret-of-ada"},
        )
        ada.commit_turn(turn.id, reply=assistant("Yes."), events=(), memories=(), status="done", hand_off=new)
        taken = ada.take_hand_off(turn.id, by="secret-of-ada person", seconds=100)
        claim = ada.claim_for_person(taken.id, taken.fence, 100)
        assert claim is not None
        ada.under(claim.lease).commit_turn(
            claim.turn.turn.id,
            reply=assistant("secret-of-ada answer", by="secret-of-ada person"),
            events=(),
            memories=(),
            status="done",
            hand_off=EndOfHandOff(outcome="closed", note="secret-of-ada note"),
        )
        receipt = ada.erase()
        assert (receipt.remnants, receipt.erased.hand_offs) == ((), 1)
        assert b"secret-of-ada" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
