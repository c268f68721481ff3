"""What a failure of a model server means, and for whom: every message names the server."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from agentkit.errors import AgentKitError, ContextOverflow, ModelNotFound, ModelServerError
from agentkit.models.openai_compatible.address import ServerAddress

_MOST_WORDS: Final = 300
_TOO_LONG: Final = re.compile(
    r"exceed_context_size|context_length_exceeded|context[ _](?:length|size|window)|max_model_len|maximum model length"
    r"|(?:prompt|input) (?:is )?too long|max_tokens must be at least 1, got -",
    re.IGNORECASE,
)
_MAY_BE_TOO_LONG: Final = (None, 400, 413, 422, 500)
"""Statuses with which servers refuse a prompt that is too long (500: llama.cpp until September 2025)."""
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Refusal:
    """An answer of a server that is no reply.

    Args:
        status: The HTTP status; None for an error inside a stream that began well.
        words: What the server says about it, shortened, without the key.
    """

    status: int | None
    words: str

    @property
    def is_too_long(self) -> bool:
        """The server says that the prompt does not fit its context window."""
        return self.status in _MAY_BE_TOO_LONG and bool(_TOO_LONG.search(self.words))

    @property
    def may_pass(self) -> bool:
        """The same request may succeed a moment later."""
        return self.status in _AGAIN and not self.is_too_long

    def error(self, server: ServerAddress, *, attempts: int = 1) -> AgentKitError:
        """The error to raise.

        Args:
            server: Who refused.
            attempts: How often it was asked.
        """
        quoted = f": {self.words}" if self.words else "."
        if self.is_too_long:
            return ContextOverflow(
                f"the prompt does not fit the context window of {server.model} at {server.base}{quoted}",
                hint="Shorten the system prompt, the history or the tool descriptions, ask for fewer tokens, or start "
                "the server with a larger context.",
            )
        match self.status:
            case None:
                return ModelServerError(
                    f"The server {server.base} broke off its reply{quoted}", hint="Its log says more."
                )
            case 401 | 403:
                return ModelServerError(
                    f"The server {server.base} does not let us in ({self.status}){quoted}",
                    hint="Set the environment variable AGENTKIT_API_KEY to a key that it accepts.",
                )
            case 404 if "model" in self.words.lower():
                return ModelNotFound(
                    f"The server {server.base} has no model `{server.model}`{quoted}",
                    hint=f"{server.base}/models lists what it has.",
                )
            case 404:
                return ModelServerError(
                    f"The server {server.base} has no chat completions{quoted}",
                    hint="The address has to be the one that /chat/completions is appended to; it often ends in /v1.",
                )
            case status if status in _AGAIN:
                times = f" {attempts} times" if attempts > 1 else ""
                return ModelServerError(
                    f"The server {server.base} failed{times} with status {status}{quoted}",
                    hint="It is overloaded or broken; its log says more. Try again later.",
                )
            case status:
                return ModelServerError(
                    f"The server {server.base} refused the request with status {status}{quoted}",
                    hint="Its words and its log say what it does not accept; some servers need an option for tools.",
                )


def refusal(status: int | None, body: bytes | Any, key: str) -> Refusal:
    """Read what a server says about an error.

    Args:
        status: The HTTP status; None inside a stream.
        body: The body as it came, or the part of a stream that holds the error.
        key: The key of the user, which is never repeated, not even if the server does.
    """
    found = body
    if isinstance(body, bytes):
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = "" if b"<html" in body[:1000].lower() else body.decode("utf-8", "replace")
    words = " ".join(_said(found).split())
    if key:
        words = words.replace(key, "…")
    return Refusal(status, words[:_MOST_WORDS])


def _said(found: Any) -> str:
    """The sentence and the short code in an error body, wherever this server puts them."""
    if isinstance(found, str):
        return found
    if not isinstance(found, dict):
        return ""
    inner = found.get("error", found)
    if not isinstance(inner, dict):
        return str(inner)
    sentence = inner.get("message") or inner.get("detail") or ""
    codes = [inner[name] for name in ("type", "code") if isinstance(inner.get(name), str)]
    return f"{sentence} ({', '.join(codes)})" if codes else str(sentence)
