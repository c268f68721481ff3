"""Requests to a model server that can be abandoned at any moment, also while nothing arrives.

A blocked read of a socket cannot be interrupted, and a server that thinks about a long prompt is silent for a minute.
So requests run on an event loop in a thread of their own, where cancelling one closes its socket at once (and the
server stops writing); callers wait for what has arrived. The thread is started by the first request and ended by
`close`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import random
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from agentkit.errors import AgentKitError, ModelServerError
from agentkit.models.openai_compatible.address import ServerAddress
from agentkit.models.openai_compatible.failures import refusal
from agentkit.models.openai_compatible.stream import Payload, payloads
from agentkit.models.protocols import FinishReason

if TYPE_CHECKING:
    import httpx2

_GLANCE: Final = 0.05  # seconds between two looks at `cancel` and `deadline`
_MOST_ERROR_BYTES: Final = 64 * 1024
_NOT_OFFERED: Final = (404, 405, 500, 501)
"""Statuses of a list of models that is not there or broken (500: `transformers serve` with an empty cache); the chat of
such a server may well work."""


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for, in seconds.

    Args:
        connect: Until it accepts a connection.
        silence: Between two pieces of a reply, and before the first: a long prompt on a slow machine takes a while.
        attempts: How often a request is sent if the server is busy or fails before it has begun its reply.
        pause: Before the second attempt; doubled before each further one, and up to a quarter is added by chance.
        longest_pause: A server that asks for more (`Retry-After`) is not waited for.
    """

    connect: float = 5.0
    silence: float = 120.0
    attempts: int = 4
    pause: float = 0.5
    longest_pause: float = 30.0


class Connection:
    """Sends requests to one server; any number at a time, from any thread.

    Args:
        server: The server and its model, for messages.
        key: Sent as a bearer token; empty: none. It appears in no message and no representation.
        patience: How long the server is waited for.
    """

    def __init__(self, server: ServerAddress, key: str, patience: Patience) -> None:
        self._server = server
        self._key = key
        self._patience = patience
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: httpx2.AsyncClient | None = None
        self._closed = False

    def post(
        self,
        path: str,
        body: Payload,
        *,
        deadline: float | None = None,
        cancel: threading.Event | None = None,
    ) -> Generator[Payload | FinishReason, None, None]:
        """Send a request and yield what comes back, object by object.

        The last item is `cancelled` or `deadline` if the request was given up for that reason. Closing the iterator
        gives it up, too.

        Args:
            path: After the address of the server, for example `/chat/completions`.
            body: The request.
            deadline: `time.monotonic()` value after which it is given up.
            cancel: Set to give it up.

        Raises:
            ModelServerError: The server is not there, refuses, fails, hangs or sends nonsense.
            ModelNotFound: The server has no such model.
            ContextOverflow: The server says that the prompt is too long.
        """
        if (reason := _interrupted(deadline, cancel)) is not None:
            yield reason
            return
        inbox: queue.SimpleQueue[Payload | None] = queue.SimpleQueue()
        future = self._start(lambda: self._send("POST", path, body, inbox.put))
        future.add_done_callback(lambda _: inbox.put(None))
        try:
            while True:
                left = _GLANCE if deadline is None else max(0.0, min(_GLANCE, deadline - time.monotonic()))
                try:
                    payload = inbox.get(timeout=left)
                except queue.Empty:
                    payload = {}
                if (reason := _interrupted(deadline, cancel)) is not None:
                    yield reason
                    return
                if payload is None:
                    break
                if payload:
                    yield payload
            self._outcome(future)
        finally:
            future.cancel()

    def get(self, path: str) -> Payload:
        """Fetch one JSON object, empty where the server does not offer it; errors are those of `post`."""
        found: list[Payload] = []
        self._outcome(self._start(lambda: self._send("GET", path, None, found.append)))
        return found[0] if found else {}

    def close(self) -> None:
        """Give up what is under way and end the thread."""
        with self._lock:
            self._closed = True
            loop, thread, client = self._loop, self._thread, self._client
            self._loop = self._thread = self._client = None
        if loop is None or thread is None or client is None:
            return
        asyncio.run_coroutine_threadsafe(_shut_down(client), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> concurrent.futures.Future[None]:
        with self._lock:
            if self._closed:
                raise RuntimeError(f"the connection to {self._server.base} has been closed")
            if self._loop is None:
                self._client = self._new_client()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name=f"requests to {self._server.base}", daemon=True
                )
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(work(), self._loop)

    def _outcome(self, future: concurrent.futures.Future[None]) -> None:
        try:
            future.result()
        except concurrent.futures.CancelledError:
            raise RuntimeError(f"the connection to {self._server.base} has been closed") from None

    def _new_client(self) -> httpx2.AsyncClient:
        import httpx2

        patience = self._patience
        return httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx2.Timeout(patience.silence, connect=patience.connect, pool=None),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=8),
            # A proxy that the environment names cannot reach a server on this machine.
            trust_env=not self._server.is_local,
        )

    async def _send(
        self, method: str, path: str, body: Payload | None, deliver: Callable[[Payload], None]
    ) -> None:
        """Send until the server begins its reply, then deliver that: what was delivered is never asked for again."""
        import httpx2

        assert self._client is not None
        client, patience, attempt = self._client, self._patience, 0
        while True:
            attempt += 1
            try:
                async with client.stream(method, f"{self._server.base}{path}", json=body) as response:
                    if response.status_code == 200:
                        async for payload in payloads(response, self._server, self._key):
                            deliver(payload)
                        return
                    if method == "GET" and response.status_code in _NOT_OFFERED:
                        return
                    refused = refusal(response.status_code, await _beginning(response), self._key)
                    asked = _retry_after(response.headers.get("Retry-After"))
            except httpx2.HTTPError as problem:
                raise self._broken(problem) from None
            pause = (
                patience.pause * 2 ** (attempt - 1) * (1 + random.random() / 4) if asked is None else asked
            )
            if not refused.may_pass or attempt >= patience.attempts or pause > patience.longest_pause:
                raise refused.error(self._server, attempts=attempt)
            await asyncio.sleep(pause)

    def _broken(self, problem: httpx2.HTTPError) -> AgentKitError:
        import httpx2

        base, patience = self._server.base, self._patience
        match problem:
            case httpx2.ConnectError() | httpx2.ConnectTimeout():
                return ModelServerError(
                    f"No server answers at {base} ({_first_words(problem)}).",
                    hint="Start it, or correct the address in the model reference.",
                )
            case httpx2.TimeoutException():
                return ModelServerError(
                    f"The server {base} was silent for {patience.silence:g} seconds.",
                    hint="It hangs, or its machine is too slow for the prompt; its log may say more.",
                )
            case _:
                return ModelServerError(
                    f"The connection to the server {base} was lost ({_first_words(problem)}).",
                    hint="Look whether it still runs; its log may say why it stopped.",
                )


async def _beginning(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _MOST_ERROR_BYTES:
            break
    return bytes(body[:_MOST_ERROR_BYTES])


async def _shut_down(client: httpx2.AsyncClient) -> None:
    """Cancel every request, wait until each has closed its socket, then close the idle ones."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await client.aclose()
    await asyncio.get_running_loop().shutdown_asyncgens()


def _interrupted(deadline: float | None, cancel: threading.Event | None) -> FinishReason | None:
    if cancel is not None and cancel.is_set():
        return "cancelled"
    if deadline is not None and time.monotonic() >= deadline:
        return "deadline"
    return None


def _retry_after(value: str | None) -> float | None:
    """Seconds that the header asks for: a number or a date (RFC 9110, section 10.2.3); None where it says nothing."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _first_words(problem: Exception) -> str:
    return (str(problem) or type(problem).__name__).splitlines()[0][:120]
