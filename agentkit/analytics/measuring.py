"""From the turns and hand-offs of a store to the figures of a report: one pass over the events."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, get_args

from agentkit.analytics.questions import Asked, grouped, ungrouped
from agentkit.analytics.report import (
    Counted,
    FlowFigures,
    Period,
    QuestionGroup,
    Report,
    Share,
    SlotFigures,
    Spread,
)
from agentkit.events import (
    CommandsUnderstood,
    Declined,
    Event,
    FlowEnded,
    FlowFailed,
    FlowOutcome,
    FlowStarted,
    GenerationFinished,
    HandedOff,
    HandOffEnded,
    IntentRecognised,
    LimitReached,
    PersonAnswered,
    PolicyRefused,
    SlotAsked,
    SlotRefused,
    SlotSet,
    TurnFinished,
)
from agentkit.models.protocols import Encoder
from agentkit.store.hand_off_records import HandOffRecord
from agentkit.store.protocol import PastTurn, Store

OUT_OF_SCOPE: Final = "out of scope"
"""How the intent is called of messages that are none of the bot's subjects."""

_LONGEST_BY_DAY: Final = 45  # days that are shown one by one; a longer time is shown by weeks


def measure(
    store: Store, *, bot: str, now: datetime, since: datetime | None = None, encoder: Encoder | None = None
) -> Report:
    """The figures of what a store keeps.

    Args:
        store: The bot's database.
        bot: Its name.
        now: The present time, for the head of the report.
        since: Only turns that began then or later.
        encoder: Groups unanswered questions; None: each stands alone.
    """
    tally = _Tally()
    for turn in store.past_turns(since):
        tally.add(turn)
    hand_offs = [each for each in store.past_hand_offs() if since is None or each.created_at >= since]
    turns = tally.turns
    return Report(
        bot=bot,
        since=since,
        made_at=now,
        conversations=len(tally.conversations),
        customers=len(tally.customers),
        turns=turns,
        contained=Share(count=len(tally.conversations - tally.handed_off), of=len(tally.conversations)),
        handed_off=Share(count=len(tally.conversations & tally.handed_off), of=len(tally.conversations)),
        fallbacks=Share(count=sum(tally.fallbacks.values()), of=turns),
        without_generation=Share(count=len(tally.quick), of=turns),
        answered_by_people=tally.by_people,
        answer_time=_spread([*tally.quick, *tally.generated]),
        answer_time_without_generation=_spread(tally.quick),
        wait_for_a_person=_spread(_waits(hand_offs)),
        waiting=sum(each.status == "waiting" for each in hand_offs),
        callbacks=sum(each.is_active and each.callback is not None for each in hand_offs),
        reasons=_counted(Counter(each.reason for each in hand_offs)),
        fallback_kinds=_counted(tally.fallbacks),
        policies=_counted(tally.policies),
        intents=_counted(tally.intents),
        periods=tuple(_periods(tally.by_day)),
        flows=tuple(_flow_figures(tally)),
        slots=tuple(sorted(_slot_figures(tally), key=lambda each: (-each.failures, -each.asked))),
        unanswered=tuple(_groups(tally.unanswered, encoder)),
    )


@dataclass
class _Tally:
    """What was counted so far; times are seconds."""

    turns: int = 0
    by_people: int = 0
    conversations: set[str] = field(default_factory=set)
    customers: set[tuple[str, str]] = field(default_factory=set)
    handed_off: set[str] = field(default_factory=set)
    fallbacks: Counter[str] = field(default_factory=Counter)
    policies: Counter[str] = field(default_factory=Counter)
    intents: Counter[str] = field(default_factory=Counter)
    by_day: dict[date, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    flows: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    slots: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    quick: list[float] = field(default_factory=list)
    generated: list[float] = field(default_factory=list)
    unanswered: list[Asked] = field(default_factory=list)

    def add(self, turn: PastTurn) -> None:
        """Count one committed turn."""
        conversation = turn.turn.conversation_id
        if any(isinstance(event, PersonAnswered) for event in turn.events):
            self.by_people += bool(turn.text)
            self.handed_off.add(conversation)  # one that was handed off before `since`, too
            return
        if not turn.text or any(isinstance(event, HandOffEnded) for event in turn.events):
            return
        self.turns += 1
        self.conversations.add(conversation)
        self.customers.add((turn.tenant, turn.user))
        for event in turn.events:
            self._count(event, turn)
        self._count_time(turn)
        if (kind := _fallback(turn.events)) is not None:
            self.fallbacks[kind] += 1
            self.unanswered.append(Asked(turn.text, turn.turn.created_at))

    def _count(self, event: Event, turn: PastTurn) -> None:
        match event:
            case IntentRecognised(intent=intent):
                name = intent or OUT_OF_SCOPE
                self.intents[name] += 1
                self.by_day[turn.turn.created_at.date()][name] += 1
            case HandedOff():
                self.handed_off.add(turn.turn.conversation_id)
            case FlowStarted(flow=flow):
                self.flows[flow]["started"] += 1
            case FlowEnded(flow=flow, outcome=outcome):
                self.flows[flow][outcome] += 1
            case SlotAsked(flow=flow, slot=slot, attempt=attempt):
                self.slots[flow, slot]["asked" if attempt == 1 else "asked_again"] += 1
            case SlotRefused(flow=flow, slot=slot):
                self.slots[flow, slot]["refused"] += 1
            case SlotSet(flow=flow, slot=slot, corrected=corrected):
                self.slots[flow, slot]["given"] += 1
                self.slots[flow, slot]["corrected"] += corrected
            case PolicyRefused(policy=policy):
                self.policies[policy] += 1
            case _:
                pass

    def _count_time(self, turn: PastTurn) -> None:
        seconds = next((e.milliseconds / 1000 for e in turn.events if isinstance(e, TurnFinished)), 0.0)
        generated = any(isinstance(event, GenerationFinished) for event in turn.events)
        (self.generated if generated else self.quick).append(seconds)


def _fallback(events: Sequence[Event]) -> str | None:
    """Why the bot did not know, in a turn in which it did not."""
    for event in events:
        match event:
            case Declined(reason=reason):
                return reason.replace("_", " ")
            case LimitReached(limit=limit):
                return f"limit of {limit.replace('_', ' ')}"
            case FlowFailed(flow=flow):
                return f"{flow} failed"
            case CommandsUnderstood(commands=commands) if commands and all(
                command.type == "cannot_handle" for command in commands
            ):
                return "not understood"
            case _:
                pass
    return None


def _waits(hand_offs: Iterable[HandOffRecord]) -> list[float]:
    return [
        (each.answered_at - each.created_at).total_seconds()
        for each in hand_offs
        if each.answered_at is not None
    ]


def _spread(seconds: Sequence[float]) -> Spread:
    if not seconds:
        return Spread(count=0, median=None, ninth_decile=None)
    ordered = sorted(seconds)
    ninth = ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]
    return Spread(count=len(ordered), median=statistics.median(ordered), ninth_decile=ninth)


def _counted(counts: Counter[str]) -> tuple[Counted, ...]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Counted(name=name, count=count) for name, count in ordered)


def _periods(by_day: dict[date, Counter[str]]) -> Iterable[Period]:
    """Every day, or week, from the first to the last, those without a message, too."""
    if not by_day:
        return
    first, last = min(by_day), max(by_day)
    step = 1 if (last - first).days < _LONGEST_BY_DAY else 7
    begins = first if step == 1 else first - timedelta(days=first.weekday())
    while begins <= last:
        counts: Counter[str] = Counter()
        for day in range(step):
            counts.update(by_day.get(begins + timedelta(days=day), Counter()))
        yield Period(begins=begins, turns=sum(counts.values()), intents=_counted(counts))
        begins += timedelta(days=step)


def _flow_figures(tally: _Tally) -> Iterable[FlowFigures]:
    outcomes = ("started", *get_args(FlowOutcome))
    ordered = sorted(tally.flows.items(), key=lambda item: (-item[1]["started"], item[0]))
    for flow, counts in ordered:
        yield FlowFigures(flow=flow, **{name: counts[name] for name in outcomes})


def _slot_figures(tally: _Tally) -> Iterable[SlotFigures]:
    kinds = ("asked", "asked_again", "refused", "corrected", "given")
    for (flow, slot), counts in sorted(tally.slots.items()):
        yield SlotFigures(flow=flow, slot=slot, **{name: counts[name] for name in kinds})


def _groups(questions: Sequence[Asked], encoder: Encoder | None) -> Sequence[QuestionGroup]:
    return grouped(questions, encoder) if encoder is not None else ungrouped(questions)
