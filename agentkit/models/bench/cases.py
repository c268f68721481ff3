"""The cases of the benchmark: what is asked, in which order, and which figures come of it.

A case is a function of an engine. What brings the engine into the state in which the case begins is asked first
and not measured: the earlier turns of a conversation were answered when they came.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

from agentkit.messages import Message
from agentkit.models.bench.desk import Desk
from agentkit.models.bench.engine import Answer, Engine, Timed
from agentkit.models.protocols import GenerationRequest

Figures: TypeAlias = dict[str, float]
"""Names of `FIGURES` and what was measured."""

EARLIER_TURNS: Final = 3
CONVERSATIONS: Final = 8
LONG_TURNS: Final = 26
"""About 4,000 tokens of history with Qwen's tokenizer (4,046), 4,600 with SmolLM2's."""
EARLY_TURN: Final = 5
LATE_TURN: Final = 50
_BEFORE: Final = 3
_AFTER: Final = 4
"""Turn 5 is the median of turns 2 to 9. In eight turns the window of a late conversation begins anew once: the slowest
of them is the turn that computes what is left of it."""
CALL_MARKS: Final = (64, 256, 1024)
_WINDOW: Final = 64
_PREFILL_CHARACTERS: Final = 2370
"""About 512 tokens with either tokenizer."""
_DECODED: Final = 128


@dataclass(frozen=True)
class Setting:
    """What a case is told.

    Args:
        round: Which repetition, from 0: it asks other questions, so that no answer is known.
        marks: After how many calls in a row the cost of a call is read.
        patience: Seconds after which a long row of calls is ended early; None: never.
    """

    round: int = 0
    marks: Sequence[int] = CALL_MARKS
    patience: float | None = None


@dataclass(frozen=True)
class Figure:
    """What a figure is.

    Args:
        title: For the table.
        unit: `s`, `ms`, `MB` or what is counted.
        lower_is_better: Whether small figures are good.
        compared: Whether the table shows agentkit's figure in multiples of a peer's.
    """

    title: str
    unit: str
    lower_is_better: bool = True
    compared: bool = True


@dataclass(frozen=True)
class Case:
    """One case.

    Args:
        letter: What `--cases` calls it.
        title: What it is.
        run: Measures it once.
        once: It takes long and has many values in itself, so it is not repeated in every round.
    """

    letter: str
    title: str
    run: Callable[[Engine, Desk, Setting], Figures]
    once: bool = False


FIGURES: Final[Mapping[str, Figure]] = {
    "turn": Figure("(a) support turn: call and reply", "s"),
    "turn_call": Figure("    its call", "s"),
    "turn_reply": Figure("    its reply", "s"),
    "reply_token": Figure("    its reply, a token", "ms"),
    "turn_tokens": Figure("    its tokens", "tokens", compared=False),
    "call_passes": Figure("    forward passes a token of the call", "passes", compared=False),
    "turn_passes": Figure("    forward passes a token of both", "passes", compared=False),
    "start": Figure("(b) fresh process to first token", "s"),
    "together": Figure("(c) eight conversations at once", "replies/min", lower_is_better=False),
    "long_turn": Figure("(d) support turn after 4,000 tokens", "s"),
    "early_turn": Figure("    turn 5 of one conversation", "s"),
    "late_turn": Figure("    turn 50 of it", "s"),
    "growth": Figure("    turn 50 to turn 5", "times", compared=False),
    "slowest_turn": Figure("    slowest turn around turn 50", "s"),
    "prefill": Figure("(f) prefill, 512 tokens", "tokens/s", lower_is_better=False),
    "decode": Figure("    decode, 128 tokens", "tokens/s", lower_is_better=False),
    "decode_passes": Figure("    forward passes a token", "passes", compared=False),
    "memory": Figure("peak memory", "MB"),
}
"""Every figure but those of case e, in the order of the table."""
_OF_CALLS: Final[Mapping[str, Figure]] = {
    "relative": Figure("    in reference passes", "times", compared=False),
    "growth": Figure("    grown since the first calls", "times", compared=False),
    "passes": Figure("    forward passes", "passes", compared=False),
    "rows": Figure("    tokens a pass", "tokens", compared=False),
    "prefilled": Figure("    new tokens of the prompt", "tokens", compared=False),
}
"""What is read of the calls before a mark, beside their time."""


def figure(name: str) -> Figure:
    """What the figure of that name is; those of case e carry the number of calls in their name."""
    if not name.startswith("calls_"):
        return FIGURES[name]
    mark, _, what = name.removeprefix("calls_").partition("_")
    if not what:
        return Figure(f"(e) a call, around call {int(mark):,} in a row", "ms")
    return _OF_CALLS[what]


def support_turn(engine: Engine, desk: Desk, setting: Setting) -> Figures:
    """Case a: the fourth turn of a conversation."""
    call, reply = _turn_after(engine, desk, desk.history(EARLIER_TURNS), 100 + setting.round)
    written = reply.answers[0].generated_tokens
    both = [*call.answers, *reply.answers]
    found: Figures = {
        "turn": call.seconds + reply.seconds,
        "turn_call": call.seconds,
        "turn_reply": reply.seconds,
        "reply_token": 1000 * reply.seconds / max(1, written),
        "turn_tokens": sum(answer.generated_tokens for answer in both),
    }
    return found | _passes("call_passes", call.answers) | _passes("turn_passes", both)


def fresh_process(engine: Engine, desk: Desk, setting: Setting) -> Figures:
    """Case b: the first token of a process that is started for it; weights are on the disk."""
    if setting.round == 0:
        engine.seconds_to_first_token()  # whatever the first start of all leaves on the disk
    return {"start": engine.seconds_to_first_token()}


def eight_at_once(engine: Engine, desk: Desk, setting: Setting) -> Figures:
    """Case c: the fourth turn of eight conversations, which share nothing but the system message and the tools."""
    numbers = range(1, CONVERSATIONS + 1)
    histories = [desk.history(EARLIER_TURNS, number=number) for number in numbers]
    asked = [100 * setting.round + number for number in numbers]
    engine.ask([_one_token(desk, history) for history in histories])
    pairs = list(zip(histories, asked, strict=True))
    seconds = engine.ask([desk.call(history, number) for history, number in pairs]).seconds
    seconds += engine.ask([desk.reply(history, number) for history, number in pairs]).seconds
    return {"together": 60 * CONVERSATIONS / seconds}


def long_history(engine: Engine, desk: Desk, setting: Setting) -> Figures:
    """Case d: a support turn after 4,000 tokens of history."""
    call, reply = _turn_after(engine, desk, desk.history(LONG_TURNS), 100 + setting.round)
    return {"long_turn": call.seconds + reply.seconds}


def growth(engine: Engine, desk: Desk, setting: Setting) -> Figures:
    """Case d: time per turn at turn 5 and at turn 50 of one conversation."""
    windows = {turn: range(turn - _BEFORE, turn + _AFTER + 1) for turn in (EARLY_TURN, LATE_TURN)}
    seconds: dict[int, float] = {}
    for number, (call, reply) in enumerate(islice(desk.growing(), LATE_TURN + _AFTER), 1):
        # What was said before costs an engine that keeps nothing the same whether it answered it or not.
        if engine.reuses_prompts or any(number in window for window in windows.values()):
            seconds[number] = engine.ask([call]).seconds + engine.ask([reply]).seconds
    early, late = (statistics.median(seconds[turn] for turn in window) for window in windows.values())
    slowest = max(seconds[turn] for turn in windows[LATE_TURN])
    return {"early_turn": early, "late_turn": late, "growth": late / early, "slowest_turn": slowest}


def calls_in_a_row(engine: Engine, desk: Desk, setting: Setting) -> Figures:
    """Case e: the cost of a call after 64, 256 and 1,024 calls, each with another question.

    The machine may be quicker at the end than at the beginning: before every call a pass is timed that is always the
    same, and what grows is the time of calls in multiples of it.
    """
    history = desk.history(0)
    engine.ask([_one_token(desk, history)])
    started = time.perf_counter()
    calls: list[Timed] = []
    relative: list[float] = []
    found: Figures = {}
    for mark in setting.marks:
        while len(calls) < mark:
            reference = engine.reference_pass()
            calls.append(engine.ask([desk.call(history, len(calls))]))
            relative += [] if reference is None else [calls[-1].seconds / reference]
            if setting.patience is not None and time.perf_counter() - started > setting.patience:
                return found
        name = f"calls_{mark}"
        found[name] = 1000 * statistics.median(call.seconds for call in calls[-_WINDOW:])
        first = statistics.median(call.seconds for call in calls[:_WINDOW])
        found[f"{name}_growth"] = found[name] / 1000 / first
        if relative:
            found[f"{name}_relative"] = statistics.median(relative[-_WINDOW:])
            found[f"{name}_growth"] = found[f"{name}_relative"] / statistics.median(relative[:_WINDOW])
        found |= _counted(name, [call.answers[0] for call in calls[-_WINDOW:]])
    return found


def _counted(name: str, answers: Sequence[Answer]) -> Figures:
    """What a call took, in figures that do not depend on the machine; empty where the engine does not say."""
    passes = [answer.forward_passes for answer in answers if answer.forward_passes]
    computed = [answer.computed_tokens for answer in answers if answer.computed_tokens is not None]
    if len(passes) < len(answers) or len(computed) < len(answers):
        return {}
    return {
        f"{name}_passes": statistics.mean(passes),
        f"{name}_rows": sum(computed) / sum(passes),
        f"{name}_prefilled": statistics.mean(
            each.prompt_tokens - (each.cached_tokens or 0) for each in answers
        ),
    }


def plain_writing(engine: Engine, desk: Desk, setting: Setting) -> Figures:
    """Case f: prefill and decode alone, on free text without tools.

    The prompt is asked for one token (prefill), again for one token, and for many: the difference of the last two
    is decoding, whether the engine keeps prompts or not.
    """
    prompts = [desk.story_after(_PREFILL_CHARACTERS, setting.round, most) for most in (1, 1, 1 + _DECODED)]
    first, again, many = (engine.ask([prompt]) for prompt in prompts)
    one, written = first.answers[0], many.answers[0]
    found = {"prefill": (one.prompt_tokens - (one.cached_tokens or 0)) / first.seconds}
    further = written.generated_tokens - again.answers[0].generated_tokens
    if further > 0 and many.seconds > again.seconds:
        found["decode"] = further / (many.seconds - again.seconds)
    return found | _passes("decode_passes", [written])


CASES: Final = (
    Case("a", "a support turn", support_turn),
    Case("b", "the first token of a fresh process", fresh_process),
    Case("c", "eight conversations at once", eight_at_once),
    Case("d", "4,000 tokens of history", long_history),
    Case("d", "a conversation of fifty turns", growth, once=True),
    Case("e", "calls in a row", calls_in_a_row, once=True),
    Case("f", "plain prefill and decode", plain_writing),
)
"""In the order in which they are measured."""


def _turn_after(engine: Engine, desk: Desk, history: list[Message], number: int) -> tuple[Timed, Timed]:
    """Call and reply of a new turn, after the history has been seen."""
    engine.ask([_one_token(desk, history)])
    return engine.ask([desk.call(history, number)]), engine.ask([desk.reply(history, number)])


def _one_token(desk: Desk, history: list[Message]) -> GenerationRequest:
    return desk.first_token(history, 0)


def _passes(name: str, answers: Sequence[Answer]) -> Figures:
    """Forward passes a token, where the engine says how many there were."""
    passes = [answer.forward_passes for answer in answers if answer.forward_passes is not None]
    tokens = sum(answer.generated_tokens for answer in answers)
    return {name: sum(passes) / tokens} if len(passes) == len(answers) and tokens else {}
