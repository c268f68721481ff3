"""Decisions of people about calls: what waits, and going on with a turn when somebody decided."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import get_args

from pydantic import JsonValue

from agentkit.agent.ranking import ToolPool
from agentkit.errors import ConfigurationError, InputRejected, RecordNotFound, ToolRetry
from agentkit.events import Event
from agentkit.messages import ToolEffect
from agentkit.store.call_records import awaits_approval
from agentkit.store.protocol import ApprovalRecord, OpenTurn, Store, TurnRecord, UserStore
from agentkit.tools import validate_arguments


class ApprovalDesk:
    """The calls of an agent that wait for a person; reached as `agent.approvals`.

    A decision is durable before anything runs, is made once, and holds for the arguments that were shown and nothing
    else. It may be made in any process that has the database, at any later time.

    Args:
        store: Where requests are kept.
        tools: To check arguments that a person changes.
        go_on: Finishes an open turn.
    """

    def __init__(self, store: Store, tools: ToolPool, go_on: Callable[[OpenTurn], Iterator[Event]]) -> None:
        self._store = store
        self._tools = tools
        self._go_on = go_on

    def waiting(self, *, user: str | None = None, tenant: str | None = None) -> list[ApprovalRecord]:
        """What waits, oldest first; of one user or tenant, or of all."""
        return [
            each
            for each in self._store.waiting_approvals()
            if user in (None, each.user) and tenant in (None, each.tenant)
        ]

    def approve(
        self,
        approval_id: str,
        *,
        user: str,
        tenant: str = "default",
        by: str = "",
        answer: str = "",
        arguments: Mapping[str, JsonValue] | None = None,
        shown: str | None = None,
    ) -> Iterator[Event]:
        """Let a call run and go on with its turn.

        Args:
            approval_id: The request.
            user, tenant: Whose turn it is; a request of anybody else does not exist here.
            by: Who decides, for the record; empty: the user.
            answer: What they say about it.
            arguments: What the call runs with instead; None: as it was shown.
            shown: Hash of the arguments that the person was shown, where it comes back from a browser, say; None: the
                person was shown what the request says now.

        Returns:
            The events of the rest of the turn; `agentkit.agent.fold` makes a `Reply` of them. The decision is
            durable when this returns, whether or not they are read.

        Raises:
            ApprovalRefused: It was answered before, its turn is over, or `shown` is the hash of other arguments.
            InputRejected: `arguments` do not fit the tool; nothing was decided.
            RecordNotFound: No such request of this user.
        """
        store = self._store.for_user(tenant, user)
        record = store.approval(approval_id)
        settled = record.call.arguments if arguments is None else dict(arguments)
        if arguments is not None:
            self._check(record, settled)
        store.answer_approval(
            approval_id, shown=shown or record.hash, settled=settled, by=by or user, answer=answer
        )
        return self._go_on(store.open_turn(record.turn_id))

    def reject(
        self,
        approval_id: str,
        *,
        user: str,
        tenant: str = "default",
        by: str = "",
        answer: str = "",
        shown: str | None = None,
    ) -> Iterator[Event]:
        """Do not let a call run, and go on with its turn; see `approve`."""
        store = self._store.for_user(tenant, user)
        record = store.approval(approval_id)
        store.answer_approval(
            approval_id, shown=shown or record.hash, settled=None, by=by or user, answer=answer
        )
        return self._go_on(store.open_turn(record.turn_id))

    def _check(self, record: ApprovalRecord, arguments: Mapping[str, JsonValue]) -> None:
        tool = self._tools.get(record.call.name)
        if tool is None:
            raise RecordNotFound(f"This agent has no tool {record.call.name!r} any more.")
        try:
            validate_arguments(tool, arguments)
        except ToolRetry as problem:
            raise InputRejected(
                str(problem), hint="Change the arguments so that they fit the tool."
            ) from problem


def check_rules(approve: Sequence[str], tools: ToolPool) -> None:
    """Refuse a rule that would never ask: a misspelt name would be no approval at all.

    Raises:
        ConfigurationError: A rule names neither a tool nor an effect.
    """
    for name in approve:
        if name not in get_args(ToolEffect) and tools.get(name) is None:
            near = difflib.get_close_matches(name, [*get_args(ToolEffect), *(t.name for t in tools.tools)], 1)
            raise ConfigurationError(
                f"`approve` names {name!r}, which is neither a tool of this agent nor an effect.",
                hint=f"Did you mean {near[0]!r}?" if near else "Name a tool, or one of read, write, egress.",
            )


def refuse_if_waiting(store: UserStore, turn: TurnRecord, outcome: str) -> None:
    """Refuse to go on with an open turn that waits for a person.

    Args:
        store: The user's part of the store.
        turn: An open turn.
        outcome: For the message: what became of what was wanted.

    Raises:
        AwaitsApproval: It does.
    """
    waiting = tuple(each.id for each in store.approvals(turn.id) if each.status == "waiting")
    if waiting:
        raise awaits_approval(turn.conversation_id, waiting, outcome)
