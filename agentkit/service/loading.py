"""From `flows/*.yaml` to a book of flows; every mistake is reported with file and line."""

from __future__ import annotations

import importlib.resources
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentkit.service.book import FlowBook, LoadedFlow, NamedPolicy
from agentkit.service.expressions import Expressions
from agentkit.service.flow import Flow, PolicyFile
from agentkit.service.rules import check_flow, check_policy
from agentkit.yaml_files import YamlDocument, read_yaml

if TYPE_CHECKING:
    from agentkit.tools import Tool

POLICIES: Final = "policies.yaml"
"""The file of a flow folder that holds rules and no flow."""

DEFAULT_LANGUAGE: Final = "en"


def load_flows(
    folder: Path,
    tools: Iterable[Tool],
    *,
    intents: Collection[str] | None = None,
    tone: str = "friendly",
    language: str = DEFAULT_LANGUAGE,
    contact: str = "",
) -> FlowBook:
    """Read every flow of a folder, the patterns that it does not have itself, and its policies.

    Args:
        folder: The folder `flows` of a bot.
        tools: What flows may call.
        intents: Names of the bot's intents; None: flows name none that could be checked.
        tone: How the bot speaks.
        language: Code of the language of its texts; patterns that do not ship in it are English.
        contact: How a person is reached.

    Raises:
        BotFileError: A file is missing or wrong: an unknown key, slot, step, tool or intent, a text or an expression
            that is not valid, a call with an effect that nobody is asked about; names file and line.
    """
    own = _read(sorted(each for each in folder.glob("*.yaml") if each.name != POLICIES))
    flows = {each.flow.name: each for each in (*_shipped(language), *own)}
    policies = _policies(folder / POLICIES)
    by_name = {tool.name: tool for tool in tools}
    book = FlowBook(flows, policies, by_name, tone, language, contact, Expressions(language))
    for loaded in flows.values():
        check_flow(loaded, book, intents)
    for policy in policies:
        check_policy(policy, book)
    _check_intents(own)
    return book


def patterns(language: str = DEFAULT_LANGUAGE) -> dict[str, LoadedFlow]:
    """The patterns that ship, by name."""
    return {each.flow.name: each for each in _shipped(language)}


def _read(paths: Sequence[Path]) -> list[LoadedFlow]:
    found: dict[str, LoadedFlow] = {}
    for path in paths:
        document = read_yaml(path)
        flow = document.validate(Flow)
        if flow.name != path.stem:
            raise document.error(
                f"the flow is called `{flow.name}` and its file `{path.name}`",
                at=("name",),
                hint=f"call the file {flow.name}.yaml, or the flow {path.stem}",
            )
        found[flow.name] = LoadedFlow(flow, document)
    return list(found.values())


def _shipped(language: str) -> list[LoadedFlow]:
    """The patterns in English, those of the language in their place."""
    root = importlib.resources.files("agentkit.service") / "patterns"
    found: list[LoadedFlow] = []
    for name in dict.fromkeys((DEFAULT_LANGUAGE, language.partition("-")[0])):
        with importlib.resources.as_file(root / name) as folder:
            found += _read(sorted(folder.glob("*.yaml")))
    return found


def _policies(path: Path) -> tuple[NamedPolicy, ...]:
    if not path.exists():
        return ()
    document = read_yaml(path)
    named = document.validate(PolicyFile).policies
    return tuple(NamedPolicy(name, policy, document) for name, policy in named.items())


def _check_intents(flows: Sequence[LoadedFlow]) -> None:
    """One intent starts one flow."""
    taken: dict[str, tuple[str, YamlDocument]] = {}
    for each in flows:
        for number, intent in enumerate(each.flow.intents):
            if intent in taken:
                raise each.document.error(
                    f"the intent `{intent}` already starts the flow `{taken[intent][0]}`",
                    at=("intents", number),
                    hint="an intent starts one flow; remove it from one of the two",
                )
            taken[intent] = each.flow.name, each.document
