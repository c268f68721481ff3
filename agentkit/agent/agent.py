"""The agent: parts wired together, `ask` and `stream`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from agentkit.agent.approval_desk import ApprovalDesk, check_rules, refuse_if_waiting
from agentkit.agent.intake import accept_text
from agentkit.agent.loop import commit, run_turn
from agentkit.agent.ranking import ToolPool
from agentkit.agent.replies import Replies
from agentkit.agent.settings import Settings
from agentkit.agent.turn import Turn, Wiring
from agentkit.errors import Busy, StoreError
from agentkit.events import ArgumentAsked, Declined, Event, Replied, ReplySource, TurnFinished, TurnPaused
from agentkit.intents import Binding, IntentModel
from agentkit.knowledge.answerability import Judge
from agentkit.knowledge.index import KnowledgeIndex
from agentkit.memory import RecallPool
from agentkit.messages import Value, system, text_of, turns_in_window
from agentkit.messages import user as user_message
from agentkit.models.protocols import Encoder, Generator
from agentkit.prompts import PromptLibrary
from agentkit.store.protocol import OpenTurn, Store, UserStore
from agentkit.tools import StaticToolset, Tool, Toolset


class Reply(Value):
    """What `Agent.ask` returns: the fold over the events of a turn.

    Args:
        text: What the user is told.
        source: Where the words come from.
        declined: Whether the bot said that it does not know.
        citations: Ids of the passages, tools or memories that the reply was made from.
        conversation_id: The conversation, to go on with it.
        turn_id: The turn, to read its trace.
        milliseconds: How long the turn took.
        approvals: Ids of what a person has to decide before the turn goes on; empty when it is finished.
    """

    text: str
    source: ReplySource
    declined: bool
    citations: tuple[str, ...]
    conversation_id: str
    turn_id: str
    milliseconds: float
    approvals: tuple[str, ...] = ()


class Agent:
    """A generator that reasons, an encoder that routes and remembers, tools that act, a store that keeps it.

    Args:
        generator: Writes calls and sentences.
        encoder: Embeds messages, tools, passages and memories.
        tools: Functions decorated with `@tool`, or a toolset.
        database: A path for the SQLite file, or a store that is already open.
        instructions: Who the bot is; short for `settings.instructions`.
        intents: A trained intent model; None: every message goes to tools and knowledge.
        bindings: What each intent leads to.
        knowledge: The documents to answer from.
        judge: Decides whether evidence answers a question; None: the judge calibrated for this generator.
        prompts: Prompt templates; None: those that ship.
        reply_folder: Reply templates of the bot.
        settings: Limits and thresholds.
        now: The clock, aware UTC.

    Use it as a context manager, or call `close`.
    """

    def __init__(
        self,
        *,
        generator: Generator,
        encoder: Encoder,
        tools: Sequence[Tool] | Toolset = (),
        database: Path | str | Store = "agentkit.db",
        instructions: str | None = None,
        intents: IntentModel | None = None,
        bindings: Mapping[str, Binding] | None = None,
        knowledge: KnowledgeIndex | None = None,
        judge: Judge | None = None,
        prompts: PromptLibrary | None = None,
        reply_folder: Path | None = None,
        settings: Settings | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        settings = settings or Settings()
        if instructions is not None:
            settings = settings.model_copy(update={"instructions": instructions})
        prompts = prompts or PromptLibrary()
        toolset = StaticToolset(tools) if isinstance(tools, Sequence) else tools
        self._owns_store = isinstance(database, (str, Path))
        self._store = _open_store(database, now) if isinstance(database, (str, Path)) else database
        self._wiring = Wiring(
            generator=generator,
            encoder=encoder,
            tools=ToolPool(toolset, encoder),
            intents=intents,
            bindings=bindings or {},
            knowledge=knowledge,
            judge=judge or Judge.for_models(generator, encoder, prompts),
            prompts=prompts,
            replies=Replies(prompts, reply_folder, settings.contact),
            settings=settings,
            system=system(prompts.render("system", instructions=settings.instructions)),
            now=now,
        )
        check_rules(settings.approve, self._wiring.tools)
        self._recalls = RecallPool(encoder)
        self._running: set[str] = set()  # ids of turns that this process works on
        self.approvals = ApprovalDesk(self._store, self._wiring.tools, self._resumed)

    @property
    def store(self) -> Store:
        """The store of conversations."""
        return self._store

    def ask(
        self,
        text: str,
        *,
        user: str,
        conversation: str | None = None,
        tenant: str = "default",
        profile: Mapping[str, JsonValue] | None = None,
    ) -> Reply:
        """Answer one message; see `stream` for the arguments and errors."""
        return fold(self.stream(text, user=user, conversation=conversation, tenant=tenant, profile=profile))

    def stream(
        self,
        text: str,
        *,
        user: str,
        conversation: str | None = None,
        tenant: str = "default",
        profile: Mapping[str, JsonValue] | None = None,
    ) -> Iterator[Event]:
        """Answer one message as a stream of events.

        Closing the stream early stops the work and leaves a transcript in which every call has a result.

        Args:
            text: What the user says.
            user: Who says it; memories and conversations of other users cannot be reached.
            conversation: A conversation id of this user; None goes on with the latest one, or starts one.
            tenant: Separates customers of a shared installation.
            profile: What the application knows about the user, for tools and stored answers.

        Raises:
            InputRejected: The message is empty or too long; nothing was stored.
            AwaitsApproval: A person has to decide about a call of the last turn first; nothing was stored.
            Busy: The conversation is still answering an earlier message; nothing was stored.
            ContextOverflow: Instructions and message do not fit the model; the message is stored.
            RecordNotFound: No such conversation of this user.
            StoreError: The database cannot be used.
        """
        accepted = accept_text(text, self._wiring.settings.limits.message_characters)
        store = self._store.for_user(tenant, user)
        conversation = conversation or store.latest_conversation() or store.new_conversation()
        self._finish_open_turns(store, conversation)
        record = store.begin_turn(conversation, user_message(accepted))
        turn = self._turn(store, record.conversation_id, record.id, accepted, profile)
        return self._run(turn)

    def resume(self) -> list[Reply]:
        """Finish every turn that a crash left open, of all users, in the order they were accepted.

        Recorded steps are read back, not run again. A call with an effect that was started and has no result
        is reported as `unknown`, never repeated, unless its tool is idempotent. What waits for a person goes on
        waiting.
        """
        waiting = {each.turn_id for each in self._store.waiting_approvals()}
        left = [each for each in self._store.open_turns() if each.turn.id not in self._running | waiting]
        return [fold(self._resumed(each)) for each in left]

    def new_conversation(self, *, user: str, tenant: str = "default", title: str = "") -> str:
        """Start a conversation; memories carry over, the transcript does not."""
        return self._store.for_user(tenant, user).new_conversation(title)

    def close(self) -> None:
        """Close the store if this agent opened it. Generator and encoder belong to the caller."""
        if self._owns_store:
            self._store.close()

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, turn: Turn) -> Iterator[Event]:
        pending = _pending_question(turn.store, turn.conversation_id, turn.turn_id)
        self._running.add(turn.turn_id)
        try:
            yield from run_turn(turn, pending)
        except StoreError:
            turn.committed = True  # what cannot be written cannot be closed either; resume does it later
            raise
        finally:
            self._running.discard(turn.turn_id)
            # Ctrl-C, an early close of the stream and errors alike: the accepted message stays, and every
            # call gets a result. Nothing is yielded here.
            if not (turn.committed or turn.paused):
                commit(turn, self._wiring.replies.interrupted(), "interrupted", (), None)

    def _turn(
        self,
        store: UserStore,
        conversation: str,
        turn_id: str,
        text: str,
        profile: Mapping[str, JsonValue] | None,
    ) -> Turn:
        earlier = sum(each.status != "open" for each in store.turns(conversation))
        latest = turns_in_window(earlier, self._wiring.settings.history_turns)
        return Turn(
            wiring=self._wiring,
            store=store,
            recall=self._recalls.for_user(store),
            tenant=store.tenant,
            user=store.user,
            conversation_id=conversation,
            turn_id=turn_id,
            text=text,
            history=store.transcript(conversation, last_turns=latest),
            history_from=earlier - latest,
            profile=dict(profile or {}),
        )

    def _finish_open_turns(self, store: UserStore, conversation: str) -> None:
        """A conversation has one order: what a crash left open is finished before the next message."""
        for each in store.turns(conversation):
            if each.id in self._running:
                raise _busy(conversation)
            if each.status == "open":
                refuse_if_waiting(store, each)
                fold(self._resumed(store.open_turn(each.id)))

    def _resumed(self, left: OpenTurn) -> Iterator[Event]:
        store = self._store.for_user(left.tenant, left.user)
        asked = store.approvals(left.turn.id)
        profile = asked[-1].profile if asked else None
        text = text_of(left.message)
        turn = self._turn(store, left.turn.conversation_id, left.turn.id, text, profile)
        turn.approvals = {each.call.id: each for each in asked}
        turn.recorded = [step.message for step in left.steps]
        turn.journal = {row.call.id: row for row in left.journal}
        return self._run(turn)


def fold(events: Iterator[Event]) -> Reply:
    """Run a stream to its end and return what it said."""
    conversation_id = ""
    declined = False
    replied: Replied | None = None
    finished: TurnFinished | TurnPaused | None = None
    with contextlib.closing(events):  # type: ignore[type-var]
        for event in events:
            match event:
                case Declined():
                    declined = True
                case Replied():
                    replied = event
                case TurnFinished() | TurnPaused():
                    finished = event
                case _ if event.type == "turn_started":
                    conversation_id = event.conversation_id
    assert replied is not None
    assert finished is not None
    return Reply(
        text=replied.text,
        source=replied.source,
        declined=declined,
        citations=replied.citations,
        conversation_id=conversation_id,
        turn_id=finished.turn_id,
        milliseconds=finished.milliseconds,
        approvals=finished.approvals if isinstance(finished, TurnPaused) else (),
    )


def _busy(conversation: str) -> Busy:
    return Busy(
        f"Conversation {conversation} is still answering an earlier message. Nothing was stored.",
        hint="Wait for that reply, or start another conversation.",
    )


def _open_store(path: Path | str, now: Callable[[], datetime]) -> Store:
    from agentkit.store.sqlite_store import SqliteStore

    return SqliteStore.open(Path(path), clock=now)


def _pending_question(store: UserStore, conversation: str, turn_id: str) -> ArgumentAsked | None:
    """The question that ended the previous turn, if it ended with one."""
    turns = [each for each in store.turns(conversation) if each.id != turn_id and each.status != "open"]
    if not turns:
        return None
    asked = [event for event in store.events(turns[-1].id) if isinstance(event, ArgumentAsked)]
    return asked[-1] if asked else None
