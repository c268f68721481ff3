"""Compares what a turn did with what its scenario expects; nothing here knows how the turn was made."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentkit.events import (
    ApprovalRequested,
    ConfirmationAsked,
    Declined,
    Event,
    FlowEnded,
    FlowStarted,
    GenerationFinished,
    HandedOff,
    IntentRecognised,
    MemoriesRecalled,
    PolicyRefused,
    Replied,
    SlotSet,
    ToolCallFinished,
    ToolCallStarted,
)
from agentkit.messages import ToolCall
from agentkit.scenarios.format import (
    Containing,
    DatabaseCheck,
    Expectation,
    ExpectedCall,
    Line,
    Meaning,
    Said,
)
from agentkit.scenarios.patterns import all_fit, fits, shown

if TYPE_CHECKING:
    from agentkit.models import Encoder

_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+|\n+")
_ALLOWED_SQL: Final = frozenset(
    (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
)


@dataclass(frozen=True)
class Checked:
    """An expectation was compared with what happened.

    Args:
        what: What should hold.
        holds: Whether it does.
        found: What was found instead, where it does not.
    """

    what: str
    holds: bool
    found: str = ""


@dataclass(frozen=True)
class Surroundings:
    """What checks look at beside the events of a turn.

    Args:
        encoder: Compares meanings.
        database: The bot's own database.
        folder: The bot folder that the turn was played in.
    """

    encoder: Encoder
    database: Path
    folder: Path


def check(line: Line, events: Sequence[Event], around: Surroundings) -> list[Checked]:
    """Every expectation of a line that is set, compared with the events of its turn."""
    expect = line.expect
    found = [
        *_about_understanding(expect, events),
        *_about_flows(expect, events),
        *_about_calls(expect, events),
        *_about_approval(line, events),
        *_about_outcome(expect, events),
        *_about_reply(line, events, around),
    ]
    return found + [_about_rows(each, around) for each in expect.database]


def _named(events: Sequence[Event], kind: type, name: str) -> list[str]:
    return [str(getattr(event, name)) for event in events if isinstance(event, kind)]


def _each_of(wanted: Sequence[str], happened: Sequence[str], what: str) -> Iterator[Checked]:
    for name in wanted:
        yield Checked(f"{what} {name}", name in happened, ", ".join(happened) or "none")


def _about_understanding(expect: Expectation, events: Sequence[Event]) -> Iterator[Checked]:
    if "intent" in expect.model_fields_set:
        intents = [event.intent for event in events if isinstance(event, IntentRecognised)]
        found = ", ".join(each or "out of scope" for each in intents) or "none was recognised"
        yield Checked(f"intent is {expect.intent or 'out of scope'}", intents == [expect.intent], found)
    memories = [each.text for e in events if isinstance(e, MemoriesRecalled) for each in e.memories]
    for text in expect.recalled:
        yield Checked(f"recalled “{text}”", any(text in each for each in memories), _quoted(memories))
    if expect.generated is not None:
        count = sum(isinstance(event, GenerationFinished) for event in events)
        wanted = "the generator was needed" if expect.generated else "no generator was needed"
        yield Checked(wanted, bool(count) == expect.generated, f"{count} generations")


def _about_flows(expect: Expectation, events: Sequence[Event]) -> Iterator[Checked]:
    yield from _each_of(expect.flow_started, _named(events, FlowStarted, "flow"), "started the flow")
    yield from _each_of(expect.flow_ended, _named(events, FlowEnded, "flow"), "ended the flow")
    slots = {event.slot: event.value for event in events if isinstance(event, SlotSet)}
    for slot, value in expect.slot_set.items():
        holds = slot in slots and fits(value, slots[slot])
        yield Checked(f"set {slot} to {shown(value)}", holds, _pairs(slots))
    refused = _named(events, PolicyRefused, "policy")
    yield from _each_of(expect.policy_refused, refused, "refused by the policy")
    if expect.confirmation is not None:
        asked = [event for event in events if isinstance(event, ConfirmationAsked)]
        wanted = "asked to confirm" if expect.confirmation else "did not ask to confirm"
        found = ", ".join(f"{event.tool}({_pairs(event.arguments)})" for event in asked)
        yield Checked(wanted, bool(asked) == expect.confirmation, found or "it did not ask")


def _about_calls(expect: Expectation, events: Sequence[Event]) -> Iterator[Checked]:
    ended = {e.result.call_id: e.status for e in events if isinstance(e, ToolCallFinished)}
    calls = [event.call for event in events if isinstance(event, ToolCallStarted)]
    found = "; ".join(f"{_call(call)} {ended.get(call.id, 'unfinished')}" for call in calls) or "no call"
    for each in expect.tool_called:
        wanted = ExpectedCall(name=each) if isinstance(each, str) else each
        made = any(
            call.name == wanted.name
            and ended.get(call.id) == wanted.status
            and all_fit(wanted.arguments, call.arguments)
            for call in calls
        )
        arguments = ", ".join(f"{name}={shown(value)}" for name, value in wanted.arguments.items())
        ending = "" if wanted.status == "ok" else f", which ended with {wanted.status}"
        yield Checked(f"called {wanted.name}({arguments}){ending}", made, found)
    for name in expect.not_called:
        yield Checked(f"did not call {name}", all(call.name != name for call in calls), found)


def _about_approval(line: Line, events: Sequence[Event]) -> Iterator[Checked]:
    wanted = line.approve or line.reject
    if wanted is not None:
        asked = [event.call.name for event in events if isinstance(event, ApprovalRequested)]
        what = f"waited for a person to agree to {wanted}"
        yield Checked(what, wanted in asked, ", ".join(asked) or "it waited for nobody")


def _about_outcome(expect: Expectation, events: Sequence[Event]) -> Iterator[Checked]:
    if expect.declined is not None:
        declined = any(isinstance(event, Declined) for event in events)
        found = "it declined" if declined else "it did not"
        yield Checked("declined" if expect.declined else "not declined", declined == expect.declined, found)
    if expect.handed_off is not None:
        reasons = _named(events, HandedOff, "reason")
        words = expect.handed_off if isinstance(expect.handed_off, str) else ""
        happened = any(words in reason for reason in reasons)
        wanted = "handed off" if expect.handed_off is not False else "not handed off"
        about = f" for “{words}”" if words else ""
        holds = happened == (expect.handed_off is not False)
        yield Checked(f"{wanted}{about}", holds, _quoted(reasons))
    for wanted_event in expect.events:
        same = [event.model_dump(mode="json") for event in events if event.type == wanted_event.type]
        holds = any(all_fit(wanted_event.having, fields) for fields in same)
        fields = ", ".join(f"{name}={shown(value)}" for name, value in wanted_event.having.items())
        yield Checked(f"event {wanted_event.type}({fields})", holds, "; ".join(map(_pairs, same)) or "none")


def _about_reply(line: Line, events: Sequence[Event], around: Surroundings) -> Iterator[Checked]:
    expect = line.expect
    replies = [event for event in events if isinstance(event, Replied)]
    text = replies[-1].text if replies else ""
    if line.bot is not None:
        yield Checked(
            "the reply is word for word as written", text.strip() == line.bot.strip(), _quoted([text])
        )
    for wanted in expect.said:
        holds, found = _says(wanted, text, around.encoder)
        yield Checked(f"reply {_words_of(wanted, 'contains', 'means about')}", holds, found)
    for unwanted in expect.not_said:
        holds, found = _says(unwanted, text, around.encoder)
        yield Checked(f"reply {_words_of(unwanted, 'lacks', 'does not mean')}", not holds, found)
    if expect.source is not None:
        source = replies[-1].source if replies else "no reply"
        yield Checked(f"reply is {expect.source}", source == expect.source, source)
    cited = replies[-1].citations if replies else ()
    for document in expect.cited:
        yield Checked(
            f"cited {document}", any(document in each for each in cited), ", ".join(cited) or "none"
        )


def _says(wanted: Said, text: str, encoder: Encoder) -> tuple[bool, str]:
    match wanted:
        case Meaning(meaning=meaning, similarity=enough):
            best, piece = most_similar(meaning, text, encoder)
            return best >= enough, f"similarity {best:.2f}, wanted {enough:.2f}, of “{piece}”"
        case Containing(pattern=pattern):
            return re.search(pattern, text) is not None, _quoted([text])
        case _:
            return wanted in text, _quoted([text])


def most_similar(meaning: str, text: str, encoder: Encoder) -> tuple[float, str]:
    """How near in meaning the nearest of a text and its sentences is (cosine), and which that is."""
    pieces = [text, *(each for each in _SENTENCE_END.split(text) if each.strip() and each != text)]
    vectors = encoder.encode([meaning, *pieces])
    scores = vectors[1:] @ vectors[0]
    best = int(scores.argmax())
    return float(scores[best]), pieces[best]


def _words_of(wanted: Said, contains: str, means: str) -> str:
    match wanted:
        case Meaning(meaning=meaning):
            return f"{means} “{meaning}”"
        case Containing(pattern=pattern):
            return f"{contains} /{pattern}/"
        case _:
            return f"{contains} “{wanted}”"


def _about_rows(wanted: DatabaseCheck, around: Surroundings) -> Checked:
    path = around.folder / wanted.file if wanted.file else around.database
    what = f"{wanted.sql} gives {[list(row) for row in wanted.rows]}"
    try:
        rows = read_rows(path, wanted.sql)
    except sqlite3.Error as problem:
        return Checked(what, False, f"{path.name}: {problem}")
    return Checked(what, rows == [list(row) for row in wanted.rows], str(rows))


def read_rows(path: Path, sql: str) -> list[list[Any]]:
    """The rows of one query of a SQLite file, which cannot be changed by it.

    Raises:
        sqlite3.Error: No such file, not a query, or more than a query: only SELECT is let through.
    """
    only_selects: Callable[..., int] = lambda action, *_: (  # noqa: E731
        sqlite3.SQLITE_OK if action in _ALLOWED_SQL else sqlite3.SQLITE_DENY
    )
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
        connection.set_authorizer(only_selects)
        return [list(row) for row in connection.execute(sql)]


def _quoted(texts: Sequence[str]) -> str:
    return "; ".join(f"“{text}”" for text in texts) or "nothing"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={shown(value)}" for name, value in values.items()) or "none"


def _call(call: ToolCall) -> str:
    return f"{call.name}({_pairs(call.arguments)})" if call.arguments else f"{call.name}()"
