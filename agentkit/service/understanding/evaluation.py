"""Measuring what is understood: messages in their situation, the commands of each, and how many are exact.

A case is a JSON object on a line; `bot` is a folder beside the file with `intents.yaml` and `flows.yaml` (what can be
understood of its flows), `awaiting` is `slot FLOW.SLOT`, `confirmation FLOW` or `which_flow FLOW FLOW`, `expected`
holds commands as `start_flow FLOW`, `set_slot SLOT JSON`, `correct_slot SLOT JSON`, `confirm`, `deny` and so on:

    {"id", "kind", "bot", "text", "today", "awaiting", "active", "filled": {slot: value}, "expected": [command]}
"""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import Field, JsonValue, ValidationError

from agentkit.commands import Command, CorrectSlot, SetSlot, StartFlow
from agentkit.errors import BotFileError
from agentkit.events import UnderstoodBy
from agentkit.intents import AnsweredBy, IntentModel, Prediction, load_examples, train
from agentkit.messages import Value
from agentkit.models.protocols import Finished, GenerationRequest
from agentkit.service.sketch import Awaiting, FlowSketch, SlotSketch, SlotType
from agentkit.service.understanding.situation import Situation
from agentkit.service.understanding.understand import understand
from agentkit.yaml_files import load_yaml

if TYPE_CHECKING:
    from agentkit.models.protocols import Encoder, Generator
    from agentkit.prompts import PromptLibrary

_FORM: Final = (
    'A case is {"id", "bot", "text", "today": "2026-11-25", "awaiting": "slot FLOW.SLOT", "filled": {}, '
    '"expected": ["set_slot SLOT JSON"]}.'
)


class UnderstandingCase(Value):
    """One message in its situation.

    Args:
        id: Identifies it; unique in its file.
        kind: What it tries, for the figures.
        bot: Folder beside the file with `intents.yaml` and `flows.yaml`.
        text: The message.
        today: What days are counted from.
        awaiting: What the bot asked; empty: nothing.
        active: The active flow, where nothing was asked.
        filled: Slots of the active flow that have a value.
        expected: The commands.
        line: Where it stands in its file.
    """

    id: str
    kind: str = ""
    bot: str
    text: str
    today: date
    awaiting: str = Field(default="", pattern=r"^$|^slot \w+\.\w+$|^confirmation \w+$|^which_flow( \w+){2,}$")
    active: str | None = None
    filled: dict[str, JsonValue] = Field(default_factory=dict)
    expected: tuple[str, ...]
    line: int = 0


class _Slot(Value):
    type: SlotType = "text"
    description: str = ""
    pattern: str = ""
    choices: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    examples: tuple[str, ...] = ()
    asked: str = ""
    currency: str = ""
    past: bool = False


class _Flow(Value):
    description: str
    intents: tuple[str, ...] = ()
    slots: dict[str, _Slot] = Field(default_factory=dict)


class _Flows(Value):
    flows: dict[str, _Flow]


@dataclass(frozen=True)
class SketchedBot:
    """What is needed of a bot to understand messages.

    Args:
        flows: By name.
        intents: Its trained intents.
        answered_by: What answers each intent.
    """

    flows: Mapping[str, FlowSketch]
    intents: IntentModel
    answered_by: Mapping[str, AnsweredBy]


@dataclass(frozen=True)
class UnderstandingResult:
    """What was understood of a case.

    Args:
        id: The case's.
        kind: The case's.
        commands: As lines.
        exact: They are what was expected, order of starts included.
        by: Who decided.
        generations: How often the generator was asked.
        milliseconds: From the text to the commands, its embedding included.
        processor_milliseconds: Processor time of it, which other programs on the machine hardly change.
    """

    id: str
    kind: str
    commands: tuple[str, ...]
    exact: bool
    by: UnderstoodBy
    generations: int
    milliseconds: float
    processor_milliseconds: float

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.__dict__, ensure_ascii=False)


@dataclass(frozen=True)
class UnderstandingSummary:
    """The figures of a file.

    Args:
        cases: How many there are.
        exact: How many of them were understood exactly.
        by_kind: Exact ones and all, by kind.
        without_generation: Cases for which the generator was not asked.
        milliseconds: Median time of those.
        processor_milliseconds: Median processor time of those.
        milliseconds_asking: Median time of the others; None where there are none.
    """

    cases: int
    exact: int
    by_kind: Mapping[str, tuple[int, int]]
    without_generation: int
    milliseconds: float | None
    processor_milliseconds: float | None
    milliseconds_asking: float | None


def read_understanding_cases(path: Path) -> list[UnderstandingCase]:
    """The cases of a JSON Lines file; empty lines are skipped.

    Raises:
        BotFileError: The file cannot be read, holds no case, or a line is none; names file, line and field.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as problem:
        hint = "Name a JSON Lines file in UTF-8."
        raise BotFileError(f"cannot be read: {problem}", path=path, hint=hint) from problem
    cases: list[UnderstandingCase] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            cases.append(_case(line, path, number))
            if cases[-1].id in [each.id for each in cases[:-1]]:
                raise BotFileError("the id is given twice", path=path, line=number, field="id", hint=_FORM)
    if not cases:
        raise BotFileError("holds no case", path=path, hint=_FORM)
    return cases


def load_sketched_bot(folder: Path, encoder: Encoder) -> SketchedBot:
    """Read `flows.yaml`, and train the intents of `intents.yaml`.

    Raises:
        BotFileError: A file is missing or wrong; names file and line.
    """
    file = load_examples(folder / "intents.yaml")
    examples = file.examples
    model = train(examples, encoder.encode([each.text for each in examples]), encoder.id)
    flows = {
        name: FlowSketch(
            name=name,
            description=flow.description,
            intents=flow.intents,
            slots={key: SlotSketch(name=key, **dict(slot)) for key, slot in flow.slots.items()},
        )
        for name, flow in load_yaml(folder / "flows.yaml", _Flows).flows.items()
    }
    answered_by = {name: binding.answered_by for name, binding in file.bindings.items()}
    return SketchedBot(flows, model, answered_by)


def check_understanding_cases(
    path: Path, cases: Iterable[UnderstandingCase], bots: Mapping[str, SketchedBot]
) -> None:
    """Refuse cases that name flows and slots which their bots do not have.

    Args:
        path: The file that they come from.
        cases: What it holds.
        bots: By the name that cases call them.

    Raises:
        BotFileError: Names file, line and field.
    """
    for case in cases:
        flows = bots[case.bot].flows
        awaited = [each.partition(".") for each in case.awaiting.split()[1:]]
        active = case.active or next((flow for flow, _, _ in awaited), None)
        named = [("awaiting", flow, slot) for flow, _, slot in awaited]
        named += [("active", case.active, "")] if case.active is not None else []
        named += [("filled", active, slot) for slot in case.filled] if active is not None else []
        for field, flow, slot in named:
            if flow not in flows:
                problem, known = f"the bot {case.bot!r} has no flow {flow!r}", list(flows)
            elif slot and slot not in flows[flow].slots:
                problem, known = f"the flow {flow!r} has no slot {slot!r}", list(flows[flow].slots)
            else:
                continue
            hint = f"It has: {', '.join(known) or 'none'}."
            raise BotFileError(problem, path=path, line=case.line, field=field, hint=hint)


def evaluate_understanding(
    cases: Iterable[UnderstandingCase],
    bots: Mapping[str, SketchedBot],
    *,
    encoder: Encoder,
    generator: Generator | None,
    prompts: PromptLibrary,
) -> Iterator[UnderstandingResult]:
    """What is understood of each case, as a turn would.

    Args:
        cases: The messages.
        bots: By the name that cases call them.
        encoder: Embeds messages and their clauses.
        generator: Asked where rules and encoder are not sure; None: never.
        prompts: The texts around it.
    """
    for case in cases:
        asked: list[GenerationRequest] = []

        def ask(request: GenerationRequest, asked: list[GenerationRequest] = asked) -> str:
            assert generator is not None
            asked.append(request)
            return next(each.text for each in generator.generate(request) if isinstance(each, Finished))

        started, busy = time.perf_counter(), time.process_time()
        situation = _situation(case, bots[case.bot], encoder)
        understood = understand(situation, ask=ask if generator is not None else None, prompts=prompts)
        taken = (time.perf_counter() - started) * 1000, (time.process_time() - busy) * 1000
        lines = tuple(command_line(each) for each in understood.commands)
        exact = _same(lines, case.expected)
        yield UnderstandingResult(case.id, case.kind, lines, exact, understood.by, len(asked), *taken)


def summarise_understanding(results: Sequence[UnderstandingResult]) -> UnderstandingSummary:
    """The figures of a file."""
    kinds = Counter(each.kind for each in results)
    exact = Counter(each.kind for each in results if each.exact)
    quick = [each for each in results if not each.generations]
    asking = [each.milliseconds for each in results if each.generations]
    return UnderstandingSummary(
        cases=len(results),
        exact=sum(exact.values()),
        by_kind={kind: (exact[kind], count) for kind, count in kinds.items()},
        without_generation=len(quick),
        milliseconds=statistics.median(each.milliseconds for each in quick) if quick else None,
        processor_milliseconds=statistics.median(each.processor_milliseconds for each in quick)
        if quick
        else None,
        milliseconds_asking=statistics.median(asking) if asking else None,
    )


def command_line(command: Command) -> str:
    """A command as a line: its type, whose it is, its value as JSON."""
    match command:
        case StartFlow():
            return f"{command.type} {command.flow}"
        case SetSlot() | CorrectSlot():
            return f"{command.type} {command.slot} {json.dumps(command.value, ensure_ascii=False)}"
        case _:
            return command.type


def _same(found: Sequence[str], expected: Sequence[str]) -> bool:
    """Whether the same is asked for: flows in their order, and whatever belongs to each in any order."""
    return _by_flow(found) == _by_flow(expected)


def _by_flow(lines: Sequence[str]) -> list[Counter[str]]:
    parts: list[Counter[str]] = [Counter()]
    for line in lines:
        if line.startswith("start_flow"):
            parts.append(Counter())
        elif not line.startswith(("set_slot", "correct_slot")):
            parts[0][line] += 1  # a question stands for itself, before a flow or behind it
            continue
        parts[-1][line] += 1
    return parts


def _situation(case: UnderstandingCase, bot: SketchedBot, encoder: Encoder) -> Situation:
    kind, *names = case.awaiting.split() or [""]
    flow, _, slot = names[0].partition(".") if names else ("", "", "")
    awaiting: Awaiting | None = None
    if kind == "slot":
        awaiting = Awaiting("slot", bot.flows[flow].slots[slot].asked, flow, slot)
    elif kind == "confirmation":
        awaiting = Awaiting("confirmation", "", flow)
    elif kind == "which_flow":
        awaiting = Awaiting("which_flow", options=tuple(names))
    [prediction] = bot.intents.predict_all([case.text], encoder.encode([case.text]))

    def classify(texts: Sequence[str]) -> Sequence[Prediction]:
        return bot.intents.predict_all(texts, encoder.encode(texts))

    return Situation(
        text=case.text,
        flows=bot.flows,
        today=case.today,
        prediction=prediction,
        answered_by=bot.answered_by,
        active=case.active or (flow if kind in ("slot", "confirmation") else None),
        awaiting=awaiting,
        filled=case.filled,
        classify=classify,
    )


def _case(line: str, path: Path, number: int) -> UnderstandingCase:
    try:
        return UnderstandingCase.model_validate_json(line).model_copy(update={"line": number})
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        raise BotFileError(first["msg"], path=path, line=number, field=at or None, hint=_FORM) from problem
