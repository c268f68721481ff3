"""All committed turns with their traces, page by page: for those who look at a whole database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from agentkit.events import Event
from agentkit.messages import text_of
from agentkit.store import turn_reading
from agentkit.store.connection import Connection
from agentkit.store.conversation_rows import event_of
from agentkit.store.records import PastTurn
from agentkit.store.turn_reading import TURN_COLUMNS

_PAGE: Final = 500  # turns that are read at once

_TURNS: Final = (
    TURN_COLUMNS
    + "WHERE turns.status <> 'open' AND turns.number > ? AND turns.created_at >= ? ORDER BY turns.number LIMIT ?"
)

_EVENTS: Final = """
SELECT events.turn, events.seq, events.event FROM events JOIN turns ON turns.number = events.turn
WHERE turns.status <> 'open' AND turns.number BETWEEN ? AND ? AND turns.created_at >= ?
ORDER BY events.turn, events.seq"""


def past_turns(connection: Connection, since: datetime | None) -> Iterator[PastTurn]:
    """Every committed turn that began then or later, oldest first; no read stays open between two of them."""
    after, first = 0, "" if since is None else since.isoformat()  # no time is before ""
    while True:
        with connection.reading():
            rows = connection.rows(_TURNS, (after, first, _PAGE))
            if not rows:
                return
            traces: dict[int, list[Event]] = defaultdict(list)
            for row in connection.rows(_EVENTS, (rows[0]["number"], rows[-1]["number"], first)):
                traces[row["turn"]].append(event_of(row["turn"], row))
        for row in rows:
            yield PastTurn(
                tenant=row["tenant"],
                user=row["user"],
                turn=turn_reading.turn_of(row),
                text=text_of(turn_reading.message_of(row)),
                events=tuple(traces[row["number"]]),
            )
        after = rows[-1]["number"]
