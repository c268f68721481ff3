"""What the generator may write, enforced token by token with llguidance.

A `Constraint` of the request becomes a `TokenMatcher`: which tokens are allowed now, which are forced, and
whether the text is complete. The decode loop asks it at every step; it does not know what is being
enforced. What cannot be enforced is refused with `ConstraintUnsupported` before anything is written.

llguidance (Earley parser over lexemes, derivative-based regular expressions): https://github.com/guidance-ai/llguidance
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import numpy

from agentkit.errors import ConstraintUnsupported
from agentkit.messages import ToolSpec
from agentkit.models.closing import EndingSearch
from agentkit.models.dialects.protocol import CallFrame, Dialect, Segment
from agentkit.models.guidance_tokenizer import GuidanceTokenizer
from agentkit.models.protocols import CallTools, Constraint, FreeText, Grammar, JsonSchema, Regex
from agentkit.models.schema_refusal import refusal
from agentkit.models.schema_support import enforceable, narrowed
from agentkit.models.tokens import TokenCodec

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer
    from numpy.typing import NDArray

_JSON_STYLE: Final = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    # No \\uXXXX: models write characters as they are, and an escape could spell half a surrogate pair.
    "json_allowed_escapes": 'nrbtf\\"',
    "lenient": False,
    "coerce_one_of": False,
}
_KEPT_GRAMMARS: Final = 32
_LOOKED_BACK: Final = 8
"""How much of a known ending may have been written since it was found."""


_Schemas: TypeAlias = Sequence[tuple[str, dict[str, Any]]]


class TokenMatcher(Protocol):
    """Follows one reply token by token."""

    def mask(self) -> NDArray[numpy.bool_]:
        """Which tokens may come next: bool [vocabulary]."""
        ...

    def accept(self, token: int) -> None:
        """Go on by one token that the mask allows."""
        ...

    def forced(self) -> list[int]:
        """Tokens that must come next because nothing else can; they are accepted already."""
        ...

    def agreeing(self, tokens: Sequence[int]) -> int:
        """How many of these tokens, from the start, could come next one after another; nothing is accepted."""
        ...

    def fork(self) -> TokenMatcher:
        """Another matcher at the same place: what one of them accepts, the other does not know of."""
        ...

    def ending(self, room: int) -> Sequence[int] | None:
        """Few tokens that complete the text from here, none if it is complete; nothing is accepted.

        Args:
            room: How many there may be. If more are needed, the fewest that were found are given.

        Returns:
            The tokens, or None if none were found, though there may be some.
        """
        ...

    @property
    def complete(self) -> bool:
        """The text so far satisfies the constraint."""
        ...

    @property
    def finished(self) -> bool:
        """Nothing can come any more except the end of the reply."""
        ...


class FreeMatcher:
    """Any text: control tokens are barred, except those that end the reply."""

    complete = True
    finished = False

    def __init__(self, codec: TokenCodec, end_ids: Sequence[int]) -> None:
        self._mask = numpy.ones(codec.size, dtype=numpy.bool_)
        self._mask[list(codec.control_ids)] = False
        self._mask[list(end_ids)] = True

    def mask(self) -> NDArray[numpy.bool_]:
        """See `TokenMatcher`."""
        return self._mask

    def accept(self, token: int) -> None:
        """See `TokenMatcher`."""

    def forced(self) -> list[int]:
        """See `TokenMatcher`."""
        return []

    def agreeing(self, tokens: Sequence[int]) -> int:
        """See `TokenMatcher`."""
        return next((i for i, token in enumerate(tokens) if not self._mask[token]), len(tokens))

    def fork(self) -> FreeMatcher:
        """See `TokenMatcher`."""
        return self

    def ending(self, room: int) -> Sequence[int]:
        """See `TokenMatcher`."""
        return ()


class GrammarMatcher:
    """Text that an llguidance grammar accepts.

    Args:
        matcher: In its initial state; owned by this object from now on.
        size: Length of a mask.
        end_ids: Tokens that end the reply; allowed exactly when the text is complete.
        spend: Told how many seconds each mask took.
        endings: Finds how a text that was begun can end.
    """

    def __init__(
        self,
        matcher: LLMatcher,
        size: int,
        end_ids: Sequence[int],
        spend: Callable[[float], None],
        endings: EndingSearch,
    ) -> None:
        self._matcher = matcher
        self._spend = spend
        self._endings = endings
        self._ending: Sequence[int] | None = None
        self._size = size
        self._end_ids = list(end_ids)

    def mask(self) -> NDArray[numpy.bool_]:
        """See `TokenMatcher`."""
        started = time.perf_counter()
        packed = numpy.frombuffer(self._matcher.compute_bitmask(), dtype=numpy.uint8)
        self._spend(time.perf_counter() - started)
        self._check()
        allowed = numpy.unpackbits(packed, bitorder="little", count=self._size).view(numpy.bool_)
        allowed[self._end_ids] = self._matcher.is_accepting()
        if not allowed.any():
            raise ConstraintUnsupported(
                "the constraint leads to a place where nothing can follow",
                hint="Some part of it cannot be satisfied, for example a pattern that contradicts a length.",
            )
        return allowed

    def accept(self, token: int) -> None:
        """See `TokenMatcher`."""
        self._matcher.consume_token(token)
        self._check()

    def forced(self) -> list[int]:
        """See `TokenMatcher`."""
        tokens = [] if self.finished else self._matcher.compute_ff_tokens()
        if tokens:
            self._matcher.consume_tokens(tokens)
        self._check()
        return list(tokens)

    def agreeing(self, tokens: Sequence[int]) -> int:
        """See `TokenMatcher`."""
        return int(self._matcher.validate_tokens(list(tokens)))

    def fork(self) -> GrammarMatcher:
        """See `TokenMatcher`."""
        other = GrammarMatcher(
            self._matcher.deep_copy(), self._size, self._end_ids, self._spend, self._endings
        )
        other._ending = self._ending
        return other

    def ending(self, room: int) -> Sequence[int] | None:
        """See `TokenMatcher`."""
        if self.complete:
            return ()
        known = self._known_ending()
        if known is None or len(known) > room:
            known = self._endings.shortest(self._matcher)
        self._ending = known
        return known

    def _known_ending(self) -> Sequence[int] | None:
        """What is left of the ending that was found last: while a string grows, its end stays the same."""
        ending = self._ending or ()
        for begun in range(min(len(ending) - 1, _LOOKED_BACK), -1, -1):
            rest, copy = list(ending[begun:]), self._matcher.deep_copy()
            if copy.try_consume_tokens(rest) == len(rest) and copy.is_accepting():
                return rest
        return None

    @property
    def complete(self) -> bool:
        """See `TokenMatcher`."""
        return bool(self._matcher.is_accepting())

    @property
    def finished(self) -> bool:
        """See `TokenMatcher`."""
        return bool(self._matcher.is_stopped())

    def _check(self) -> None:
        if self._matcher.is_error():
            raise ConstraintUnsupported(
                f"the constraint could not be followed: {self._matcher.get_error().splitlines()[0]}",
                hint="A simpler schema or grammar helps; very large enumerations and repetitions cost most.",
            )


class ConstraintCompiler:
    """Turns the constraints of requests into matchers for one model.

    Args:
        codec: The model's tokens.
        dialect: How the model writes calls.
        end_ids: Tokens that end a reply.
    """

    def __init__(self, codec: TokenCodec, dialect: Dialect, end_ids: Sequence[int]) -> None:
        self._codec = codec
        self._dialect = dialect
        self._end_ids = tuple(end_ids)
        self._tokenizer: GuidanceTokenizer | None = None
        self._endings: EndingSearch | None = None
        self._grammars: OrderedDict[str, LLMatcher] = OrderedDict()
        self._lock = threading.Lock()

    def matcher(self, constraint: Constraint, tools: Sequence[ToolSpec]) -> TokenMatcher:
        """A fresh matcher.

        Args:
            constraint: What may be written.
            tools: The tools of the request, for `CallTools`.

        Raises:
            ConstraintUnsupported: It cannot be enforced with this model, or not at all.
        """
        if isinstance(constraint, FreeText):
            return FreeMatcher(self._codec, self._end_ids)
        grammar = self._grammar(constraint, tools)
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = GuidanceTokenizer(self._codec, self._end_ids)
                self._endings = EndingSearch(self._codec)
            assert self._endings is not None
            if self._tokenizer.prepare_if_due():
                self._grammars.clear()
            schemas = partial(_schemas, constraint, tools)
            fresh = self._prototype(grammar, self._tokenizer.tokenizer, schemas).deep_copy()
        return GrammarMatcher(fresh, self._codec.size, self._end_ids, self._tokenizer.spend, self._endings)

    def _grammar(self, constraint: Constraint, tools: Sequence[ToolSpec]) -> str:
        from llguidance import LLMatcher

        if isinstance(constraint, CallTools):
            allowed = tools if constraint.tools is None else constraint.tools
            lark = call_grammar(self._dialect, constraint, allowed, self._codec.control_id)
            return LLMatcher.grammar_from_lark(lark)
        if isinstance(constraint, JsonSchema):
            schema = {**enforceable(constraint.schema), "x-guidance": _JSON_STYLE}
            return LLMatcher.grammar_from_json_schema(json.dumps(schema, ensure_ascii=False))
        if isinstance(constraint, Regex):
            return LLMatcher.grammar_from_regex(constraint.pattern)
        assert isinstance(constraint, Grammar)
        return LLMatcher.grammar_from_lark(constraint.lark)

    def _prototype(self, grammar: str, tokenizer: LLTokenizer, schemas: Callable[[], _Schemas]) -> LLMatcher:
        from llguidance import LLMatcher

        if (known := self._grammars.get(grammar)) is not None:
            self._grammars.move_to_end(grammar)
            return known
        _failed, problems = LLMatcher.validate_grammar_with_warnings(grammar, tokenizer)
        if problems:
            raise refusal(problems, schemas(), tokenizer)
        prototype = LLMatcher(tokenizer, grammar, log_level=0)
        self._grammars[grammar] = prototype
        if len(self._grammars) > _KEPT_GRAMMARS:
            self._grammars.popitem(last=False)
        return prototype


def _schemas(constraint: Constraint, tools: Sequence[ToolSpec]) -> _Schemas:
    """The schemas of a constraint, with what to call them."""
    if isinstance(constraint, JsonSchema):
        return [("schema", enforceable(constraint.schema))]
    if not isinstance(constraint, CallTools):
        return []
    named = [
        (f"tool {each.name}", each) for each in (tools if constraint.tools is None else constraint.tools)
    ]
    return [(name, json.loads(_argument_schema(json.dumps(tool.parameters), name))) for name, tool in named]


@lru_cache(maxsize=256)
def _argument_schema(parameters: str, where: str) -> str:
    """What may be written as the arguments of a tool, as JSON; the same tools come in every turn.

    Args:
        parameters: The schema of the tool, as JSON.
        where: What to call it in errors.
    """
    schema = narrowed(enforceable(json.loads(parameters), where=where))
    return json.dumps({"type": "object", **schema, "x-guidance": _JSON_STYLE}, ensure_ascii=False)


def call_grammar(
    dialect: Dialect,
    constraint: CallTools,
    tools: Sequence[ToolSpec],
    control_id: Callable[[str], int | None],
) -> str:
    """The Lark grammar of a reply that calls tools.

    Args:
        dialect: How calls are written.
        constraint: How many, and whether text is allowed instead.
        tools: What may be called.
        control_id: Ids of control tokens.

    Raises:
        ConstraintUnsupported: There is nothing to call, or a schema cannot be enforced.
    """
    frame = dialect.calls
    if not tools or constraint.max_calls < 1:
        if constraint.allow_text:
            return f"start: TEXT\n{_text_rule(frame)}"
        raise ConstraintUnsupported(
            "a call is required, but there is no tool to call",
            hint="Give the request tools, or allow text.",
        )

    def literal(pieces: Sequence[Segment]) -> str:
        ids = (f"<[{control_id(p.text)}]>" if p.kind == "control" else _quoted(p.text) for p in pieces)
        return " ".join(ids)

    rules: list[str] = []
    for index, tool in enumerate(tools):
        arguments = _argument_schema(json.dumps(tool.parameters), f"tool {tool.name}")
        name = _quoted(json.dumps(tool.name, ensure_ascii=False))
        rules.append(f"call{index}: {name} {literal(frame.middle)} %json {arguments}")
    any_call = " | ".join(f"call{index}" for index in range(len(tools)))
    rules.append(f"call: {literal(frame.opening)} ({any_call}) {literal(frame.closing)}")
    more = constraint.max_calls - 1
    if not more:
        rules.append("calls: call")
    elif frame.first:
        many = (
            f"{literal(frame.first)} call ({literal(frame.between)} call){{1,{more}}} {literal(frame.last)}"
        )
        rules.append(f"calls: call | {many}")
    else:
        rules.append(f"calls: call ({literal(frame.between)} call){{0,{more}}}")
    start = "calls"
    if constraint.allow_text:
        rules.append(_text_rule(frame))
        start = "calls | TEXT"
    return "\n".join([f"start: {start}", *rules])


def _text_rule(frame: CallFrame) -> str:
    """Text that neither holds a call nor begins as models begin one."""
    starts = re.escape("".join(sorted({beginning[0] for beginning in frame.beginnings})))
    first = f"[^{starts}]" if starts else "(?s:.)"
    return f"TEXT: /{first}(?s:.*)/ & ~/(?s:.*)({frame.forbidden})(?s:.*)/"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
