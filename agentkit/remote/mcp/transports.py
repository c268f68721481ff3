"""Bytes to and from an MCP server, bounded: a server that sends too much is cut off, not listened to.

The SDK's own stdio transport reads lines of any length. This one keeps its order of shutting down (close the input,
wait, end the process group, kill it) and adds the bound, the last words on standard error, and word of the end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.abc
import httpx2
import mcp_types as types
from mcp.client.stdio import get_default_environment
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

if TYPE_CHECKING:
    from mcp.client import Transport

_GRACE: Final = 1.0  # seconds for a server to end by itself, and again after SIGTERM
_MOST_WORDS: Final = 20  # last chunks of standard error that are kept
_CONNECT_SECONDS: Final = 10.0


@dataclass
class Line:
    """What is known about the connection, beside the messages.

    Args:
        closed: Set when the server is gone.
        problem: Why, if it did something that it must not.
        last_words: The end of what it wrote to standard error.
    """

    closed: anyio.Event = field(default_factory=anyio.Event)
    problem: str = ""
    last_words: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_WORDS))


@asynccontextmanager
async def stdio(
    command: Sequence[str], line: Line, *, env: Mapping[str, str], folder: str | None, most_bytes: int
) -> AsyncIterator[Any]:
    """Start a server and talk to it over its standard input and output.

    Args:
        command: Program and arguments.
        line: Told about the end.
        env: Variables beside PATH, HOME and the like.
        folder: Where it is started.
        most_bytes: Longest message.

    Raises:
        OSError: It cannot be started.
    """
    process = await anyio.open_process(
        list(command), env={**get_default_environment(), **env}, cwd=folder, start_new_session=True
    )
    received, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, to_send = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_read, process, received, line, most_bytes)
        tasks.start_soon(_write, process, to_send)
        tasks.start_soon(_listen, process, line)
        try:
            yield incoming, outgoing
        finally:
            with anyio.CancelScope(shield=True):
                await _stop(process)
                for stream in (received, incoming, outgoing, to_send):
                    await stream.aclose()
            tasks.cancel_scope.cancel()


async def _read(process: anyio.abc.Process, received: Any, line: Line, most_bytes: int) -> None:
    assert process.stdout is not None
    buffer = bytearray()
    searched = 0
    gone = (anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.EndOfStream)
    async with received:
        with contextlib.suppress(*gone):
            async for chunk in process.stdout:
                buffer += chunk
                while (end := buffer.find(b"\n", searched)) >= 0:
                    await received.send(_message(bytes(buffer[:end])))
                    del buffer[: end + 1]
                    searched = 0
                searched = len(buffer)
                if searched > most_bytes:
                    line.problem = f"sent a message of more than {most_bytes} bytes"
                    break
    line.closed.set()


def _message(text: bytes) -> SessionMessage | Exception:
    try:
        return SessionMessage(types.jsonrpc_message_adapter.validate_json(text, by_name=False))
    except ValidationError as problem:
        return problem


async def _write(process: anyio.abc.Process, to_send: Any) -> None:
    assert process.stdin is not None
    with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        async for message in to_send:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            await process.stdin.send(text.encode() + b"\n")


async def _listen(process: anyio.abc.Process, line: Line) -> None:
    assert process.stderr is not None
    with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
        async for chunk in process.stderr:
            line.last_words.append(chunk[-500:].decode("utf-8", "replace"))


async def _stop(process: anyio.abc.Process) -> None:
    """Close its input; what still runs after a moment is ended, with everything it started, then killed."""
    assert process.stdin is not None
    with contextlib.suppress(OSError, anyio.ClosedResourceError, anyio.BrokenResourceError):
        await process.stdin.aclose()
    for force in (None, signal.SIGTERM, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM):
        if force is not None:
            _end(process, force)
        with anyio.move_on_after(_GRACE):
            await process.wait()
            break
    if sys.platform != "win32":
        _end(process, signal.SIGKILL)  # what the server started and left behind
    with contextlib.suppress(OSError, anyio.ClosedResourceError, anyio.BrokenResourceError):
        await process.aclose()


def _end(process: anyio.abc.Process, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.send_signal(how)
        else:
            os.killpg(process.pid, how)


@asynccontextmanager
async def http(
    url: str, *, headers: Mapping[str, str], seconds: float, most_bytes: int
) -> AsyncIterator[Any]:
    """Talk to a server over streamable HTTP; redirects stay within its origin.

    Args:
        url: Its address.
        headers: Of every request.
        seconds: Longest silence in an answer.
        most_bytes: Longest answer or event.
    """
    timeout = httpx2.Timeout(_CONNECT_SECONDS, read=seconds)
    bounded = _Bounded(httpx2.AsyncHTTPTransport(), most_bytes)
    async with httpx2.AsyncClient(headers=dict(headers), timeout=timeout, transport=bounded) as client:
        transport: Transport = streamable_http_client(url, http_client=client, max_sse_event_size=most_bytes)
        async with transport as streams:
            yield streams


class _Bounded(httpx2.AsyncBaseTransport):
    """Bounds answers; a stream of events, which may go on, is bounded event by event instead."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, most_bytes: int) -> None:
        self._inner = inner
        self._most = most_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if "text/event-stream" not in response.headers.get("content-type", ""):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _BoundedStream(response.stream, self._most)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, most_bytes: int) -> None:
        self._inner = inner
        self._most = most_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most
        async for chunk in self._inner:
            left -= len(chunk)
            if left < 0:
                raise httpx2.ReadError(f"the answer is longer than {self._most} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
