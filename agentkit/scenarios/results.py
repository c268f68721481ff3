"""What became of a scenario: its turns, what did not hold, how long it took; values that cross processes as JSON."""

from __future__ import annotations

import difflib
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from agentkit.events import (
    AnswerabilityJudged,
    GenerationFinished,
    Replied,
    ToolCallStarted,
    TurnFinished,
    TurnPaused,
)
from agentkit.messages import Value
from agentkit.scenarios.checks import Checked
from agentkit.scenarios.playing import Played, UserLine


class Failure(Value):
    """An expectation that did not hold, and what was found."""

    what: str
    found: str


class PlayedTurn(Value):
    """One user line and what came of it.

    Args:
        user: What the user said.
        reply: What the bot said.
        written: The reply that the file has, if it has one.
        new_conversation: It began another conversation.
        calls: The tools that were called.
        generations: How often the generator wrote something.
        reads_state: Whether the generator judged whether evidence answers, from its hidden vectors.
        milliseconds: From the stored message to the commit.
        checks: How many expectations were compared.
        failures: Those that did not hold.
    """

    user: str
    reply: str = ""
    written: str | None = None
    new_conversation: bool = False
    calls: tuple[str, ...] = ()
    generations: int = 0
    reads_state: bool = False
    milliseconds: float = 0.0
    checks: int = 0
    failures: tuple[Failure, ...] = ()


class Result(Value):
    """What became of one scenario.

    Args:
        name: Its name in reports: the path below `scenarios/` without its ending.
        path: Its file.
        theme: The group that it is counted in.
        turns: The turns that were played.
        seconds: How long it took, with setting the stage.
        error: Why it could not be played to its end; empty: it could.
    """

    name: str
    path: Path
    theme: str = ""
    turns: tuple[PlayedTurn, ...] = ()
    seconds: float = 0.0
    error: str = ""

    @property
    def passed(self) -> bool:
        """It was played to its end, and everything held."""
        return not self.error and not any(turn.failures for turn in self.turns)


def turns_of(played: Sequence[Played]) -> tuple[PlayedTurn, ...]:
    """The turns of a scenario that was played, also of one that was cut off."""
    turns: list[list[Played]] = []
    for item in played:
        if isinstance(item, UserLine):
            turns.append([])
        turns[-1].append(item)
    return tuple(map(_turn, turns))


def _turn(items: Sequence[Played]) -> PlayedTurn:
    line = items[0]
    assert isinstance(line, UserLine)
    checks = [item for item in items if isinstance(item, Checked)]
    replies = [item.text for item in items if isinstance(item, Replied)]
    return PlayedTurn(
        user=line.text,
        reply=replies[-1] if replies else "",
        written=line.line.bot,
        new_conversation=line.new_conversation,
        calls=tuple(item.call.name for item in items if isinstance(item, ToolCallStarted)),
        generations=sum(isinstance(item, GenerationFinished) for item in items),
        reads_state=any(
            isinstance(item, AnswerabilityJudged) and item.judge.startswith("generator") for item in items
        ),
        milliseconds=sum(item.milliseconds for item in items if isinstance(item, TurnFinished | TurnPaused)),
        checks=len(checks),
        failures=tuple(Failure(what=each.what, found=each.found) for each in checks if not each.holds),
    )


def explain(result: Result) -> Iterator[str]:
    """Why a scenario failed: each turn with what did not hold, then the transcript beside the one that is written."""
    for number, turn in enumerate(result.turns, 1):
        if not turn.failures:
            continue
        yield f"  turn {number}"
        yield from (f"    you ▸ {text}" for text in turn.user.splitlines())
        yield from (f"    bot ▸ {text}" for text in turn.reply.splitlines() or [""])
        for failure in turn.failures:
            if turn.written is not None and failure.what.startswith("the reply is word for word"):
                continue
            yield f"      ✗ expected: {failure.what}"
            yield f"           found: {failure.found}"
    yield from transcript_diff(result)
    if result.error:
        yield from (f"  {text}" for text in result.error.rstrip().splitlines())


def transcript_diff(result: Result) -> Iterator[str]:
    """The whole conversation as a diff, where replies are written in the file and came out differently."""
    if all(turn.written is None or turn.written.strip() == turn.reply.strip() for turn in result.turns):
        return
    wanted = [text for turn in result.turns for text in _said(turn, turn.written)]
    found = [text for turn in result.turns for text in _said(turn, turn.reply)]
    yield from difflib.unified_diff(wanted, found, "written", "played", n=2, lineterm="")


def _said(turn: PlayedTurn, reply: str | None) -> Iterator[str]:
    yield from (f"you ▸ {text}" for text in turn.user.splitlines())
    yield from (f"bot ▸ {text}" for text in (turn.reply if reply is None else reply).strip().splitlines())


class Statistics(Value):
    """Figures over all turns of many scenarios.

    Args:
        scenarios: How many were played.
        passed: How many passed.
        turns: Turns of all of them.
        without_generation: Turns in which the generator wrote nothing.
        median_without: Median milliseconds of those; None: there are none.
        reading_state: How many of those had the generator's hidden vectors read.
        median_encoder: Median milliseconds of turns that did not use the generator at all.
        median_with: Median milliseconds of turns with generation.
    """

    scenarios: int
    passed: int
    turns: int
    without_generation: int
    median_without: float | None
    reading_state: int
    median_encoder: float | None
    median_with: float | None


def statistics_of(results: Sequence[Result]) -> Statistics:
    """Figures of these results."""
    turns = [turn for result in results for turn in result.turns]
    without = [turn for turn in turns if not turn.generations]
    encoder_only = [turn for turn in without if not turn.reads_state]
    return Statistics(
        scenarios=len(results),
        passed=sum(result.passed for result in results),
        turns=len(turns),
        without_generation=len(without),
        median_without=_median(without),
        reading_state=len(without) - len(encoder_only),
        median_encoder=_median(encoder_only),
        median_with=_median([turn for turn in turns if turn.generations]),
    )


def _median(turns: Sequence[PlayedTurn]) -> float | None:
    return statistics.median(turn.milliseconds for turn in turns) if turns else None
