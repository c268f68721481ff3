"""Simulated conversations: each from a seed of its own, each failure shrunk to the fewest lines that still show it."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from agentkit.errors import InputRejected
from agentkit.events import Event
from agentkit.messages import Value
from agentkit.scenarios.format import Line, Scenario
from agentkit.scenarios.simulation.promises import Broken, Watcher
from agentkit.scenarios.simulation.setting import SimulationSetting
from agentkit.scenarios.simulation.user import SimulatedUser, material_of
from agentkit.scenarios.simulation.wording import Phrases, Rewording
from agentkit.scenarios.stage import Cast, Stage, staged


class Simulated(Value):
    """One simulated conversation.

    Args:
        seed: Makes it again.
        user: Who was signed in.
        lines: What the user said.
        replies: What the bot said to each.
        broken: The promises that were not kept.
    """

    seed: int
    user: str
    lines: tuple[str, ...]
    replies: tuple[str, ...]
    broken: tuple[Broken, ...] = ()


@dataclass(frozen=True)
class Simulation:
    """What is simulated.

    Args:
        folder: The bot folder.
        setting: Its users and promises.
        cast: Makes the models of the conversation with a seed.
    """

    folder: Path
    setting: SimulationSetting
    cast: Callable[[int], Cast]

    def run(self, seeds: Sequence[int]) -> Iterator[Simulated]:
        """Simulate one conversation for each seed."""
        phrases = Phrases.load()
        for seed in seeds:
            with staged(self.folder, self._scenario(), self.cast(seed)) as stage:
                source = random.Random(seed)
                user = source.choice(list(self.setting.users))
                material = material_of(stage.bot, self.setting)
                rewording = Rewording(source, phrases, stage.bot.encoder)
                person = SimulatedUser(source, user, material, phrases, rewording)
                count = source.randint(2, self.setting.lines)
                yield self._converse(stage, seed, user, _spoken_by(person), count)

    def again(self, seed: int, user: str, lines: Sequence[str]) -> Simulated:
        """Say exactly these lines."""
        with staged(self.folder, self._scenario(), self.cast(seed)) as stage:
            return self._converse(stage, seed, user, lambda _, position: lines[position], len(lines))

    def shrunk(self, found: Simulated, tries: int = 40) -> Simulated:
        """The shortest conversation that was found to break the same promise: lines are left out while it does.

        Args:
            found: A conversation that broke one.
            tries: Most conversations that are tried.
        """
        kind = found.broken[0].kind
        best, size = found, max(1, len(found.lines) // 2)
        while size and tries > 0:
            start = 0
            while start < len(best.lines) and len(best.lines) > 1 and tries > 0:
                shorter = best.lines[:start] + best.lines[start + size :]
                tries -= 1
                tried = self.again(best.seed, best.user, shorter) if shorter else best
                if shorter and any(each.kind == kind for each in tried.broken):
                    best = tried
                else:
                    start += size
            size //= 2
        return best

    def _scenario(self) -> Scenario:
        return Scenario(name="simulated", today=self.setting.today, turns=(Line(user="…"),))

    def _converse(
        self,
        stage: Stage,
        seed: int,
        user: str,
        says: Callable[[Sequence[Event], int], str],
        count: int,
    ) -> Simulated:
        """Talk until the lines end or a promise is broken."""
        watcher = Watcher(user, stage, self.setting)
        conversation = stage.bot.agent.new_conversation(user=user)
        lines: list[str] = []
        replies: list[str] = []
        broken: list[Broken] = []
        events: Sequence[Event] = ()
        with ThreadPoolExecutor(1) as thread:
            for position in range(count):
                line = says(events, position)
                lines.append(line)
                answer = thread.submit(self._answer, stage, user, conversation, line)
                problem = answer.exception()
                if isinstance(problem, InputRejected):
                    replies.append(f"({problem.message})")
                    continue
                if problem is not None:
                    last = traceback.format_exception(problem)
                    broken.append(Broken(kind=f"crash: {type(problem).__name__}", detail="".join(last)))
                    break
                events = answer.result()
                replies.append("\n".join(e.text for e in events if e.type == "replied"))
                broken += watcher.turn(events)
                if broken:
                    break
        broken += watcher.end()
        return Simulated(
            seed=seed, user=user, lines=tuple(lines), replies=tuple(replies), broken=tuple(broken)
        )

    def _answer(self, stage: Stage, user: str, conversation: str, line: str) -> list[Event]:
        profile = self.setting.users.get(user, {})
        return list(stage.bot.agent.stream(line, user=user, conversation=conversation, profile=profile))


def _spoken_by(person: SimulatedUser) -> Callable[[Sequence[Event], int], str]:
    return lambda events, _: person.next_line(events)


def by_kind(conversations: Sequence[Simulated]) -> dict[str, list[Simulated]]:
    """Conversations that broke a promise, by the first one, the most frequent kind first."""
    kinds: dict[str, list[Simulated]] = {}
    for each in conversations:
        if each.broken:
            kinds.setdefault(each.broken[0].kind, []).append(each)
    return dict(sorted(kinds.items(), key=lambda item: -len(item[1])))
