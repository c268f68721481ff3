"""AgentDojo's tools as their authors would declare them for agentkit; what is not declared gets the secure defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import Field, TypeAdapter

from agentkit.messages import ToolSpec, Value
from agentkit.tools import Tool
from agentkit.tools.parameters import Parameter

_FILE: Final = Path(__file__).with_name("declarations.yaml")
_ANYTHING: Final[TypeAdapter[Any]] = TypeAdapter(Any)


class Declaration(Value):
    """What `declarations.yaml` says about one tool; the head of that file explains the fields."""

    effect: str = "write"
    trusted: bool = False
    handles: dict[str, str] = Field(default_factory=dict)
    content: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    kinds: dict[str, str] = Field(default_factory=dict)
    keeps: bool | None = None


def declared_tools(suite: str, described: list[dict[str, Any]]) -> dict[str, Tool]:
    """The tools of a suite by name.

    Args:
        suite: Name of the suite.
        described: Name, description and JSON Schema of each tool, as `record.py` writes them.
    """
    texts = yaml.safe_load(_FILE.read_text(encoding="utf-8")).get(suite, {})
    declarations = {name: Declaration.model_validate(said) for name, said in texts.items()}
    return {each["name"]: _tool(each, declarations.get(each["name"], Declaration())) for each in described}


def _tool(described: Mapping[str, Any], declaration: Declaration) -> Tool:
    schema = described["parameters"]
    required = schema.get("required", [])
    parameters = tuple(
        Parameter(
            name=name,
            adapter=_ANYTHING,  # AgentDojo checked the reference calls itself
            schema=dict(each),
            definitions={},
            required=name in required,
            authority=False,
            content=name in (*declaration.content, *declaration.times),
            kind=declaration.kinds.get(name, ""),
        )
        for name, each in schema.get("properties", {}).items()
    )
    properties = {
        name: {**each, "format": "date-time"} if name in declaration.times else each
        for name, each in schema.get("properties", {}).items()
    }
    return Tool(
        spec=ToolSpec(
            name=described["name"],
            description=described["description"],
            parameters={**schema, "properties": properties},
        ),
        function=dict,  # never called: AgentDojo ran it
        parameters=parameters,
        takes_context=False,
        effect=declaration.effect,  # type: ignore[arg-type]
        idempotent=False,
        timeout=1.0,
        trusted=declaration.trusted,
        sequential=False,
        origin="AgentDojo",
        handles=declaration.handles,
        confidential=declaration.keeps,
    )
