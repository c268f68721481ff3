"""What `agent.yaml` may say: a closed model, so that a misspelt key is an error and not a silent default."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from agentkit.agent.hours import DeskSettings
from agentkit.agent.settings import Limits, Settings
from agentkit.errors import BotFileError
from agentkit.messages import Value
from agentkit.remote.mcp import McpSettings
from agentkit.remote.openapi import ServiceSettings
from agentkit.store.erasure_records import Retention
from agentkit.yaml_files import Location, load_yaml, read_yaml

DEFAULT_GENERATOR = "qwen2.5-coder-1.5b"
DEFAULT_ENCODER = "minilm-l6"
CONFIG_FILE = "agent.yaml"


class Thresholds(Value):
    """Cosine similarities from which something counts; see `agentkit.agent.settings.Settings`."""

    tools: float = Field(default=Settings().tool_similarity, ge=-1, le=1)
    plan: float = Field(default=Settings().plan_similarity, ge=-1, le=1)
    passages: float = Field(default=Settings().passage_similarity, ge=-1, le=1)
    recall: float = Field(default=Settings().recall_similarity, ge=-1, le=1)
    memory_answer: float = Field(default=Settings().memory_answer_similarity, ge=-1, le=1)


class BotConfig(Value):
    """The content of `agent.yaml`.

    Args:
        name: What the bot is called.
        description: One line for people who choose among bots.
        language: Language of the bot's texts, as a tag such as `en`.
        generator: Catalogue name, folder or Hugging Face id of the generator, or a model on a server
            (`http://localhost:11434/v1#qwen2.5`).
        encoder: Catalogue name, folder or Hugging Face id of the encoder.
        instructions: Who the bot is, in a few sentences; part of every prompt, so keep it short.
        tools: Python files of the folder (`tools.py`) and names of tools that plugins add (`clock`).
        mcp: MCP servers whose tools the bot uses, by name.
        services: HTTP services whose operations the bot uses as tools, by name; OpenAPI files describe them.
        intents: The file with intents and their examples.
        intent_model: Folder that `agentkit intents train` wrote for these examples, with `--tune` for example; else
            the bot trains a head when it is opened.
        knowledge: Folders or Markdown files to answer from.
        flows: Folder of flow files; tools with an effect then run in flows only. See docs/flows.md.
        tone: How the flows speak: for texts that want to know, and for free phrasing.
        replies: Folder of reply templates: `<tool>.jinja` and `ask_<argument>.jinja`.
        prompts: Folder whose templates take the place of those that ship.
        setup: Python file whose `reset()` makes the data that the tools work on; scenarios start from it.
        contact: How a person is reached; quoted when the bot declines.
        limits: What stops a run.
        thresholds: From which similarity something counts.
        approve: Tools, by name or by effect (`write`, `egress`), whose every call a person has to agree to.
        compaction: How the beginning of a long conversation is summarised: `extractive` or `generated`.
        fact_extraction: How facts are found in what a user says: by `rules` or `generated`.
        retention: For how many days conversations, events, messages and facts are kept; `agentkit memory expire`
            applies it.
        desk: Who answers customers that the bot hands over with `agentkit desk`, and when. Without it nobody does, and
            the bot goes on answering.
    """

    name: str = Field(min_length=1)
    description: str = ""
    language: str = "en"
    generator: str = DEFAULT_GENERATOR
    encoder: str = DEFAULT_ENCODER
    instructions: str = ""
    tools: tuple[str, ...] = ()
    mcp: dict[str, McpSettings] = Field(default_factory=dict)
    services: dict[str, ServiceSettings] = Field(default_factory=dict)
    intents: str | None = None
    intent_model: str | None = None
    knowledge: tuple[str, ...] = ()
    flows: str | None = None
    tone: str = "friendly"
    replies: str | None = None
    prompts: str | None = None
    setup: str | None = None
    contact: str = ""
    limits: Limits = Limits()
    thresholds: Thresholds = Thresholds()
    approve: tuple[str, ...] = ()
    compaction: Literal["extractive", "generated"] = "extractive"
    fact_extraction: Literal["rules", "generated"] = "rules"
    retention: Retention = Retention()
    desk: DeskSettings | None = None

    def settings(self) -> Settings:
        """The part of it that the loop reads."""
        return Settings(
            instructions=self.instructions.strip(),
            contact=self.contact.strip(),
            limits=self.limits,
            tool_similarity=self.thresholds.tools,
            passage_similarity=self.thresholds.passages,
            recall_similarity=self.thresholds.recall,
            memory_answer_similarity=self.thresholds.memory_answer,
            plan_similarity=self.thresholds.plan,
            approve=self.approve,
            compaction=self.compaction,
            fact_extraction=self.fact_extraction,
            desk=self.desk,
        )


def load_config(folder: Path) -> BotConfig:
    """Read `agent.yaml` of a bot folder.

    Raises:
        BotFileError: The file is missing or wrong; names file, line and field.
    """
    return load_yaml(folder / CONFIG_FILE, BotConfig)


def config_error(folder: Path, message: str, *, at: Location, hint: str) -> BotFileError:
    """An error about a field of `agent.yaml` that only shows when the bot is put together; raise it."""
    return read_yaml(folder / CONFIG_FILE).error(message, at=at, hint=hint)
