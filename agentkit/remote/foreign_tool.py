"""Tools whose arguments are described by a JSON Schema that somebody else wrote: MCP servers, OpenAPI files.

Nothing in such a description is believed. Its text is cut and cleaned, references that leave it are refused, and
only keywords stay that decide what an argument may be. Patterns are kept for the constraint, which follows them in
linear time; Python's `re`, which may take for ever, never sees them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import AfterValidator, TypeAdapter

from agentkit.errors import ConstraintUnsupported, ToolDefinitionError
from agentkit.messages import ToolEffect, ToolSpec
from agentkit.models.schema_check import violations
from agentkit.models.schema_references import circle, dangling
from agentkit.models.schema_support import enforceable
from agentkit.tools import Tool
from agentkit.tools.context import AUTHORITY_KEY
from agentkit.tools.parameters import Parameter

_MOST_DEPTH: Final = 20
_MOST_NODES: Final = 2_000
_MOST_DESCRIPTION: Final = 600
_MOST_ARGUMENT_DESCRIPTION: Final = 200
_MOST_NAME: Final = 100
_MOST_CHOICE: Final = 200
# fmt: off
_KEPT: Final = frozenset((
    "type", "enum", "const", "required", "additionalProperties", "minProperties", "maxProperties",
    "properties", "items", "prefixItems", "minItems", "maxItems", "minLength", "maxLength", "pattern",
    "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "anyOf", "oneOf",
    "allOf", "$ref", "$defs", "definitions",
))
# fmt: on
_MAPS: Final = frozenset(("properties", "$defs", "definitions"))
_DEFINITIONS: Final = frozenset(("$defs", "definitions"))
_LISTS: Final = frozenset(("anyOf", "oneOf", "allOf", "prefixItems"))
_NAMES: Final = ("type", "required")
# What the value of a keyword has to be, so that whoever follows the schema later can rely on it; any other: a number.
_FORMS: Final[Mapping[str, type | tuple[type, ...]]] = {
    **dict.fromkeys(_MAPS, Mapping),
    **dict.fromkeys((*_LISTS, "enum", "required"), list),
    **dict.fromkeys(("pattern", "format", "$ref"), str),
    "type": (str, list),
    "items": (Mapping, bool, list),
    "additionalProperties": (Mapping, bool),
    "const": object,
}
# Control characters, and those that are invisible or turn the direction of writing.
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_SPACE: Final = re.compile(r"\s+")
_UNUSABLE: Final = re.compile(r"[^A-Za-z0-9_.-]+")


def foreign_tool(
    *,
    name: str,
    description: str,
    schema: Any,
    function: Callable[..., Any],
    effect: ToolEffect,
    origin: str,
    idempotent: bool = False,
    timeout: float = 30.0,
    trusted: bool = False,
    authority: Iterable[str] = (),
) -> Tool:
    """Make a tool from somebody else's description.

    Args:
        name: What the model calls it; characters that a name cannot have become `_`.
        description: What it does, in their words: cleaned and cut.
        schema: JSON Schema of its arguments: an object.
        function: Takes a `ToolContext` and the arguments by name, as JSON; sync or async.
        effect: What it does to the world, as whoever set it up says.
        origin: Where it comes from, for messages.
        idempotent: Doing it twice is the same as doing it once.
        timeout: Seconds after which a call is given up.
        trusted: What it returns is believed.
        authority: Arguments that decide whom or what it touches.

    Raises:
        ToolDefinitionError: The description cannot be used; names the argument.
    """
    whole = clean_schema(schema, origin)
    if whole.get("type", "object") != "object":
        raise ToolDefinitionError(f"{origin}: its arguments are no object", hint="its author has to mend it")
    required = whole.get("required", ())
    definitions = {key: value for key, value in whole.items() if key in _DEFINITIONS}
    chosen = frozenset(authority)
    parameters = tuple(
        _parameter(each, own, definitions, each in required, each in chosen)
        for each, own in whole.get("properties", {}).items()
    )
    return Tool(
        spec=_spec(usable_name(name), clean_text(description, _MOST_DESCRIPTION), parameters),
        function=function,
        parameters=parameters,
        takes_context=True,
        effect=effect,
        idempotent=idempotent,
        timeout=timeout,
        trusted=trusted,
        sequential=False,
        origin=origin,
    )


def _spec(name: str, description: str, parameters: Sequence[Parameter]) -> ToolSpec:
    shown: dict[str, Any] = {
        "type": "object",
        "properties": {parameter.name: parameter.schema for parameter in parameters},
        "required": [parameter.name for parameter in parameters if parameter.required],
        "additionalProperties": False,
    }
    for parameter in parameters:
        for key, value in parameter.definitions.items():
            shown.setdefault(key, {}).update(value)
    return ToolSpec(name=name, description=description or name.replace("_", " "), parameters=shown)


def usable_name(name: str) -> str:
    """A name that models can write, as near to `name` as possible."""
    return _UNUSABLE.sub("_", name)[:64] or "_"


def clean_text(text: object, most: int) -> str:
    """Somebody else's text as one line without invisible characters, cut to `most` characters."""
    if not isinstance(text, str):
        return ""
    line = _SPACE.sub(" ", _INVISIBLE.sub("", text)).strip()
    return line if len(line) <= most else f"{line[: most - 1]}…"


def clean_schema(schema: Any, origin: str) -> dict[str, Any]:
    """The part of somebody else's JSON Schema that decides what is valid, and its descriptions.

    Names and choices cannot be changed, since the tool is called with them: what could not be shown to a model or a
    person as it is (invisible characters, line breaks in names, whole texts) is left out where the tool can do without.

    Raises:
        ToolDefinitionError: It is none, is too large, refers to something outside itself, or needs what cannot be
            shown.
    """
    if not isinstance(schema, Mapping):
        raise ToolDefinitionError(f"{origin}: its schema is no object", hint="its author has to mend it")
    cleaned: dict[str, Any] = _Cleaner(origin).schema(schema, 0)
    return cleaned


class _Cleaner:
    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._nodes = 0

    def schema(self, schema: Any, depth: int) -> Any:
        self._nodes += 1
        if depth > _MOST_DEPTH or self._nodes > _MOST_NODES:
            raise ToolDefinitionError(
                f"{self._origin}: its schema is too large", hint="its author has to make it smaller"
            )
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping):
            raise ToolDefinitionError(
                f"{self._origin}: its schema holds {type(schema).__name__} where a schema belongs",
                hint="its author has to mend it",
            )
        result: dict[str, Any] = {}
        if text := clean_text(schema.get("description"), _MOST_ARGUMENT_DESCRIPTION):
            result["description"] = text
        for key, value in schema.items():
            if key not in _KEPT:
                continue
            if key == "$ref" and not (isinstance(value, str) and value.startswith("#/")):
                raise ToolDefinitionError(
                    f"{self._origin}: its schema refers to {str(value)[:100]!r}, outside itself",
                    hint="its author has to write that part into it",
                )
            if not _is_formed(key, value):
                raise ToolDefinitionError(
                    f"{self._origin}: its schema says `{key}: {json.dumps(value, default=str)[:60]}`",
                    hint="its author has to mend it",
                )
            result[key] = self._value(key, self._presentable(key, value, schema), depth + 1)
        return result

    def _presentable(self, key: str, value: Any, schema: Mapping[str, Any]) -> Any:
        """The value of a keyword without names and choices that cannot be shown."""
        kept: Any = value
        match key:
            case "properties":
                kept = {name: own for name, own in value.items() if _is_name(str(name))}
                required = schema.get("required")
                needed = required if isinstance(required, list) else ()
                lost = next((name for name in value if name in needed and name not in kept), None)
            case "$defs" | "definitions":
                lost = next((name for name in value if not _is_name(str(name))), None)
            case "enum":
                kept = [each for each in value if _is_choice(each)]
                lost = value[0] if value and not kept else None
            case "const":
                lost = None if _is_choice(value) else value
            case _:
                return value
        if lost is not None:
            raise ToolDefinitionError(
                f"{self._origin}: it needs {clean_text(str(lost), 60)!r}, which cannot be shown as it is",
                hint="its author has to mend it",
            )
        return kept

    def _value(self, key: str, value: Any, depth: int) -> Any:
        if key in _MAPS and isinstance(value, Mapping):
            return {str(name): self.schema(each, depth) for name, each in value.items()}
        if key in _LISTS and isinstance(value, list):
            return [self.schema(each, depth) for each in value]
        if key in ("items", "additionalProperties") and isinstance(value, Mapping):
            return self.schema(value, depth)
        if key == "items" and isinstance(value, list):
            return [self.schema(each, depth) for each in value]
        # YAML has values that JSON has not: dates.
        return json.loads(json.dumps(value, default=str))


def _is_name(name: str) -> bool:
    """Whether it can be shown as it is: a line, short, without characters that nobody sees."""
    return name == clean_text(name, _MOST_NAME)


def _is_choice(value: Any) -> bool:
    """The same for a value, of which JSON shows line breaks and control characters as escapes."""
    written = json.dumps(value, ensure_ascii=False, default=str)
    return len(written) <= _MOST_CHOICE and _INVISIBLE.search(written) is None


def _is_formed(key: str, value: Any) -> bool:
    form: Any = _FORMS.get(key, (int, float))
    if not isinstance(value, form):
        return False
    return key not in _NAMES or isinstance(value, str) or all(isinstance(each, str) for each in value)


def _parameter(
    name: str, schema: Any, definitions: Mapping[str, Any], required: bool, authority: bool
) -> Parameter:
    whole = {**definitions, **(schema if isinstance(schema, dict) else {})}
    shown, is_simpler = _followed(whole, name)
    checked = without_patterns(shown if is_simpler else whole)

    def fitting(value: Any) -> Any:
        for problem in violations(value, checked, where=name):
            raise ValueError(problem)
        return value

    own = {key: value for key, value in shown.items() if key not in _DEFINITIONS}
    kept = {key: value for key, value in shown.items() if key in _DEFINITIONS} if "$ref" in repr(own) else {}
    if authority:
        own[AUTHORITY_KEY] = True
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[Any, AfterValidator(fitting)])
    return Parameter(name, adapter, own, kept, required, authority)


def _followed(schema: dict[str, Any], name: str) -> tuple[dict[str, Any], bool]:
    """The schema of an argument, or the nearest that a model can be held to; and whether it is simpler."""
    kind = {"type": schema["type"]} if isinstance(schema.get("type"), str) else {}
    about = {"description": schema["description"]} if "description" in schema else {}
    for each in (schema, {**kind, **about}):
        # Its references are followed within the argument: what they do not reach there, they do not say.
        if dangling(each) is not None or circle(each) is not None:
            continue
        try:
            enforceable({"type": "object", "properties": {name: each}}, where=name)
        except ConstraintUnsupported:
            continue
        return each, each is not schema
    return about, True


def without_patterns(schema: Any) -> Any:
    """The schema without what only a regular expression can check."""
    if isinstance(schema, Mapping):
        return {
            key: without_patterns(value)
            for key, value in schema.items()
            if not (key == "pattern" and isinstance(value, str))
        }
    return [without_patterns(each) for each in schema] if isinstance(schema, list) else schema
