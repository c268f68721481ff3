"""The body of a reply: a stream of server-sent events (WHATWG HTML, section 9.2), each with one JSON object."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from agentkit.errors import ModelServerError
from agentkit.models.openai_compatible.address import ServerAddress
from agentkit.models.openai_compatible.failures import refusal

if TYPE_CHECKING:
    import httpx2

Payload: TypeAlias = dict[str, Any]
"""One JSON object that a server sent."""

_MOST_BYTES: Final = (
    32 * 1024 * 1024
)  # more than any reply; a server that never ends must not fill the memory
_DONE: Final = b"[DONE]"
_FIELDS_WITHOUT_DATA: Final = (b"", b"event", b"id", b"retry")


async def payloads(response: httpx2.Response, server: ServerAddress, key: str) -> AsyncIterator[Payload]:
    """The JSON objects of a stream, or the one object of an answer that is plain JSON.

    Args:
        response: An answer with status 200 whose body has not been read.
        server: For messages.
        key: The key of the user, which no message repeats.

    Raises:
        ModelServerError: It is a web page or something else that is no reply, or the server reports an error in it.
        ContextOverflow: The error is that the prompt is too long.
    """
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == "text/html":
        raise ModelServerError(
            f"The server {server.base} answered with a web page.",
            hint="The address has to be that of the protocol, often ending in /v1, not that of a web interface.",
        )
    async with aclosing(_lines(response, server)) as lines:
        if kind == "application/json":
            yield _read(b"".join([line async for line in lines]), server, key)
            return
        data: list[bytes] = []
        async for line in lines:
            line = line.rstrip(b"\r\n")
            name, _, value = line.partition(b":")
            if name == b"data":
                data.append(value.removeprefix(b" "))
            elif name == b"error":  # older servers of llama.cpp
                raise refusal(None, value, key).error(server)
            elif name not in _FIELDS_WITHOUT_DATA:
                raise _nonsense(line, server, key)
            if data == [_DONE]:
                return
            if data and not line:
                yield _read(b"\n".join(data), server, key)
                data = []
        if data:
            yield _read(b"\n".join(data), server, key)


async def _lines(response: httpx2.Response, server: ServerAddress) -> AsyncGenerator[bytes, None]:
    """The lines of a body, with their ends; characters are not looked at, as a piece may end inside one."""
    rest, total = bytearray(), 0
    async for piece in response.aiter_bytes():
        total += len(piece)
        if total > _MOST_BYTES:
            raise ModelServerError(
                f"The server {server.base} sent more than {_MOST_BYTES // 2**20} MB and did not end.",
                hint="Its log may say why.",
            )
        searched = len(rest)
        rest += piece
        while (end := rest.find(b"\n", searched)) >= 0:
            yield bytes(rest[: end + 1])
            del rest[: end + 1]
            searched = 0
    if rest:
        yield bytes(rest)


def _read(text: bytes, server: ServerAddress, key: str) -> Payload:
    try:
        found = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _nonsense(text, server, key)
    if found.get("error"):
        raise refusal(None, found, key).error(server)
    return found


def _nonsense(text: bytes, server: ServerAddress, key: str) -> ModelServerError:
    shown = text.decode("utf-8", "replace")
    shown = (shown.replace(key, "…") if key else shown)[:80]
    return ModelServerError(
        f"The server {server.base} sent what is no reply: {shown!r}",
        hint="Look whether the address is that of a server with the OpenAI chat protocol, and into its log.",
    )
