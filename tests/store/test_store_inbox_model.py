"""Random senders and workers at one inbox, compared with a model: order, merging, retries, leases that are lost."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agentkit.errors import AwaitsApproval, Busy, InputRejected, LeaseLost
from agentkit.messages import ToolCall, User, assistant, text_of, tool_result, user
from agentkit.store.protocol import BusyPolicy, Claim, Lease, NewApproval, UserStore
from agentkit.store.sqlite_store import SqliteStore

_SECONDS = 60.0
_ROOM = 3
_POLICIES: tuple[BusyPolicy, ...] = ("enqueue", "merge", "interrupt", "reject")


@dataclass
class Sent:
    """An accepted message: how it was sent, and the number of its turn once it has one."""

    id: str
    text: str
    name: str | None
    policy: BusyPolicy
    turn: int | None = None


@dataclass
class Talk:
    """A conversation: its messages, its turns as (id, what was said, whether it is over), and its newest lease.

    Args:
        id: The store's id.
        fence: Number of the newest lease.
        until: When it ends; 0: it was given back.
        stop: Whether its holder was asked to stop.
        asked: The request about the open turn that a person has to answer.
    """

    id: str
    sent: list[Sent] = field(default_factory=list)
    turns: list[tuple[str, str, bool]] = field(default_factory=list)
    fence: int = 0
    until: float = 0.0
    stop: bool = False
    asked: str | None = None

    @property
    def waiting(self) -> list[Sent]:
        return [each for each in self.sent if each.turn is None]

    @property
    def is_open(self) -> bool:
        return bool(self.turns) and not self.turns[-1][2]


class InboxMachine(RuleBasedStateMachine):
    """Drives two stores on one file, as two workers would, at a clock that only this test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now = 100.0
        self.stores = [self.opened(), self.opened()]
        self.talks = [Talk(self.ada(0).new_conversation()) for _ in range(2)]
        self.leases: list[tuple[Talk, Lease]] = []
        self.made = 0

    def opened(self) -> SqliteStore:
        return SqliteStore.open(self.folder / "agentkit.db", busy_timeout=0.2, ticks=lambda: self.now)

    def ada(self, worker: int) -> UserStore:
        return self.stores[worker].for_user("shop", "ada")

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        shutil.rmtree(self.folder)

    def is_held(self, talk: Talk) -> bool:
        return talk.until > self.now

    @rule(
        worker=st.integers(0, 1),
        which=st.integers(0, 1),
        policy=st.sampled_from(_POLICIES),
        named=st.booleans(),
        claims=st.booleans(),
    )
    def send(self, worker: int, which: int, policy: BusyPolicy, named: bool, claims: bool) -> None:
        talk, text = self.talks[which], f"message {self.made}"
        held, waits = self.is_held(talk), len(talk.waiting)
        name = f"m-{self.made}" if named else None
        try:
            accepted = self.ada(worker).accept(
                talk.id,
                user(text),
                client_msg_id=name,
                policy=policy,
                room=_ROOM,
                claim_seconds=_SECONDS if claims else None,
            )
        except AwaitsApproval:
            assert talk.asked is not None
            return
        except Busy:
            assert (held and policy == "reject") or waits >= _ROOM
            return
        assert talk.asked is None
        assert not (held and policy == "reject")
        assert waits < _ROOM
        self.made += 1
        talk.sent.append(Sent(accepted.record.id, text, name, policy))
        talk.stop |= held and policy == "interrupt"
        assert accepted.record.seq == len(talk.sent) - 1
        if claims and not held:
            assert accepted.claim is not None
            self.claimed(talk, accepted.claim)
        else:
            assert accepted.claim is None
        mine = talk.sent[-1]
        assert accepted.record.turn_id == (None if mine.turn is None else talk.turns[mine.turn][0])

    def claimed(self, talk: Talk, claim: Claim) -> None:
        """What a claim must be: the turn that was left open, or one of what waits longest."""
        if not talk.is_open:
            taken = talk.waiting[:1]
            for each in talk.waiting[1:]:
                if each.policy != "merge":
                    break
                taken.append(each)
            for each in taken:
                each.turn = len(talk.turns)
            talk.turns.append((claim.turn.turn.id, "\n".join(each.text for each in taken), False))
        assert (claim.turn.turn.id, text_of(claim.turn.message)) == talk.turns[-1][:2]
        assert claim.turn.turn.seq == len(talk.turns) - 1
        assert claim.lease.fence == talk.fence + 1
        talk.fence, talk.until, talk.stop = claim.lease.fence, self.now + _SECONDS, False
        self.leases.append((talk, claim.lease))

    @precondition(lambda self: any(each.name for talk in self.talks for each in talk.sent))
    @rule(data=st.data(), worker=st.integers(0, 1), same=st.booleans(), claims=st.booleans())
    def send_again(self, data: st.DataObject, worker: int, same: bool, claims: bool) -> None:
        named = [(talk, each) for talk in self.talks for each in talk.sent if each.name]
        talk, known = data.draw(st.sampled_from(named))
        seconds = _SECONDS if claims else None
        text = known.text if same else "something else"
        try:
            again = self.ada(worker).accept(
                talk.id, user(text), client_msg_id=known.name, policy="reject", room=0, claim_seconds=seconds
            )
        except InputRejected:
            assert not same
            return
        assert same
        assert (again.again, again.claim, again.record.id) == (True, None, known.id)

    @rule(worker=st.integers(0, 1), which=st.integers(0, 1))
    def claim(self, worker: int, which: int) -> None:
        talk = self.talks[which]
        try:
            claim = self.ada(worker).claim(talk.id, _SECONDS)
        except Busy:
            assert self.is_held(talk)
            return
        assert not self.is_held(talk)
        if talk.is_open or talk.waiting:
            assert claim is not None
            self.claimed(talk, claim)
        else:
            assert claim is None

    @precondition(lambda self: self.leases)
    @rule(
        data=st.data(),
        worker=st.integers(0, 1),
        action=st.sampled_from(["finish", "finish", "release", "ask"]),
    )
    def use_a_lease(self, data: st.DataObject, worker: int, action: str) -> None:
        """Somebody who has, or once had, a lease: only the newest one counts, and only until it is given back."""
        talk, lease = data.draw(st.sampled_from(self.leases[-4:]))
        is_mine = lease.fence == talk.fence and talk.until > 0
        if action == "release":
            self.ada(worker).release(lease)
            talk.until = 0.0 if is_mine else talk.until
            return
        mine = self.ada(worker).under(lease)
        turn = talk.turns[-1][0]
        try:
            if action == "ask" and talk.asked is None:
                self.ask(mine, talk, turn)
                mine.release(lease)
                talk.until = 0.0
            else:
                self.finish(mine, talk, turn)
        except LeaseLost:
            assert not is_mine
            return
        assert is_mine

    def ask(self, mine: UserStore, talk: Talk, turn: str) -> None:
        step = len(mine.open_turn(turn).steps) if talk.is_open else 0
        call = ToolCall(id=f"{turn}.{step}", name="cancel")
        mine.record_step(turn, step, assistant("", [call]))
        request = NewApproval(turn_id=turn, call=call, effect="write", reasons=())
        talk.asked = mine.request_approval(request).id

    def finish(self, mine: UserStore, talk: Talk, turn: str) -> None:
        left = mine.open_turn(turn).unanswered if talk.is_open else ()
        results = [tool_result(call, "ended", status="interrupted") for call in left]
        mine.commit_turn(
            turn, reply=assistant("done"), events=(), memories=(), status="done", results=results
        )
        talk.turns[-1] = (*talk.turns[-1][:2], True)
        talk.until, talk.asked = 0.0, None

    @precondition(lambda self: any(talk.asked for talk in self.talks))
    @rule(worker=st.integers(0, 1))
    def a_person_decides(self, worker: int) -> None:
        talk = next(talk for talk in self.talks if talk.asked)
        record = self.ada(worker).approval(talk.asked or "")
        self.ada(worker).answer_approval(record.id, shown=record.hash, settled=None, by="ben")
        talk.asked = None

    @rule(seconds=st.sampled_from([1.0, _SECONDS]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(worker=st.integers(0, 1))
    def restart(self, worker: int) -> None:
        self.stores[worker].close()
        self.stores[worker] = self.opened()

    @invariant()
    def the_inbox_is_what_the_model_says(self) -> None:
        for worker in range(2):
            for talk in self.talks:
                mine = self.ada(worker)
                assert [each.id for each in mine.waiting(talk.id)] == [each.id for each in talk.waiting]
                said = [text_of(each) for each in mine.transcript(talk.id) if isinstance(each, User)]
                assert said == [text for _, text, is_over in talk.turns if is_over]
                assert [(turn.id, turn.status == "done") for turn in mine.turns(talk.id)] == [
                    (turn, is_over) for turn, _, is_over in talk.turns
                ]
                for each in talk.sent:
                    record = mine.accepted(each.id)
                    assert (record.policy, record.client_msg_id) == (each.policy, each.name)
                    assert (record.message is None) == (each.turn is not None)
                    assert record.turn_id == (None if each.turn is None else talk.turns[each.turn][0])
        free = [t.id for t in self.talks if not self.is_held(t) and (t.is_open or t.waiting)]
        assert [key.conversation_id for key in self.stores[0].unattended()] == free
        for talk, lease in self.leases:
            to_stop = lease.fence != talk.fence or talk.stop
            assert self.ada(0).stop_requested(lease) == to_stop


def test_any_senders_and_workers_agree_with_the_model_of_the_inbox() -> None:
    run_state_machine_as_test(
        InboxMachine,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
