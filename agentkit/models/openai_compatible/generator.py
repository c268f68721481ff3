"""A generator that is a model on a server: vLLM, the server of llama.cpp, Ollama, anything with `/chat/completions`.

What a local model cannot write at all, a server can only be asked not to write. So everything that comes back is
checked against what was asked for, and fails with `ConstraintUnmet` where it does not hold.

Steps of a generation:

1. Translate the request; what the protocol cannot ask for or we cannot check is refused before anything is sent.
2. Send it; a server that is busy or fails is asked again, with growing pauses, until its reply begins.
3. Pass text on as it arrives. Calls and JSON values are held back until they are complete and checked.

Ollama cuts a prompt that is longer than its window without a word, and does not tell how long that is: start it with
`OLLAMA_CONTEXT_LENGTH` of at least `DEFAULT_CONTEXT`.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from agentkit.errors import ConfigurationError, ConstraintUnmet, ConstraintUnsupported, ModelServerError
from agentkit.messages import Message, ToolCall, ToolSpec, assistant
from agentkit.models.openai_compatible.address import ServerAddress
from agentkit.models.openai_compatible.body import Plan, chat_messages, chat_tools, estimated_tokens, plan
from agentkit.models.openai_compatible.connection import Connection, Patience
from agentkit.models.openai_compatible.reply import ReplyDraft, check_value, checked_calls
from agentkit.models.protocols import (
    CallTools,
    ChoiceRequest,
    Delta,
    Finished,
    FinishReason,
    GenerationRequest,
    ReplyStart,
    TextChunk,
    Usage,
)

API_KEY_VARIABLE: Final = "AGENTKIT_API_KEY"
"""Environment variable with the key that is sent to model servers."""
DEFAULT_CONTEXT: Final = 8192
"""Tokens of a context window that the server does not tell."""

_COMPLETIONS: Final = "/chat/completions"
_TEMPLATE_TOKENS: Final = 32
_TOOL_TEMPLATE_TOKENS: Final = 128
"""What chat templates write around a conversation and around tools; Qwen's adds 25 and about 100."""
_RANKED_TOKENS: Final = 20  # the most that vLLM and the original protocol give


class ServerGenerator:
    """Generator protocol on a model server.

    Args:
        server: The server and its model.
        key: Sent as a bearer token; None: what the environment variable `AGENTKIT_API_KEY` holds, if anything.
        patience: How long the server is waited for.
    """

    def __init__(
        self, server: ServerAddress, *, key: str | None = None, patience: Patience | None = None
    ) -> None:
        self.name = server.reference
        self._server = server
        key = os.environ.get(API_KEY_VARIABLE, "") if key is None else key
        if not key.strip().isascii() or not key.strip().isprintable():
            raise ConfigurationError(
                "The key for model servers holds characters that cannot be sent.",
                hint=f"Set the environment variable {API_KEY_VARIABLE} to the key alone.",
            )
        self._connection = Connection(server, key.strip(), patience or Patience())
        self._lock = threading.Lock()
        self._context: int | None = None

    def __repr__(self) -> str:
        return f"ServerGenerator({self.name!r})"

    @property
    def context_length(self) -> int:
        """What the server tells of its model, asked once; `DEFAULT_CONTEXT` where it does not.

        Raises:
            ModelServerError: The server is not there or lets nobody in.
        """
        with self._lock:
            if self._context is None:
                self._context = self._told_context() or DEFAULT_CONTEXT
            return self._context

    def count_tokens(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
        """An estimate from above, as only the server has the tokenizer: one for three bytes, and what templates add."""
        request = [*chat_messages(messages), *chat_tools(tools)]
        added = _TEMPLATE_TOKENS + (_TOOL_TEMPLATE_TOKENS if tools else 0)
        return estimated_tokens(json.dumps(request, ensure_ascii=False)) + added

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        """See `Generator`.

        Raises:
            ContextOverflow: The server says that the prompt is too long.
            ConstraintUnsupported: The protocol cannot ask for it; nothing was sent.
            ConstraintUnmet: The reply is not what was asked for.
            ModelServerError: The server is not there, refuses, fails, hangs, breaks off or sends nonsense.
            ModelNotFound: The server has no such model.
        """
        started = time.monotonic()
        asked = plan(request, self._server.model)
        draft, interrupted = ReplyDraft(), None
        streams = asked.value_schema is None and not asked.must_call
        items = self._connection.post(
            _COMPLETIONS, asked.body, deadline=request.deadline, cancel=request.cancel
        )
        try:
            for item in items:
                if isinstance(item, str):
                    interrupted = item
                    break
                if (chunk := draft.add(item)) and streams:
                    yield TextChunk(chunk)
        finally:
            items.close()
        if (chunk := draft.end()) and streams:
            yield TextChunk(chunk)
        usage = _usage(request, draft, self, time.monotonic() - started)
        if interrupted is not None:
            text = draft.text if streams else ""
            yield Finished(assistant(text), text, interrupted, usage)
            return
        finished = self._finished(request, asked, draft, usage)
        if finished.text and not streams:
            yield TextChunk(finished.text)
        yield finished

    def choose(self, request: ChoiceRequest) -> tuple[float, ...]:
        """See `Generator`; read from the first token of a reply, so an option has to be one token of the model.

        An option that is not among the twenty most probable tokens gets the probability of the last of them, which is
        more than its own.

        Raises:
            ConstraintUnsupported: An option or a prefix that cannot be read from the first token.
            ModelServerError: The server tells no probabilities, or fails as in `generate`.
        """
        texts = [option for option in request.options if isinstance(option, str)]
        if any(not text for text in texts):
            raise ValueError("an option must not be empty")
        if request.prefix or any(isinstance(option, ReplyStart) for option in request.options):
            raise ConstraintUnsupported(
                "a model server does not tell how probable a call is, or what follows a given beginning",
                hint="Use a local model for this decision.",
            )
        body: dict[str, Any] = {
            "model": self._server.model,
            "messages": chat_messages(request.messages),
            "max_tokens": 1,
            "temperature": 1.0,  # at 0 some servers report 1 for the chosen token and 0 for all others
            "logprobs": True,
            "top_logprobs": _RANKED_TOKENS,
        }
        if request.tools:
            body |= {"tools": chat_tools(request.tools), "tool_choice": "none"}
        draft = ReplyDraft()
        for item in self._connection.post(_COMPLETIONS, body):
            if isinstance(item, dict):
                draft.add(item)
        if not draft.first_tokens:
            raise ModelServerError(
                f"The server {self._server.base} does not tell how probable its tokens are.",
                hint="Start it with log-probabilities, or use a local model for this decision.",
            )
        return tuple(self._log_probability(text, draft.first_tokens) for text in texts)

    def close(self) -> None:
        """Close the connections; later calls fail."""
        self._connection.close()

    def _log_probability(self, option: str, ranked: Sequence[tuple[str, float]]) -> float:
        known = dict(ranked)
        if option in known:
            return known[option]
        if beginning := next((token for token, _ in ranked if token and option.startswith(token)), None):
            raise ConstraintUnsupported(
                f"{self._server.model} writes {option!r} in several tokens, beginning with {beginning!r}",
                hint="Only options of one token can be read from a server.",
            )
        return min(known.values())

    def _finished(self, request: GenerationRequest, asked: Plan, draft: ReplyDraft, usage: Usage) -> Finished:
        if not draft.finish:
            raise ModelServerError(
                f"The server {self._server.base} ended its reply before it was complete.",
                hint="Look whether it still runs; its log may say why it stopped.",
            )
        finish: FinishReason = "length" if draft.finish == "length" else "stop"
        wants_calls = asked.most_calls > 0 and bool(draft.calls)
        unfinished = wants_calls or asked.must_call or asked.value_schema is not None
        if finish == "length" and unfinished:
            raise ConstraintUnmet(
                f"the reply of the server {self._server.base} was cut after {usage.generated_tokens} tokens",
                hint="Allow more tokens, or bound the lengths of strings and lists in the schema.",
                cut=True,
            )
        calls = _wanted(request, checked_calls(draft, asked, self._server.base))
        if asked.must_call and not calls:
            raise ConstraintUnmet(
                f"the server {self._server.base} wrote text where a call was required",
                hint='It has to support `tool_choice: "required"`; vLLM needs --enable-auto-tool-choice.',
            )
        if asked.value_schema is not None:
            check_value(draft.text, asked.value_schema, self._server.base)
        text = "" if asked.must_call else draft.text
        return Finished(assistant(text, calls), text, finish, usage)

    def _told_context(self) -> int | None:
        """`max_model_len` of vLLM, or what llama.cpp says of its window or of the model's training."""
        listed = self._connection.get("/models").get("data")
        models = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        named = [
            each for each in models if each.get("id") in (self._server.model, f"{self._server.model}:latest")
        ]
        for model in named or models[: len(models) == 1]:  # llama.cpp answers to any name
            meta = model.get("meta")
            meta = meta if isinstance(meta, dict) else {}
            for length in (model.get("max_model_len"), meta.get("n_ctx"), meta.get("n_ctx_train")):
                if isinstance(length, int) and length > 0:
                    return length
        return None


def _wanted(request: GenerationRequest, calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
    """The calls before the first that `CallTools.further` does not want."""
    constraint = request.constraint
    if isinstance(constraint, CallTools) and constraint.further is not None:
        for count in range(2, len(calls) + 1):
            if not constraint.further(calls[:count]):
                return calls[: count - 1]
    return calls


def _usage(
    request: GenerationRequest, draft: ReplyDraft, generator: ServerGenerator, seconds: float
) -> Usage:
    """What the server counted; where it counts nothing, our estimates."""

    def told(counts: Any, name: str) -> int | None:
        value = counts.get(name) if isinstance(counts, dict) else None
        return value if isinstance(value, int) and value >= 0 else None

    prompt, written = told(draft.usage, "prompt_tokens"), told(draft.usage, "completion_tokens")
    if prompt is None:
        prompt = generator.count_tokens(request.messages, request.tools)
    if written is None:
        written = estimated_tokens(draft.text + "".join(call.name + call.arguments for call in draft.calls))
    cached = told(draft.usage.get("prompt_tokens_details"), "cached_tokens")
    return Usage(prompt_tokens=prompt, cached_tokens=cached or 0, generated_tokens=written, seconds=seconds)
