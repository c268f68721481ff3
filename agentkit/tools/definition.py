"""`@tool`: a typed, documented function becomes something that a model can call."""

from __future__ import annotations

import inspect
import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, TypedDict, Unpack, get_args, overload

from agentkit.errors import ToolDefinitionError
from agentkit.messages import ToolEffect, ToolSpec
from agentkit.tools.docstrings import Documentation, read_docstring
from agentkit.tools.isolation import Isolation, check_isolable
from agentkit.tools.parameters import Parameter, origin_of, read_parameters

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_KIND: Final = re.compile(r"[a-z][a-z_]{0,30}")
_DEFAULT_TIMEOUT: Final = 30.0
_UNDECLARED: Final = "write"  # what a tool may do that does not say what it does

ApprovalRule: TypeAlias = bool | Callable[[Mapping[str, Any]], bool | str]
"""Whether a person has to agree to a call: always, never, or what a function says of its arguments."""


@dataclass(frozen=True, eq=False)
class Tool:
    """A function that a model can call. Made by `@tool`; calling it calls the plain function.

    Args:
        spec: What the model is told: name, description, JSON Schema of the arguments.
        function: The function, sync or async.
        parameters: Its arguments, without the context.
        takes_context: Its first parameter is a `ToolContext`.
        effect: What it does to the world: `read`, `write` or `egress`.
        idempotent: Doing it twice is the same as doing it once, so it may be repeated after a crash.
        timeout: Seconds after which nobody waits for it any more.
        trusted: What it returns counts as said by a trusted tool; otherwise as of unknown origin.
        sequential: No other call runs beside it.
        origin: Where it is defined, for messages: `module.name (file:line)`.
        permission: What the user must be permitted to do (`permissions` of the profile); empty: nothing.
        handles: Where ids are in its results, and their kind: `{"id": "order"}` for a list of objects with that field.
            It vouches for these values even where the rest of its result is of unknown origin.
        confidential: Whether its results must not leave unasked; None: unless they are of unknown origin.
        approve: Whether a person has to agree to every call, or a function that says so (or why) for some arguments.
        retries: How often a call that ended in an unexpected error is repeated.
        isolated: It runs in a process of its own; None: in this one.
    """

    spec: ToolSpec
    function: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    takes_context: bool
    effect: ToolEffect
    idempotent: bool
    timeout: float
    trusted: bool
    sequential: bool
    origin: str
    permission: str = ""
    handles: Mapping[str, str] = field(default_factory=dict)
    confidential: bool | None = None
    approve: ApprovalRule = False
    retries: int = 0
    isolated: Isolation | None = None

    @property
    def name(self) -> str:
        """The name that the model calls."""
        return self.spec.name

    @property
    def authority(self) -> frozenset[str]:
        """Names of the arguments that are marked with `Authority`, themselves or in one of their fields."""
        return frozenset(parameter.name for parameter in self.parameters if parameter.authority)

    @property
    def guarded(self) -> frozenset[str]:
        """Names of the arguments that must come from trusted text before the tool acts.

        With an effect: all that are not declared as content. A tool that only looks: those marked with `Authority`.
        """
        if self.effect == "read":
            return self.authority
        return frozenset(parameter.name for parameter in self.parameters if not parameter.content)

    @property
    def keeps_results(self) -> bool:
        """Whether what it returns must not leave unasked."""
        return self.trusted if self.confidential is None else self.confidential

    def kind_of(self, argument: str) -> str:
        """The kind of handles that may stand for an argument; empty: none."""
        return next((each.kind for each in self.parameters if each.name == argument), "")

    def renamed(self, name: str) -> Tool:
        """The same tool under another name.

        Raises:
            ToolDefinitionError: Not a name that models can write.
        """
        _check_name(name, self.origin)
        return replace(self, spec=self.spec.model_copy(update={"name": name}))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the plain function: nothing is validated, an async function returns its coroutine."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Tool {self.name} ({self.effect}) from {self.origin}>"


class ToolSettings(TypedDict, total=False):
    """What `@tool(…)` can be told.

    Args:
        effect: What the tool does to the world: `read` (looks), `write` (changes something), `egress` (sends something
            out). Left out, it is taken for `write`, so that a tool nobody thought about is not let loose.
        idempotent: Doing it twice is the same as doing it once.
        timeout: Seconds after which a call is given up; 30 if it is left out.
        name: Another name than the function's: 1 to 64 of `A-Z a-z 0-9 _ . -`.
        sequential: No other call may run beside it.
        trusted: False where the result holds text of unknown origin (web pages, mail, a model's own notes).
        permission: What the user must be permitted to do, as the application says in `profile["permissions"]`.
        handles: Fields of the result that hold ids, and their kind: `{"id": "order"}`, `{"orders.id": "order"}`; the
            empty path is the result itself. The model reads `order#1` in their place and writes that as an argument
            marked `Authority("order")`.
        confidential: The result must not leave through another tool unasked. Left out: it must not, unless it is of
            unknown origin.
        approve: A person has to agree to every call; or a function that is given the arguments and returns whether,
            or why as a string.
        retries: Repeats of a call that ended in an unexpected error, with growing pauses, within the timeout. Only for
            tools that look or that are idempotent.
        isolated: Run in a process of its own, killed with its children when the time is up; `Isolation` sets limits.
    """

    effect: ToolEffect
    idempotent: bool
    timeout: float
    name: str | None
    sequential: bool
    trusted: bool
    permission: str
    handles: Mapping[str, str]
    confidential: bool | None
    approve: ApprovalRule
    retries: int
    isolated: bool | Isolation


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(**settings: Unpack[ToolSettings]) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None, /, **settings: Unpack[ToolSettings]
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a function a tool: `@tool`, or `@tool(effect="write")`.

    The name is the function's, the description is the docstring up to its first section, the schema comes
    from the annotations, and the description of an argument from the docstring (Google, NumPy or Sphinx
    style) or from `Annotated[…, Field(description=…)]`.

    Args:
        function: The function, sync or async; when it is left out, a decorator is returned.
        settings: See `ToolSettings`.

    Raises:
        ToolDefinitionError: The function cannot become a tool; says which parameter and why.
        TypeError: There is no such setting.
    """
    if unknown := settings.keys() - ToolSettings.__annotations__.keys():
        raise TypeError(f"tool() got an unexpected keyword argument {sorted(unknown)[0]!r}")
    # Annotations of a function defined inside another one may name locals of the place that defines it.
    names = sys._getframe(1).f_locals
    if function is not None:
        return _decorated(function, names, settings)
    return lambda function: _decorated(function, sys._getframe(1).f_locals, settings)


def _decorated(function: Callable[..., Any], names: Mapping[str, Any], settings: ToolSettings) -> Tool:
    origin = _check_function(function)
    effect, timeout = settings.get("effect", _UNDECLARED), settings.get("timeout", _DEFAULT_TIMEOUT)
    _check_settings(origin, effect, timeout)
    _check_calls(origin, settings)
    isolated = settings.get("isolated", False)
    isolation = Isolation() if isolated is True else isolated or None
    if isolation is not None:
        check_isolable(function, origin)
    given_name = settings.get("name")
    tool_name = function.__name__ if given_name is None else given_name
    _check_name(tool_name, origin)
    documentation = _documentation(function, origin)
    parameters, takes_context = read_parameters(function, documentation.parameters, names)
    return Tool(
        spec=ToolSpec(
            name=tool_name, description=documentation.description, parameters=_object_schema(parameters)
        ),
        function=function,
        parameters=parameters,
        takes_context=takes_context,
        effect=effect,
        idempotent=settings.get("idempotent", False),
        timeout=timeout,
        trusted=settings.get("trusted", True),
        sequential=settings.get("sequential", False),
        origin=origin,
        permission=settings.get("permission", ""),
        handles=dict(settings.get("handles", {})),
        confidential=settings.get("confidential"),
        approve=settings.get("approve", False),
        retries=settings.get("retries", 0),
        isolated=isolation,
    )


def _documentation(function: Callable[..., Any], origin: str) -> Documentation:
    documentation = read_docstring(inspect.getdoc(function) or "")
    if not documentation.description:
        raise ToolDefinitionError(
            f"{origin} has no description",
            hint="begin its docstring with a sentence that tells the model when to call it",
        )
    return documentation


def _object_schema(parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {parameter.name: parameter.schema for parameter in parameters},
        "required": [parameter.name for parameter in parameters if parameter.required],
        "additionalProperties": False,
    }
    if definitions := {k: v for parameter in parameters for k, v in parameter.definitions.items()}:
        schema["$defs"] = definitions
    return schema


def _check_function(function: object) -> str:
    """Refuse what is not a function that returns once; returns where it is defined."""
    if isinstance(function, Tool):
        raise ToolDefinitionError(f"{function!r} is a tool already", hint="apply @tool once")
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        raise ToolDefinitionError(
            f"{function!r} is no function",
            hint="decorate a function defined with `def` or `async def`, or pass a bound method",
        )
    origin = origin_of(function)
    if function.__name__ == "<lambda>":
        raise ToolDefinitionError(
            f"{origin}: a lambda has no name, annotations or docstring", hint="define a function with `def`"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ToolDefinitionError(f"{origin} is a generator", hint="return the results together, as a list")
    return origin


def _check_settings(origin: str, effect: str, timeout: object) -> None:
    if effect not in get_args(ToolEffect):
        raise ToolDefinitionError(
            f"{origin}: there is no effect {effect!r}", hint=f"one of: {', '.join(get_args(ToolEffect))}"
        )
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < math.inf:
        raise ToolDefinitionError(
            f"{origin}: the timeout {timeout!r} is not a number of seconds above 0",
            hint="every call must end: choose a number such as 30.0",
        )


def _check_calls(origin: str, settings: ToolSettings) -> None:
    has_effect = settings.get("effect", _UNDECLARED) != "read"
    if settings.get("retries") and has_effect and not settings.get("idempotent"):
        raise ToolDefinitionError(
            f"{origin} has an effect, is not idempotent and is to be repeated",
            hint="leave `retries` out, or make it idempotent with `context.idempotency_key` and say idempotent=True",
        )
    for path, kind in settings.get("handles", {}).items():
        if not _KIND.fullmatch(kind):
            raise ToolDefinitionError(
                f"{origin}: `{kind}`, the kind of the handles at `{path}`, is no word",
                hint="use lower-case letters and `_`, for example `order`",
            )


def _check_name(name: str, origin: str) -> None:
    if not _NAME.fullmatch(name):
        raise ToolDefinitionError(
            f"{origin}: {name!r} is no name for a tool",
            hint="use 1 to 64 letters, digits, `_`, `-` or `.`; @tool(name=…) sets one",
        )
