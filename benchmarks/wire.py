"""Requests as peers get them: the prompt that agentkit would compute, as text, and the schema of its constraint."""

from __future__ import annotations

from typing import Any

from agentkit.messages import Message, dump_messages
from agentkit.models.dialects import Dialect, choose_dialect, written
from agentkit.models.model_settings import ModelSettings
from agentkit.models.protocols import CallTools, GenerationRequest
from agentkit.models.resolve import resolve
from agentkit.models.tokenizer_file import load_codec
from benchmarks.peers.serve import Request


class Writer:
    """Writes requests down for workers, all of them alike.

    Args:
        dialect: Renders the prompts as agentkit does for the model.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    @classmethod
    def of_model(cls, model: str) -> Writer:
        """The writer for a catalogue name, a folder or a Hugging Face id; reads its tokenizer but no weights."""
        folder = resolve(model)
        settings = ModelSettings(folder.path)
        where = str(folder.path / "tokenizer.json")
        dialect = choose_dialect(
            folder.dialect,
            codec=load_codec(settings.text("tokenizer.json"), where=where),
            chat_template=settings.chat_template,
            variables=settings.special_tokens,
            model=model,
        )
        return cls(dialect)

    def wire(self, request: GenerationRequest) -> Request:
        """A request with everything that any worker needs.

        Where a tool must be called, the prompt ends after the mark that opens a call, and the schema is that of the
        JSON object which follows. (agentkit writes the mark and the one that closes the call itself: a few forced
        tokens more.)
        """
        calls = isinstance(request.constraint, CallTools)
        prompt = written(self._dialect.render(request.messages, request.tools)) + request.prefix
        frame = self._dialect.calls
        if calls:
            prompt += written(frame.opening).partition("{")[0]
        messages: list[Message] = list(request.messages)
        return Request(
            prompt=prompt,
            schema=_call_schema(request) if calls else None,
            stop=[*self._dialect.end_tokens, *([written(frame.closing).strip("}\n")] if calls else [])],
            max_tokens=request.max_tokens,
            messages=dump_messages(messages),
            tools=[tool.model_dump() for tool in request.tools],
            call=calls,
            static=request.static,
        )


def _call_schema(request: GenerationRequest) -> dict[str, Any]:
    """The object of one call to one of the tools: its name, then arguments that fit the tool's own schema."""
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": tool.parameters},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in request.tools
    ]
    return {"anyOf": calls}
