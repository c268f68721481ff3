"""Everything that is kept of a user, as one value: for the user who asks for it, as JSON and to be read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime

from agentkit.errors import TurnConflict
from agentkit.events import Event
from agentkit.messages import Assistant, Message, ToolResult, TrustLabel, User, Value, text_of
from agentkit.store.protocol import ApprovalRecord, HandOffRecord, UserStore
from agentkit.store.records import InboxRecord, JournalRow, MemoryRecord, SummaryRecord, TurnRecord


class ExportedTurn(Value):
    """One turn: its trace, calls, and what people decided about them.

    Its message is here while it is open, for then no transcript holds it.
    """

    turn: TurnRecord
    message: User | None
    events: tuple[Event, ...]
    calls: tuple[JournalRow, ...]
    approvals: tuple[ApprovalRecord, ...] = ()


class ExportedConversation(Value):
    """One conversation, and how often it went to a person."""

    id: str
    title: str
    created_at: datetime
    transcript: tuple[Message, ...]
    turns: tuple[ExportedTurn, ...]
    waiting: tuple[InboxRecord, ...]
    summary: SummaryRecord | None
    hand_offs: tuple[HandOffRecord, ...] = ()


class ExportedFile(Value):
    """A file that a tool made; its content is `UserStore.file(hash)`."""

    hash: str
    name: str
    media_type: str
    created_at: datetime


class UserExport(Value):
    """Everything that is kept of one user, but for the content of files.

    Vectors are left out: they are computed from the texts that are here.
    """

    tenant: str
    user: str
    exported_at: datetime
    conversations: tuple[ExportedConversation, ...]
    memories: tuple[MemoryRecord, ...]
    files: tuple[ExportedFile, ...] = ()


def export_user(store: UserStore, now: datetime) -> UserExport:
    """Read everything of a user.

    Args:
        store: The user's part of a store.
        now: The present time, for the head of the export.
    """
    return UserExport(
        tenant=store.tenant,
        user=store.user,
        exported_at=now,
        conversations=tuple(
            ExportedConversation(
                id=each.id,
                title=each.title,
                created_at=each.created_at,
                transcript=store.transcript(each.id),
                turns=tuple(_turn(store, turn) for turn in store.turns(each.id)),
                waiting=tuple(store.waiting(each.id)),
                summary=store.summary(each.id, len(store.turns(each.id))),
                hand_offs=tuple(store.hand_offs(each.id)),
            )
            for each in store.conversations()
        ),
        memories=tuple(store.memories(replaced=True)),
        files=tuple(
            ExportedFile(
                hash=each.hash, name=each.name, media_type=each.media_type, created_at=each.created_at
            )
            for each in store.files()
        ),
    )


def _turn(store: UserStore, turn: TurnRecord) -> ExportedTurn:
    message = None
    if turn.status == "open":
        with contextlib.suppress(TurnConflict):  # it was committed meanwhile
            message = store.open_turn(turn.id).message
    return ExportedTurn(
        turn=turn,
        message=message,
        events=store.events(turn.id),
        calls=tuple(store.journal(turn.id)),
        approvals=tuple(store.approvals(turn.id)),
    )


def as_markdown(export: UserExport) -> str:
    """An export to be read: what is remembered, then the conversations. Traces and calls are in the JSON form."""
    return "\n".join(_lines(export)) + "\n"


def _lines(export: UserExport) -> Iterator[str]:
    yield f"# What is kept of {_plain(export.user)}"
    yield ""
    yield f"Tenant {_plain(export.tenant)}, exported {_time(export.exported_at)}."
    for kind, title in (("fact", "Facts"), ("message", "Remembered messages")):
        records = [record for record in export.memories if record.kind == kind]
        yield from ("", f"## {title} ({len(records)})", "")
        for record in records:
            since = f"since {_time(record.created_at)}, {_TRUSTED[record.trust]}"
            gone = ", replaced by a newer one" if record.replaced_by else ""
            yield f"- {_plain(record.text)} ({since}{gone})"
    yield from ("", f"## Files ({len(export.files)})", "")
    for file in export.files:
        yield f"- {_plain(file.name)} ({_plain(file.media_type)}, {_time(file.created_at)}, {file.hash[:12]})"
    yield from ("", f"## Conversations ({len(export.conversations)})")
    for conversation in export.conversations:
        yield from ("", f"### {_time(conversation.created_at)} {_plain(conversation.title)}".rstrip(), "")
        for message in conversation.transcript:
            if text := text_of(message):
                yield f"- **{_speaker(message)}**: {_plain(text)}"
        for handed in conversation.hand_offs:
            wish = f", call {handed.callback.phone} {handed.callback.when}" if handed.callback else ""
            yield f"- **went to a person**: {_plain(handed.reason + wish)} ({_time(handed.created_at)})"
        unanswered = [
            *(each.message for each in conversation.turns),
            *(each.message for each in conversation.waiting),
        ]
        for asked in unanswered:
            if asked is not None:
                yield f"- **not answered yet**: {_plain(text_of(asked))}"


_TRUSTED: dict[TrustLabel, str] = {
    "system": "from the bot",
    "user": "said by the user",
    "tool": "from a tool",
    "untrusted": "from an untrusted source",
}


def _speaker(message: Message) -> str:
    match message:
        case User():
            return "user"
        case ToolResult(name=name):
            return f"tool {_plain(name)}"
        case Assistant(by=by):
            return _plain(by) or "bot"
        case _:
            return message.role


def _plain(text: str) -> str:
    """A text as one line in which nothing is markup."""
    line = " ".join(text.split())
    return "".join(f"\\{character}" if character in "\\`*_[]<>#|" else character for character in line)


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"
