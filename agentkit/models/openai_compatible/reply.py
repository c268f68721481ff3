"""Replies in the OpenAI chat protocol: put together from their pieces, and checked. A server's word is not trusted."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from agentkit.errors import ConstraintUnmet, ConstraintUnsupported
from agentkit.messages import ToolCall
from agentkit.models.openai_compatible.body import Plan
from agentkit.models.schema_check import violations

_HIGH_SURROGATES: Final = ("\ud800", "\udbff")


@dataclass
class CallDraft:
    """A call as its pieces arrive: its id, its name, and its arguments as JSON text."""

    id: str = ""
    name: str = ""
    arguments: str = ""


class ReplyDraft:
    """A reply as its pieces arrive."""

    def __init__(self) -> None:
        self.text = ""
        self.calls: list[CallDraft] = []
        self.finish = ""
        """The server's word for why it ended; empty until it says so."""
        self.usage: dict[str, Any] = {}
        self.first_tokens: list[tuple[str, float]] = []
        """The most probable first tokens with their natural log-probabilities, where they were asked for."""
        self._half = ""
        self._slots: dict[int, CallDraft] = {}

    def add(self, payload: dict[str, Any]) -> str:
        """Take in one object of the stream; return the text that it adds, in whole characters.

        What has another form than the protocol says is left out: a reply that lacks something fails its check.
        """
        if isinstance(usage := payload.get("usage"), dict):
            self.usage = usage
        choice = next((c for c in _objects(payload.get("choices")) if not c.get("index")), {})
        if isinstance(reason := choice.get("finish_reason"), str):
            self.finish = reason
        if not self.first_tokens:
            self.first_tokens = _first_tokens(choice.get("logprobs"))
        delta = choice.get("delta") or choice.get("message")
        if not isinstance(delta, dict):
            return ""
        for piece in _objects(delta.get("tool_calls")):
            self._add_call(piece)
        content = delta.get("content")
        return self._add_text(content) if isinstance(content, str) else ""

    def end(self) -> str:
        """No more comes: the rest of the text."""
        rest = "\ufffd" if self._half else ""
        self._half = ""
        self.text += rest
        return rest

    def _add_text(self, piece: str) -> str:
        # JSON may spell a character beyond U+FFFF as two escapes, and these may come in two pieces.
        piece = self._half + piece
        self._half = ""
        if piece and _HIGH_SURROGATES[0] <= piece[-1] <= _HIGH_SURROGATES[1]:
            piece, self._half = piece[:-1], piece[-1]
        whole = _whole(piece)
        self.text += whole
        return whole

    def _add_call(self, piece: dict[str, Any]) -> None:
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        name, call_id = function.get("name") or "", piece.get("id") or ""
        index = piece.get("index")
        index = index if isinstance(index, int) else max(len(self.calls) - (0 if name else 1), 0)
        draft = self._slots.get(index)
        # Some servers number every call 0; then the id tells them apart.
        if draft is None or (name and call_id and draft.id and call_id != draft.id):
            draft = CallDraft()
            self._slots[index] = draft
            self.calls.append(draft)
        draft.id = draft.id or str(call_id)
        draft.name = draft.name or str(name)
        arguments = function.get("arguments")
        if isinstance(arguments, dict):  # not the protocol, but Ollama's own
            arguments = json.dumps(arguments)
        draft.arguments += arguments if isinstance(arguments, str) else ""


def checked_calls(draft: ReplyDraft, plan: Plan, server: str) -> tuple[ToolCall, ...]:
    """The calls of a reply; those beyond the allowed number are left out.

    Args:
        draft: The complete reply.
        plan: What was asked for.
        server: For messages.

    Raises:
        ConstraintUnmet: A call names no tool that was offered, or its arguments do not fit their schema.
        ConstraintUnsupported: The schema of a tool cannot be checked.
    """
    calls: list[ToolCall] = []
    for position, call in enumerate(draft.calls[: plan.most_calls], 1):
        name = _whole(call.name)
        if name not in plan.callable_schemas:
            offered = ", ".join(plan.callable_schemas)
            _unmet(server, f"called `{name[:80]}`, which was not offered (offered: {offered})")
        try:
            arguments = _parsed(call.arguments or "{}")
            problem = _problem(arguments, plan.callable_schemas[name])
            if not problem:
                calls.append(ToolCall(id=f"call_{position}", name=name, arguments=arguments))
        except (ValueError, RecursionError) as error:  # pydantic's ValidationError is a ValueError
            problem = f"the arguments are no JSON ({str(error).splitlines()[0][:80]})"
        if problem:
            _unmet(server, f"called {name} with arguments outside its schema: {problem}")
    return tuple(calls)


def check_value(text: str, schema: dict[str, Any], server: str) -> None:
    """Check that a text is one JSON value that fits its schema.

    Raises:
        ConstraintUnmet: It is not.
        ConstraintUnsupported: The schema cannot be checked.
    """
    try:
        problem = _problem(_parsed(text), schema)
    except (ValueError, RecursionError) as error:
        problem = f"it is no JSON ({str(error)[:80]})"
    if problem:
        _unmet(server, f"wrote a value outside the schema: {problem}")


def _unmet(server: str, what: str) -> NoReturn:
    raise ConstraintUnmet(
        f"the server {server} {what}",
        hint="Allow more tokens, or use a server that holds the model to schemas (structured output).",
    )


def _problem(value: Any, schema: dict[str, Any]) -> str:
    try:
        return next(violations(value, schema, where="the value"), "")
    except (re.error, LookupError) as error:
        raise ConstraintUnsupported(
            f"a schema cannot be checked: {error}",
            hint="Its patterns have to be valid in Python, too, and its references have to lead somewhere.",
        ) from None


def _parsed(text: str) -> Any:
    """JSON by the letter: no NaN, and no half characters."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON number")

    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    value = json.loads(joined, parse_constant=refuse)
    json.dumps(value, ensure_ascii=False).encode(
        "utf-8"
    )  # a lone surrogate raises UnicodeError, a ValueError
    return value


def _whole(text: str) -> str:
    """Pairs of surrogates joined to the characters that they stand for; half pairs replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _objects(found: Any) -> list[dict[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _first_tokens(logprobs: Any) -> list[tuple[str, float]]:
    if not isinstance(logprobs, dict):
        return []
    for token in _objects(logprobs.get("content")):
        ranked = _objects(token.get("top_logprobs")) or [token]
        pairs = [(each.get("token"), each.get("logprob")) for each in ranked]
        return [(t, float(p)) for t, p in pairs if isinstance(t, str) and isinstance(p, int | float)]
    return []
