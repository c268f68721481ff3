"""A generator that plays a script and complains about unused, missing and impossible steps."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from pydantic import JsonValue

from agentkit.messages import Message, ToolCall, ToolSpec, assistant, text_of
from agentkit.models.constraints import ConstraintCompiler
from agentkit.models.dialects import HermesDialect, encode
from agentkit.models.protocols import (
    CallTools,
    ChoiceRequest,
    Delta,
    Finished,
    FinishReason,
    FreeText,
    GenerationRequest,
    Grammar,
    JsonSchema,
    Regex,
    StateRequest,
    TextChunk,
    Usage,
)
from agentkit.models.schema_check import violations
from agentkit.testing.byte_tokenizer import ByteTokenizer

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors


class ScriptError(AssertionError):
    """The code under test asked for something that the script does not have, or the script cannot be
    played."""


@dataclass(frozen=True)
class Says:
    """A reply of text.

    Args:
        text: The reply.
        expect: Text that the request's last message must contain.
    """

    text: str
    expect: str = ""


@dataclass(frozen=True)
class Calls:
    """A reply of tool calls.

    Args:
        calls: Name and arguments of each.
        expect: Text that the request's last message must contain.
        finish: `length` plays calls that the token limit cut and that were closed by force.
    """

    calls: Sequence[tuple[str, Mapping[str, JsonValue]]]
    expect: str = ""
    finish: FinishReason = "stop"


@dataclass(frozen=True)
class Chooses:
    """An answer to `choose`.

    Args:
        probabilities: Of the options, in their order, or by option.
        expect: Text that the request's last message must contain.
    """

    probabilities: Sequence[float] | Mapping[str, float]
    expect: str = ""


@dataclass(frozen=True)
class Holds:
    """An answer to `state`.

    Args:
        vectors: The two vectors, [2, d].
        expect: Text that the request's last message must contain.
    """

    vectors: Vectors
    expect: str = ""


@dataclass(frozen=True)
class Fails:
    """A generation that raises.

    Args:
        error: What is raised, for example a `ConstraintUnmet`.
        expect: Text that the request's last message must contain.
    """

    error: Exception
    expect: str = ""


ScriptStep: TypeAlias = Says | Calls | Chooses | Holds | Fails
"""What the generator does next."""


@dataclass
class ScriptedGenerator:
    """Generator that plays `steps` in order.

    Every step is checked against the request: a text must satisfy its constraint, a call must name one of its
    tools and fit the schema. As a context manager it checks at the end that every step was used::

        steps = [Calls([("find_order", {"order_id": "1042"})]), Says("It has been shipped.")]
        with ScriptedGenerator(steps) as generator:
            ...

    Args:
        steps: The script.
        name: Name in traces.
        context_length: Context window in tokens (bytes here).
    """

    steps: Sequence[ScriptStep]
    name: str = "scripted"
    context_length: int = 1_000_000
    requests: list[GenerationRequest | ChoiceRequest | StateRequest] = field(default_factory=list)
    """Every request so far."""
    closed: bool = False

    def __post_init__(self) -> None:
        self._played = 0
        self._counted: tuple[object, ...] = ()  # a prompt is counted when it is fitted and when it is written
        self._count = 0
        self._codec = ByteTokenizer()
        self._dialect = HermesDialect()
        end = self._codec.control_id("<|im_end|>")
        assert end is not None
        self._constraints = ConstraintCompiler(self._codec, self._dialect, [end])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.assert_finished()

    def assert_finished(self) -> None:
        """Raise `ScriptError` if steps are left."""
        left = self.steps[self._played :]
        if left:
            raise ScriptError(
                f"{len(left)} of {len(self.steps)} steps were not used; next would be {left[0]!r}"
            )

    def count_tokens(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
        """See `Generator`."""
        counted = (*messages, None, *tools)
        if len(counted) != len(self._counted) or any(
            a is not b for a, b in zip(counted, self._counted, strict=True)
        ):
            self._count = len(encode(self._dialect.render(messages, tools), self._codec))
            self._counted = counted
        return self._count

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        """See `Generator`."""
        step = self._next(request)
        if isinstance(step, Fails):
            raise step.error
        if isinstance(step, Chooses | Holds):
            kind = "choice" if isinstance(step, Chooses) else "state"
            raise ScriptError(f"{self._place} is a {kind}, but a reply is asked for")
        if isinstance(step, Says):
            self._check_text(step.text, request)
            calls: tuple[ToolCall, ...] = ()
        else:
            calls = self._check_calls(step, request)
        message = assistant(step.text if isinstance(step, Says) else "", calls)
        text = (
            "".join(segment.text for segment in self._dialect.render_reply(message))
            if calls
            else text_of(message)
        )
        usage = Usage(
            prompt_tokens=self.count_tokens(request.messages, request.tools),
            generated_tokens=len(text.encode()),
        )
        sent = ""
        for chunk in [text] if calls else text.splitlines(keepends=True):
            if reason := _interrupted(request):
                yield Finished(assistant(sent), sent, reason, usage)
                return
            sent += chunk
            yield TextChunk(chunk)
        yield Finished(message, text, step.finish if isinstance(step, Calls) else "stop", usage)

    def choose(self, request: ChoiceRequest) -> tuple[float, ...]:
        """See `Generator`."""
        step = self._next(request)
        if isinstance(step, Fails):
            raise step.error
        if not isinstance(step, Chooses):
            raise ScriptError(
                f"{self._place} is {step!r}, but a choice between {request.options} is asked for"
            )
        given = step.probabilities
        names = [option if isinstance(option, str) else option.value for option in request.options]
        if isinstance(given, Mapping):
            if set(given) != set(names):
                raise ScriptError(f"{self._place} has options {sorted(given)}, the request {sorted(names)}")
            values = [given[name] for name in names]
        elif len(given) != len(names):
            raise ScriptError(
                f"{self._place} has {len(given)} probabilities for {len(names)} options: {names}"
            )
        else:
            values = list(given)
        return tuple(math.log(value) if value > 0 else -math.inf for value in values)

    def state(self, request: StateRequest) -> Vectors:
        """See `StateReader`."""
        step = self._next(request)
        if isinstance(step, Fails):
            raise step.error
        if not isinstance(step, Holds):
            raise ScriptError(f"{self._place} is {step!r}, but a state is asked for")
        return step.vectors

    def close(self) -> None:
        """See `Generator`."""
        self.closed = True

    @property
    def _place(self) -> str:
        return f"step {self._played} of {len(self.steps)}"

    def _next(self, request: GenerationRequest | ChoiceRequest | StateRequest) -> ScriptStep:
        self.requests.append(request)
        last = text_of(request.messages[-1]) if request.messages else ""
        if self._played == len(self.steps):
            raise ScriptError(
                f"the script has ended after {self._played} steps, but more is asked for: {last[:200]!r}"
            )
        step = self.steps[self._played]
        self._played += 1
        if step.expect not in last:
            raise ScriptError(
                f"{self._place} expects {step.expect!r} in the last message, which is {last[:500]!r}"
            )
        return step

    def _check_text(self, text: str, request: GenerationRequest) -> None:
        constraint = request.constraint
        problem = ""
        if isinstance(constraint, CallTools):
            problem = "" if constraint.allow_text else "a call is required"
        elif isinstance(constraint, JsonSchema):
            problem = _schema_problem(text, constraint.schema)
        elif isinstance(constraint, Regex | Grammar):
            matcher = self._constraints.matcher(constraint, request.tools)
            problem = (
                ""
                if _accepts(matcher, self._codec.encode_text(text))
                else f"it does not satisfy {constraint}"
            )
        else:
            assert isinstance(constraint, FreeText)
        if problem:
            raise ScriptError(
                f"{self._place} says {text[:200]!r}, which the request does not allow: {problem}"
            )

    def _check_calls(self, step: Calls, request: GenerationRequest) -> tuple[ToolCall, ...]:
        constraint = request.constraint
        if not isinstance(constraint, CallTools):
            raise ScriptError(
                f"{self._place} calls tools, but the request allows only {type(constraint).__name__}"
            )
        if len(step.calls) > constraint.max_calls:
            raise ScriptError(
                f"{self._place} has {len(step.calls)} calls, the request allows {constraint.max_calls}"
            )
        tools = {t.name: t for t in (request.tools if constraint.tools is None else constraint.tools)}
        calls: list[ToolCall] = []
        for name, arguments in step.calls:
            if name not in tools:
                raise ScriptError(f"{self._place} calls {name}, but the request offers {sorted(tools)}")
            problems = list(violations(dict(arguments), tools[name].parameters, where="arguments"))
            if problems:
                raise ScriptError(
                    f"{self._place} calls {name} with arguments outside its schema: {problems[0]}"
                )
            calls.append(ToolCall(id=f"call_{len(calls) + 1}", name=name, arguments=dict(arguments)))
        return tuple(calls)


def _schema_problem(text: str, schema: Mapping[str, Any]) -> str:
    try:
        value = json.loads(text)
    except ValueError as error:
        return f"it is no JSON ({error})"
    return next(violations(value, dict(schema)), "")


def _accepts(matcher: Any, ids: Sequence[int]) -> bool:
    for token in ids:
        if matcher.finished or not matcher.mask()[token]:
            return False
        matcher.accept(token)
    return bool(matcher.complete)


def _interrupted(request: GenerationRequest) -> FinishReason | None:
    if request.cancel is not None and request.cancel.is_set():
        return "cancelled"
    if request.deadline is not None and time.monotonic() >= request.deadline:
        return "deadline"
    return None
