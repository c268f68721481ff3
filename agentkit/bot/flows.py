"""The flows of a bot folder, checked against its tools and intents."""

from __future__ import annotations

from pathlib import Path

from agentkit.bot.code import tools_of
from agentkit.bot.config import BotConfig, config_error, load_config
from agentkit.intents import IntentFile, load_examples
from agentkit.service.book import FlowBook
from agentkit.service.loading import load_flows
from agentkit.tools import Toolset


def flows_of(
    folder: Path, config: BotConfig, toolset: Toolset, intents: IntentFile | None
) -> FlowBook | None:
    """The flows that `agent.yaml` names; None where it names none.

    Raises:
        BotFileError: The folder is missing, a flow is wrong, an intent both starts a flow and is answered otherwise, or
            an intent leads to an effect past the flows.
    """
    if config.flows is None:
        return None
    if not (folder / config.flows).is_dir():
        raise config_error(
            folder,
            f"there is no folder {config.flows!r} in the bot folder",
            at=("flows",),
            hint="Create it with a flow, or remove `flows`.",
        )
    book = load_flows(
        folder / config.flows,
        toolset.tools(),
        intents=set(intents.bindings) if intents is not None else None,
        tone=config.tone,
        language=config.language,
        contact=config.contact.strip(),
    )
    if intents is not None:
        _check_bindings(book, intents)
    return book


def load_bot_flows(folder: Path) -> FlowBook:
    """The flows of a bot folder, without opening the bot: for checks and pictures.

    Raises:
        BotFileError: Something in the folder is missing or wrong, or the bot has no flows.
    """
    config = load_config(folder)
    tools = tools_of(folder, config)
    try:
        intents = load_examples(folder / config.intents) if config.intents else None
        book = flows_of(folder, config, tools.toolset, intents)
    finally:
        tools.close()
    if book is None:
        raise config_error(
            folder, "the bot has no flows", at=(), hint="Add `flows: flows` and a flow in that folder."
        )
    return book


def _check_bindings(book: FlowBook, intents: IntentFile) -> None:
    for intent, binding in intents.bindings.items():
        if intent in book.by_intent and binding.ways():
            raise intents.document.error(
                f"the intent starts the flow `{book.by_intent[intent]}`, and is answered by "
                f"`{binding.answered_by}`, too",
                at=("intents", intent, binding.answered_by),
                hint="remove one of the two",
            )
        acting = [name for name in binding.tools if name in book.tools and book.has_effect(name)]
        if acting:
            raise intents.document.error(
                f"`{acting[0]}` has an effect; in a bot with flows it runs in a flow, after a confirmation",
                at=("intents", intent, "tools"),
                hint="write a flow that the intent starts, or bind tools that only look",
            )
