"""The agent: parts wired together, `ask` and `stream`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from agentkit.agent.approval_desk import ApprovalDesk, check_rules
from agentkit.agent.attendant import Attendant
from agentkit.agent.hand_off_desk import HandOffDesk
from agentkit.agent.intake import accept_text
from agentkit.agent.person_calls import Agree, call_as_person
from agentkit.agent.ranking import ToolPool
from agentkit.agent.replies import Replies
from agentkit.agent.reply import Reply, fold
from agentkit.agent.settings import Settings
from agentkit.agent.turn import Settle, Wiring
from agentkit.events import Event
from agentkit.intents import Binding, IntentModel
from agentkit.knowledge.answerability import Judge
from agentkit.knowledge.index import KnowledgeIndex
from agentkit.messages import ToolCall, system
from agentkit.messages import user as user_message
from agentkit.models.protocols import Encoder, Generator
from agentkit.prompts import PromptLibrary
from agentkit.service.book import FlowBook
from agentkit.store.protocol import BusyPolicy, HandOffRecord, Store
from agentkit.tools import StaticToolset, Tool, Toolset


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
        flows: Business processes. Tools with an effect then run in flows only.
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
        flows: FlowBook | None = None,
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
            flows=flows,
        )
        check_rules(settings.approve, self._wiring.tools)
        self._attendant = Attendant(self._wiring, self._store)
        self.approvals = ApprovalDesk(self._store, self._wiring.tools, self._attendant.go_on)
        self.hand_offs = HandOffDesk(self._store, self._wiring.replies, settings.desk, now)

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
        client_msg_id: str | None = None,
        when_busy: BusyPolicy = "enqueue",
    ) -> Reply:
        """Answer one message; see `stream` for the arguments and errors."""
        return fold(
            self.stream(
                text,
                user=user,
                conversation=conversation,
                tenant=tenant,
                profile=profile,
                client_msg_id=client_msg_id,
                when_busy=when_busy,
            )
        )

    def stream(
        self,
        text: str,
        *,
        user: str,
        conversation: str | None = None,
        tenant: str = "default",
        profile: Mapping[str, JsonValue] | None = None,
        client_msg_id: str | None = None,
        when_busy: BusyPolicy = "enqueue",
    ) -> Iterator[Event]:
        """Answer one message as a stream of events; the message is stored when this returns.

        Closing the stream early stops the work and leaves a transcript in which every call has a result. Any number
        of threads and processes may ask at once: each conversation is answered in its order.

        Args:
            text: What the user says.
            user: Who says it; memories and conversations of other users cannot be reached.
            conversation: A conversation id of this user; None goes on with the latest one, or starts one.
            tenant: Separates customers of a shared installation.
            profile: What the application knows about the user, for tools and stored answers.
            client_msg_id: What the sender calls the message. Sent again under the same name, it is not answered
                again: the events of its one turn come back.
            when_busy: What becomes of the message while the conversation is being answered: `enqueue`, it waits;
                `merge`, it waits and is answered together with what waits ahead of it; `interrupt`, the running turn
                is stopped for it; `reject`, `Busy` is raised.

        Raises:
            InputRejected: The message is empty or too long; nothing was stored.
            AwaitsApproval: A person has to decide about a call of the last turn first; nothing was stored. The stream
                raises it where the message came before that call: then it is stored and waits, too.
            Busy: Too many messages wait, or the policy is `reject`; nothing was stored.
            ContextOverflow: Instructions and message do not fit the model; the message is stored.
            RecordNotFound: No such conversation of this user.
            StoreError: The database cannot be used.
        """
        accepted = accept_text(text, self._wiring.settings.limits.message_characters)
        store = self._store.for_user(tenant, user)
        conversation = conversation or store.latest_conversation() or store.new_conversation()
        return self._attendant.answer(
            store,
            conversation,
            user_message(accepted),
            client_msg_id=client_msg_id,
            when_busy=when_busy,
            profile=profile,
        )

    def resume(self, settle: Settle | None = None) -> list[Reply]:
        """Finish every turn that a crash left open and answer every message that waits, of all users.

        What other processes are answering is left to them. Recorded steps are read back, not run again. A call with
        an effect that was started and has no result is never repeated, unless its tool is idempotent.

        What waits for a person goes on waiting.

        Args:
            settle: Asks a person about such a call: True, it was done; False, it was not; None, nobody knows, so
                that the user is told that it is `unknown`.
        """
        return self._attendant.attend(settle)

    def call_as_person(
        self, record: HandOffRecord, call: ToolCall, agree: Agree, settle: Settle | None = None
    ) -> Iterator[Event]:
        """Use a tool in a conversation that a person has taken: as that customer, through the gate, journalled.

        Args:
            record: The hand-off as `hand_offs.take` returned it.
            call: The tool and its arguments; its id does not matter.
            agree: Asked before a call that has an effect runs.
            settle: As for `resume`, where an earlier desk died in a call.

        Raises:
            LeaseLost: A colleague has the conversation now; nothing ran.
            RecordNotFound: The bot has no such tool for this customer.
            TurnConflict: The hand-off is over.
        """
        return call_as_person(self.hand_offs, record, self._attendant.turn_of, call, agree, settle)

    def fork(self, turn_id: str, *, user: str, tenant: str = "default", title: str = "") -> str:
        """Start a conversation that goes on from any finished turn; the old one stays as it is."""
        return self._store.for_user(tenant, user).fork(turn_id, title)

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


def _open_store(path: Path | str, now: Callable[[], datetime]) -> Store:
    from agentkit.store.sqlite_store import SqliteStore

    return SqliteStore.open(Path(path), clock=now)
