"""From a bot folder to a wired agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from agentkit.agent import Agent
from agentkit.bot.code import BotTools, tools_of
from agentkit.bot.config import CONFIG_FILE, BotConfig, config_error, load_config
from agentkit.bot.data import data_folder, database_of
from agentkit.bot.flows import flows_of
from agentkit.errors import ConfigurationError
from agentkit.intents import Binding, IntentFile, IntentModel, load_examples, train_cached
from agentkit.intents.training_data import hash_of
from agentkit.knowledge import KnowledgeIndex
from agentkit.models import Encoder, Generator, LazyGenerator, load_encoder, load_generator_lazily
from agentkit.models.progress import Progress
from agentkit.models.vector_cache import CachedEncoder
from agentkit.prompts import PromptLibrary
from agentkit.service.book import FlowBook
from agentkit.store.identifiers import Ids, new_id
from agentkit.store.sqlite_store import SqliteStore
from agentkit.tools import Toolset
from agentkit.yaml_files import read_yaml


class Closable(Protocol):
    """Something that holds memory, files or threads."""

    def close(self) -> None:
        """Let go of them."""
        ...


@dataclass
class Bot:
    """A bot that is ready to talk.

    Args:
        folder: Its folder.
        config: Its `agent.yaml`.
        agent: The wired agent.
        tools: Its tools, those of its MCP servers among them.
        database: Where it keeps conversations and memories.
        generator: What writes; loaded when it is first needed.
        encoder: What embeds.
        intents: The names of its intents.
        flows: Its business processes; None: it has none.
        opened: What was opened for this bot alone, and ends with it.
    """

    folder: Path
    config: BotConfig
    agent: Agent
    tools: BotTools
    database: Path
    generator: Generator
    encoder: Encoder
    intents: tuple[str, ...]
    flows: FlowBook | None
    opened: tuple[Closable, ...]

    def warm_up(self) -> None:
        """Load the generator in another thread, if it is not loaded: for while a person types."""
        if isinstance(self.generator, LazyGenerator):
            self.generator.start_loading()

    def close(self) -> None:
        """Close the store, and free the models that were loaded for this bot."""
        self.agent.close()
        for each in self.opened:
            each.close()


@dataclass(frozen=True)
class Apart:
    """What differs where a bot is opened for a scenario.

    Args:
        caches: Folder of what is computed once for all bots; None: the user's data folder.
        ids: Names conversations, turns and memories.
        around: Changes the tools, for example into those that a scenario plays.
    """

    caches: Path | None = None
    ids: Ids = new_id
    around: Callable[[Toolset], Toolset] = lambda toolset: toolset


def open_bot(
    folder: Path,
    *,
    generator: str | Generator | None = None,
    encoder: str | Encoder | None = None,
    database: Path | None = None,
    progress: Progress | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    apart: Apart | None = None,
) -> Bot:
    """Load everything that `agent.yaml` names and wire it.

    Args:
        folder: The bot folder.
        generator: Takes the place of the generator in `agent.yaml`: a reference or a loaded one.
        encoder: The same for the encoder.
        database: The SQLite file; None: the bot's own in the user's data folder.
        progress: Told about downloads, conversions and indexing.
        now: The clock, aware UTC.
        apart: What differs where a bot is opened for a scenario.

    Raises:
        BotFileError: Something in the folder is missing or wrong.
        ModelError: A model cannot be found, fetched or loaded.
        StoreError: The database cannot be used.
    """
    folder = Path(folder)
    config = load_config(folder)
    apart = apart or Apart()
    tools = _tools(folder, config, apart)
    intents_file = load_examples(folder / config.intents) if config.intents else None
    bindings = dict(intents_file.bindings) if intents_file else {}
    _check_bindings(folder, config, bindings, tools)
    flows = flows_of(folder, config, tools.toolset, intents_file)
    sources = knowledge_sources(folder, config)
    path = database or database_of(folder)
    store = SqliteStore.open(path, clock=now, ids=apart.ids)
    opened: list[Closable] = [store, tools]
    if encoder is None or isinstance(encoder, str):
        encoder = load_encoder(encoder or config.encoder, progress=progress)
        opened.append(encoder)
    if generator is None or isinstance(generator, str):
        generator = load_generator_lazily(generator or config.generator, progress=progress)
        opened.append(generator)
    authored = CachedEncoder(encoder, (apart.caches or data_folder()) / "vectors.db")
    agent = Agent(
        generator=generator,
        encoder=encoder,
        tools=tools.toolset,
        database=store,
        intents=_intents(folder, config, intents_file, authored, apart),
        bindings=bindings,
        knowledge=_knowledge(store, authored, sources, progress),
        prompts=PromptLibrary([folder / config.prompts] if config.prompts else []),
        reply_folder=folder / config.replies if config.replies else None,
        flows=flows,
        settings=config.settings(),
        now=now,
    )
    return Bot(folder, config, agent, tools, path, generator, encoder, tuple(bindings), flows, tuple(opened))


def _tools(folder: Path, config: BotConfig, apart: Apart) -> BotTools:
    tools = tools_of(folder, config)
    return replace(tools, toolset=apart.around(tools.toolset))


def _intents(
    folder: Path, config: BotConfig, file: IntentFile | None, authored: CachedEncoder, apart: Apart
) -> IntentModel | None:
    """The trained intents: those of the folder that `agent.yaml` names, or a head that is trained now and cached."""
    if config.intent_model is None:
        caches = apart.caches or data_folder()
        return None if file is None else train_cached(file.examples, authored, caches / "intents")
    again = f"Run: agentkit intents train --data {folder} --out {folder / config.intent_model}"
    if file is None:
        raise config_error(
            folder,
            "there is a trained model, but the bot has no `intents`",
            at=("intent_model",),
            hint="Add `intents: intents.yaml`, or remove `intent_model`.",
        )
    try:
        model = IntentModel.load(folder / config.intent_model, authored.encoder)
    except ConfigurationError as error:
        raise config_error(folder, error.message, at=("intent_model",), hint=again) from error
    if model.data_hash != hash_of(file.examples):
        raise config_error(
            folder,
            f"{config.intent_model} was trained with other examples than {config.intents} holds now",
            at=("intent_model",),
            hint=again,
        )
    return model


def _knowledge(
    store: SqliteStore, encoder: Encoder, sources: list[Path], progress: Progress | None
) -> KnowledgeIndex | None:
    knowledge = KnowledgeIndex(store.knowledge("default"), encoder, progress)
    knowledge.sync(sources)
    return knowledge if knowledge.documents() else None


def knowledge_sources(folder: Path, config: BotConfig) -> list[Path]:
    """The folders and files with the bot's own documents.

    Raises:
        BotFileError: One of them is not there.
    """
    for position, name in enumerate(config.knowledge):
        if not (folder / name).exists():
            raise config_error(
                folder,
                f"there is no {name!r} in the bot folder",
                at=("knowledge", position),
                hint="Create it with documents to answer from, or remove the entry.",
            )
    return [folder / name for name in config.knowledge]


def _check_folders(folder: Path, config: BotConfig) -> None:
    for field, name in (("replies", config.replies), ("prompts", config.prompts)):
        if name is not None and not (folder / name).is_dir():
            raise config_error(
                folder,
                f"there is no folder {name!r} in the bot folder",
                at=(field,),
                hint=f"Create it, or remove `{field}`.",
            )


def _check_bindings(folder: Path, config: BotConfig, bindings: dict[str, Binding], tools: BotTools) -> None:
    _check_folders(folder, config)
    bound = [name for binding in bindings.values() for name in binding.tools]
    # A server that is down now may have the tool later.
    elsewhere = tuple(server.prefix for server in tools.servers)
    names = {tool.name for tool in tools.toolset.tools()} | {n for n in bound if n.startswith(elsewhere)}
    for intent, binding in bindings.items():
        for name in binding.tools:
            if name not in names:
                raise read_yaml(folder / str(config.intents)).error(
                    f"the intent is bound to the tool {name!r}, which the bot does not have; "
                    f"it has: {', '.join(sorted(names)) or 'none'}",
                    at=("intents", intent, "tools"),
                    hint=f"Add the tool to `tools` in {CONFIG_FILE}, or correct the name.",
                )
        if binding.knowledge and not config.knowledge:
            raise read_yaml(folder / str(config.intents)).error(
                "the intent is answered from the knowledge, but the bot has none",
                at=("intents", intent, "knowledge"),
                hint=f"Add `knowledge: [knowledge]` to {CONFIG_FILE} and Markdown files to that folder.",
            )
