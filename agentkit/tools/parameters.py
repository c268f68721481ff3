"""The parameters of a function, read once when it becomes a tool; what cannot work is refused by name."""

from __future__ import annotations

import difflib
import inspect
import json
import typing
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Annotated, Any, Final, get_args, get_origin

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic.warnings import UnsupportedFieldAttributeWarning
from pydantic_core import PydanticSerializationError, PydanticUndefined, SchemaError

from agentkit.errors import ToolDefinitionError
from agentkit.tools.context import AUTHORITY_KEY, CONTENT_KEY, KIND_KEY, ToolContext
from agentkit.tools.schema import argument_schema

MISSING: Final = inspect.Parameter.empty
"""The default of a parameter that has none."""

_REFUSED_KINDS: Final = {
    inspect.Parameter.POSITIONAL_ONLY: (
        "is positional-only",
        "remove the `/`: a model passes arguments by name",
    ),
    inspect.Parameter.VAR_POSITIONAL: (
        "takes any number of values",
        "take one parameter that is a list instead",
    ),
    inspect.Parameter.VAR_KEYWORD: ("takes any names", "name every parameter, or take one that is a dict"),
}


@dataclass(frozen=True)
class Parameter:
    """One argument of a tool.

    Args:
        name: Its name.
        adapter: Validates its values.
        schema: Its JSON Schema, with description and default.
        definitions: Definitions that `schema` refers to; empty unless a model is recursive.
        required: There is no default.
        authority: Its value, or a field of it, is marked with `Authority`.
        content: It is marked with `Content`, and no part of it with `Authority`.
        kind: Kind of the handles that may stand for it; empty: none.
    """

    name: str
    adapter: TypeAdapter[Any]
    schema: dict[str, Any]
    definitions: dict[str, Any]
    required: bool
    authority: bool
    content: bool = False
    kind: str = ""


def origin_of(function: Callable[..., Any]) -> str:
    """Where a function was defined, for messages: `module.name (file:line)`."""
    code = inspect.unwrap(function).__code__
    return f"{function.__module__}.{function.__qualname__} ({code.co_filename}:{code.co_firstlineno})"


def read_parameters(
    function: Callable[..., Any], documented: Mapping[str, str], namespace: Mapping[str, Any]
) -> tuple[tuple[Parameter, ...], bool]:
    """Read the signature of a function that is to become a tool.

    Args:
        function: The function.
        documented: What its docstring says about each parameter.
        namespace: Names beyond the function's module that its annotations may use: the locals of the place
            where it is defined.

    Returns:
        Its parameters without the context, and whether the first one is the context.

    Raises:
        ToolDefinitionError: Something about a parameter cannot work; names the function and the parameter.
    """
    origin = origin_of(function)
    names = {**inspect.getclosurevars(inspect.unwrap(function)).nonlocals, **namespace}
    result: list[Parameter] = []
    has_context = False
    signature = inspect.signature(function)
    for position, parameter in enumerate(signature.parameters.values()):
        where = f"{origin}: parameter `{parameter.name}`"
        if parameter.kind in _REFUSED_KINDS:
            problem, hint = _REFUSED_KINDS[parameter.kind]
            raise ToolDefinitionError(f"{where} {problem}", hint=hint)
        annotation = _annotation(function, parameter, names, where)
        if annotation is ToolContext:
            if position > 0:
                raise ToolDefinitionError(
                    f"{where} is the context but not the first one", hint="make it the first parameter"
                )
            has_context = True
            continue
        result.append(_read(parameter, annotation, documented.get(parameter.name, ""), where))
    _check_documented(documented, list(signature.parameters), origin)
    return tuple(result), has_context


def _annotation(
    function: Callable[..., Any], parameter: inspect.Parameter, names: Mapping[str, Any], where: str
) -> Any:
    if parameter.annotation is MISSING:
        hint = "annotate it: the annotation becomes the JSON Schema that the model must keep to"
        if parameter.name in ("self", "cls"):
            hint = "decorate a function, or pass a bound method: tool(thing.method)"
        elif parameter.name in ("context", "ctx"):
            hint = "annotate it with ToolContext"
        raise ToolDefinitionError(f"{where} has no type annotation", hint=hint)
    holder = SimpleNamespace(__annotations__={"it": parameter.annotation})
    module_names = inspect.unwrap(function).__globals__
    try:
        hints = typing.get_type_hints(holder, module_names, dict(names), include_extras=True)
    except NameError as problem:
        raise ToolDefinitionError(
            f"{where} has the annotation `{parameter.annotation}`, but {problem}",
            hint="import the name when the module runs, not only under TYPE_CHECKING",
        ) from None
    except (AttributeError, SyntaxError, TypeError) as problem:
        raise ToolDefinitionError(
            f"{where} has the annotation `{parameter.annotation}`, which cannot be read: {problem}",
            hint="write a type",
        ) from None
    return hints["it"]


def _read(parameter: inspect.Parameter, annotation: Any, documented: str, where: str) -> Parameter:
    described = _field_description(parameter, annotation, where)
    try:
        with warnings.catch_warnings():
            # An alias or a default inside a type, which pydantic would only warn of and then ignore.
            warnings.simplefilter("error", UnsupportedFieldAttributeWarning)
            adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        schema, definitions = argument_schema(adapter, parameter.name)
    except (
        PydanticUserError,
        SchemaError,
        NameError,
        TypeError,
        UnsupportedFieldAttributeWarning,
    ) as problem:
        reason = str(problem).splitlines()[0]
        raise ToolDefinitionError(
            f"{where} has a type that cannot be written as JSON: {_type_name(annotation)} ({reason})",
            hint="use str, int, float, bool, Decimal, a date, an Enum, Literal, list, dict, a dataclass or a "
            "pydantic model",
        ) from None
    if description := described or documented:
        head = {"type": schema["type"]} if "type" in schema else {}
        schema = {
            **head,
            "description": description,
            **{k: v for k, v in schema.items() if k != "description"},
        }
    required = parameter.default is MISSING
    if not required:
        schema["default"] = _checked_default(adapter, parameter.default, annotation, where)
    annotated = [schema, definitions]
    authority = _first(annotated, AUTHORITY_KEY) is not None
    if authority:
        schema[AUTHORITY_KEY] = True
    return Parameter(
        parameter.name,
        adapter,
        schema,
        definitions,
        required,
        authority,
        content=not authority and _first(annotated, CONTENT_KEY) is not None,
        kind=str(_first(annotated, KIND_KEY) or ""),
    )


def _first(node: Any, key: str) -> Any:
    """The first value of an annotation in a schema, at any depth; None if there is none."""
    if isinstance(node, dict) and key in node:
        return node[key]
    inside = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return next((found for each in inside if (found := _first(each, key)) is not None), None)


def _field_description(parameter: inspect.Parameter, annotation: Any, where: str) -> str:
    """The description in `Annotated[…, Field(description=…)]`; refuses what `Field` would be ignored for."""
    if isinstance(parameter.default, FieldInfo):
        raise ToolDefinitionError(
            f"{where} has `Field(…)` as its default",
            hint=f"write `{parameter.name}: Annotated[{_type_name(annotation)}, Field(…)]`",
        )
    description = ""
    for item in get_args(annotation)[1:] if get_origin(annotation) is Annotated else ():
        if not isinstance(item, FieldInfo):
            continue
        if item.default is not PydanticUndefined or item.default_factory is not None:
            raise ToolDefinitionError(
                f"{where} has a default inside `Field`", hint="write the default in the signature: `= …`"
            )
        if item.alias or item.validation_alias:
            raise ToolDefinitionError(
                f"{where} has an alias inside `Field`", hint="give the parameter that name instead"
            )
        description = item.description or description
    return description


def _checked_default(adapter: TypeAdapter[Any], default: Any, annotation: Any, where: str) -> Any:
    try:
        adapter.validate_python(default, strict=True)
    except ValidationError as problem:
        reason = problem.errors(include_url=False, include_context=False, include_input=False)[0]["msg"]
        hint = (
            f"write `{_type_name(annotation)} | None`" if default is None else "mend the default or the type"
        )
        raise ToolDefinitionError(
            f"{where} has the default {default!r}, which its own type refuses: {reason}", hint=hint
        ) from None
    try:
        dumped = adapter.dump_python(default, mode="json", warnings="error")
        value = float(default) if isinstance(default, Decimal) else dumped
        json.dumps(value, allow_nan=False)
    except (PydanticSerializationError, TypeError, ValueError) as problem:
        raise ToolDefinitionError(
            f"{where} has the default {default!r}, which cannot be written as JSON: {problem}",
            hint="use a default that JSON can hold, or None",
        ) from None
    return value


def _check_documented(documented: Mapping[str, str], names: list[str], origin: str) -> None:
    for name in documented:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            raise ToolDefinitionError(
                f"{origin}: the docstring describes a parameter `{name}` that the function does not have",
                hint=f"did you mean `{near[0]}`?"
                if near
                else f"its parameters are: {', '.join(names) or 'none'}",
            )


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        return _type_name(get_args(annotation)[0])
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")
