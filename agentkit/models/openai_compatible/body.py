"""Requests in the OpenAI chat protocol: messages, tools, constraint and sampling as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agentkit.errors import ConstraintUnsupported
from agentkit.messages import Assistant, Message, ToolResult, ToolSpec, text_of
from agentkit.models.protocols import CallTools, FreeText, GenerationRequest, JsonSchema, Sampling
from agentkit.models.schema_support import enforceable, narrowed

BYTES_PER_TOKEN: Final = 3
"""Tokenizers of current models make tokens of four to five bytes of prose and of three to four bytes of JSON; counting
three leaves room for the roles and marks that a server adds."""


@dataclass(frozen=True)
class Plan:
    """A request, and what its reply is checked against.

    Args:
        body: The request as it is sent.
        callable_schemas: JSON Schema of the arguments of each tool that may be called, by name.
        most_calls: At most this many calls are taken.
        must_call: Text is no reply.
        value_schema: The whole text has to be a JSON value that fits it; None: any text.
    """

    body: dict[str, Any]
    callable_schemas: Mapping[str, dict[str, Any]]
    most_calls: int
    must_call: bool
    value_schema: dict[str, Any] | None = None


def plan(request: GenerationRequest, model: str) -> Plan:
    """Translate a request.

    Only what the reply can be checked against is sent: a server that ignores a schema must not go unnoticed.

    Raises:
        ConstraintUnsupported: The protocol has no way to ask for it.
    """
    constraint = request.constraint
    if request.prefix:
        raise ConstraintUnsupported(
            "a model server cannot be made to begin its reply with a given text",
            hint="Use a local model for it, or leave the prefix out.",
        )
    if request.log_probabilities:
        raise ConstraintUnsupported(
            "the log-probabilities of a reply are not read from a model server",
            hint="Use a local model for it, or do without.",
        )
    body: dict[str, Any] = {
        "model": model,
        "messages": chat_messages(request.messages),
        "max_tokens": request.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        **_sampling(request.sampling),
    }
    if request.stop and not isinstance(constraint, CallTools):
        body["stop"] = list(request.stop)
    match constraint:
        case CallTools():
            return _calls(body, request, constraint)
        case FreeText() | JsonSchema():
            if request.tools:  # they belong to the prompt, so that the server computes its beginning once
                body |= {"tools": chat_tools(request.tools), "tool_choice": "none"}
            if isinstance(constraint, FreeText):
                return Plan(body, {}, 0, must_call=False)
            schema = enforceable(constraint.schema)
            form = {"name": "reply", "schema": dict(constraint.schema), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
            return Plan(body, {}, 0, must_call=False, value_schema=schema)
        case _:
            raise ConstraintUnsupported(
                f"a model server cannot be held to a {type(constraint).__name__.lower()}",
                hint="Ask it for JSON with a schema, or use a local model.",
            )


def _calls(body: dict[str, Any], request: GenerationRequest, constraint: CallTools) -> Plan:
    tools = request.tools if constraint.tools is None else constraint.tools
    most = constraint.max_calls if tools else 0
    if most < 1 and not constraint.allow_text:
        raise ConstraintUnsupported(
            "a call is required, but there is no tool to call",
            hint="Give the request tools, or allow text.",
        )
    schemas = {
        tool.name: {"type": "object", **narrowed(enforceable(tool.parameters, where=f"tool {tool.name}"))}
        for tool in tools
    }
    if tools:
        body["tools"] = chat_tools(tools)
        body["tool_choice"] = "none" if most < 1 else "auto" if constraint.allow_text else "required"
        if most == 1:
            body["parallel_tool_calls"] = False
    return Plan(body, schemas, max(most, 0), must_call=not constraint.allow_text)


def chat_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """A transcript in the protocol's form; calls and results keep their ids."""
    return [_chat_message(message) for message in messages]


def _chat_message(message: Message) -> dict[str, Any]:
    said = text_of(message)
    if isinstance(message, ToolResult):
        return {"role": "tool", "tool_call_id": message.call_id, "content": said}
    if not isinstance(message, Assistant) or not message.calls:
        return {"role": message.role, "content": said}
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
        }
        for call in message.calls
    ]
    return {"role": "assistant", "content": said or None, "tool_calls": calls}


def chat_tools(tools: Sequence[ToolSpec]) -> list[dict[str, Any]]:
    """Tools in the protocol's form, with all that their schemas say."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools
    ]


def estimated_tokens(text: str) -> int:
    """An estimate from above of the tokens of a text: nobody but the server knows its tokenizer."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def _sampling(sampling: Sampling) -> dict[str, Any]:
    chosen: dict[str, Any] = {"temperature": sampling.temperature}
    if sampling.temperature > 0:
        chosen["top_p"] = sampling.top_p
        # Not in the protocol: the names of vLLM and of llama.cpp.
        chosen |= {"top_k": sampling.top_k} if sampling.top_k else {}
        chosen |= {"min_p": sampling.min_p} if sampling.min_p else {}
    if sampling.seed is not None:
        chosen["seed"] = sampling.seed
    if sampling.repetition_penalty != 1.0:  # as above
        chosen["repetition_penalty"] = chosen["repeat_penalty"] = sampling.repetition_penalty
    return chosen
