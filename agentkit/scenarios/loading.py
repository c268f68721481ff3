"""Finds scenario files, reads them, and compares the names in them with what the bot has."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, get_args

from agentkit.bot import Bot
from agentkit.errors import BotFileError
from agentkit.events import DialogueEvent, PeopleEvent, TurnEvent
from agentkit.scenarios.format import Expectation, Scenario
from agentkit.yaml_files import Location, YamlDocument, read_yaml

FOLDER: Final = "scenarios"
_EVENTS: Final = {
    event.model_fields["type"].default: event
    for union in (TurnEvent, DialogueEvent, PeopleEvent)
    for event in get_args(union)
}


@dataclass(frozen=True)
class ScenarioFile:
    """A scenario and where it is written.

    Args:
        path: The file.
        scenario: What it says.
        document: The same with line numbers.
    """

    path: Path
    scenario: Scenario
    document: YamlDocument = field(repr=False)


@dataclass(frozen=True)
class Known:
    """The names that expectations may use; None: not compared.

    Args:
        intents: Intents of the bot.
        tools: Its tools.
        flows: Its business processes.
        slots: The values that they need.
        policies: Its named rules.
    """

    intents: Collection[str] | None = None
    tools: Collection[str] | None = None
    flows: Collection[str] | None = None
    slots: Collection[str] | None = None
    policies: Collection[str] | None = None


def known_names(bot: Bot) -> Known:
    """The names of an open bot."""
    tools = [tool.name for tool in bot.tools.toolset.tools()]
    if bot.flows is None:
        return Known(intents=bot.intents, tools=tools, flows=(), slots=(), policies=())
    loaded = bot.flows.flows
    slots = {name for each in loaded.values() for name in each.flow.slots}
    policies = [each.name for each in bot.flows.policies]
    return Known(bot.intents, tools, list(loaded), slots, policies)


def scenario_paths(folder: Path) -> list[Path]:
    """The scenario files of a bot folder, by name."""
    return sorted((folder / FOLDER).glob("**/*.yaml"))


def scenario_path(folder: Path, name: str) -> Path:
    """The file of a scenario, named by path or by its name in `scenarios/`.

    Raises:
        BotFileError: There is no such scenario; names those there are.
    """
    for path in (folder / FOLDER / f"{name}.yaml", folder / FOLDER / name, Path(name)):
        if path.is_file():
            return path
    stems = [path.relative_to(folder / FOLDER).with_suffix("").as_posix() for path in scenario_paths(folder)]
    near = difflib.get_close_matches(name, stems, n=1)
    raise BotFileError(
        f"there is no scenario {name!r}; the scenarios are: {', '.join(stems) or 'none'}",
        path=folder / FOLDER,
        hint=f"Did you mean {near[0]}?" if near else "Name one of them.",
    )


def load_scenario(path: Path) -> ScenarioFile:
    """Read a scenario.

    Raises:
        BotFileError: The file is missing or wrong; names file, line and field.
    """
    document = read_yaml(path)
    scenario = document.validate(Scenario)
    for at, problem, hint in _wrong_events(scenario):
        raise document.error(problem, at=at, hint=hint)
    return ScenarioFile(path, scenario, document)


def check_names(file: ScenarioFile, known: Known) -> None:
    """Refuse a scenario that speaks of what the bot does not have: `not_called` of a misspelt tool always holds.

    Raises:
        BotFileError: A name that there is not; names file, line and field.
    """
    for at, kind, name, names in _names(file.scenario, known):
        if names is not None and name not in names:
            near = difflib.get_close_matches(name, list(names), n=1)
            raise file.document.error(
                f"the bot has no {kind} {name!r}; it has: {', '.join(sorted(names)) or 'none'}",
                at=at,
                hint=f"did you mean `{near[0]}`?" if near else "",
            )


def _names(scenario: Scenario, known: Known) -> Iterator[tuple[Location, str, str, Collection[str] | None]]:
    for name in scenario.stubs:
        yield ("stubs", name), "tool", name, known.tools
    for number, line in enumerate(scenario.turns):
        for action in ("approve", "reject"):
            if (tool := getattr(line, action)) is not None:
                yield ("turns", number, action), "tool", tool, known.tools
        yield from _names_of(line.expect, ("turns", number, "expect"), known)


def _names_of(
    expect: Expectation, at: Location, known: Known
) -> Iterator[tuple[Location, str, str, Collection[str] | None]]:
    if expect.intent is not None:
        yield (*at, "intent"), "intent", expect.intent, known.intents
    lists: Sequence[tuple[str, str, Sequence[str], Collection[str] | None]] = (
        ("flow_started", "flow", expect.flow_started, known.flows),
        ("flow_ended", "flow", expect.flow_ended, known.flows),
        ("slot_set", "slot", list(expect.slot_set), known.slots),
        ("not_called", "tool", expect.not_called, known.tools),
        ("policy_refused", "policy", expect.policy_refused, known.policies),
        (
            "tool_called",
            "tool",
            [c if isinstance(c, str) else c.name for c in expect.tool_called],
            known.tools,
        ),
    )
    for key, kind, names, allowed in lists:
        for position, name in enumerate(names):
            step = name if key == "slot_set" else position
            yield (*at, key, step), kind, name, allowed


def _wrong_events(scenario: Scenario) -> Iterator[tuple[Location, str, str]]:
    for number, line in enumerate(scenario.turns):
        for position, wanted in enumerate(line.expect.events):
            at: Location = ("turns", number, "expect", "events", position)
            if wanted.type not in _EVENTS:
                near = difflib.get_close_matches(wanted.type, list(_EVENTS), n=1)
                known = f"known are: {', '.join(sorted(_EVENTS))}"
                hint = f"did you mean `{near[0]}`? {known}" if near else known
                yield (*at, "type"), f"there is no event {wanted.type!r}", hint
                return
            fields = _EVENTS[wanted.type].model_fields
            for name in wanted.having:
                if name not in fields:
                    known = f"it has: {', '.join(sorted(fields))}"
                    yield (*at, "having", name), f"the event {wanted.type} has no such field", known
                    return


def name_of(folder: Path, path: Path) -> str:
    """What reports call a scenario: its path below `scenarios/` without the ending."""
    home = (folder / FOLDER).resolve()
    path = path.resolve()
    return (path.relative_to(home) if path.is_relative_to(home) else path).with_suffix("").as_posix()
