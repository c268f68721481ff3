"""A connection to one MCP server, usable from any thread: started when it is needed, and again when it has died."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import httpx2
import mcp_types as types
from mcp import Client, MCPError
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from pydantic import ValidationError

from agentkit.errors import ToolServerError
from agentkit.remote.mcp.settings import McpSettings
from agentkit.remote.mcp.transports import Line, http, stdio

T = TypeVar("T")
_SECONDS_PER_WAIT: Final = 0.05
_CLOSING_SECONDS: Final = 10.0
_MOST_PAGES: Final = 50
_MOST_TOOLS: Final = 1_000
_MOST_UNANSWERED: Final = 2  # so many questions in a row without an answer, and the server is started anew
# What a server that dies, lies or hangs makes the SDK raise.
_FAILURES: Final = (
    MCPError,
    OSError,
    ValidationError,
    RuntimeError,
    anyio.ClosedResourceError,
    anyio.BrokenResourceError,
    anyio.EndOfStream,
    httpx2.HTTPError,
    httpx2.InvalidURL,
    ExceptionGroup,
)


class _NoAnswer(RuntimeError):
    """Nobody waits any more."""


class Connection:
    """One MCP server.

    Args:
        name: What the bot calls it.
        settings: How it is reached.
        folder: Where a `command` is started; None: the current folder.
        on_change: Called, in another thread, when the server says that its tools have changed.
    """

    def __init__(
        self,
        name: str,
        settings: McpSettings,
        folder: Path | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = name
        self._settings = settings
        self._folder = str(folder.resolve()) if folder is not None else None
        self._on_change = on_change
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: _Session | None = None
        self._ending: list[_Session] = []
        self._had_session = False
        self._lock = threading.Lock()
        self._closed = False

    @property
    def is_open(self) -> bool:
        """Whether the server is there, as far as is known."""
        return self._session is not None and self._session.client is not None

    def open(self, cancelled: threading.Event | None = None) -> None:
        """Start the server if it is not running; when it had died, its tools count as changed.

        Raises:
            ToolServerError: It does not start.
        """
        self._started(cancelled)

    def tools(self) -> list[types.Tool]:
        """All tools that it offers.

        Raises:
            ToolServerError: It does not start, does not answer, or sends what it must not.
        """

        async def listed(client: Client) -> list[types.Tool]:
            if client.server_capabilities.tools is None:
                return []
            found: list[types.Tool] = []
            cursor: str | None = None
            for _ in range(_MOST_PAGES):
                page = await client.list_tools(cursor=cursor, cache_mode="refresh")
                found += page.tools
                cursor = page.next_cursor
                if cursor is None or len(found) >= _MOST_TOOLS:
                    break
            return found[:_MOST_TOOLS]

        return self.ask(listed, "list its tools", seconds=self._settings.start_timeout)

    def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        *,
        seconds: float,
        cancelled: threading.Event | None = None,
        report: Callable[[str], None] = lambda text: None,
    ) -> types.CallToolResult:
        """Call a tool and wait for its result.

        Args:
            tool: Name that the server gives it.
            arguments: As JSON.
            seconds: After so long the server is told to stop, and nobody waits any more.
            cancelled: When it is set, the same happens.
            report: Told how far the server says it has come.

        Raises:
            ToolServerError: It died, hung, or sent what it must not; the next call starts it anew.
        """

        async def told(progress: float, total: float | None, message: str | None) -> None:
            report(_progress(progress, total, message))

        async def called(client: Client) -> types.CallToolResult:
            return await client.call_tool(tool, arguments, progress_callback=told)

        return self.ask(called, f"run {tool}", seconds=seconds, cancelled=cancelled)

    def ask(
        self,
        question: Callable[[Client], Awaitable[T]],
        what: str,
        *,
        seconds: float | None = None,
        cancelled: threading.Event | None = None,
    ) -> T:
        """Ask the server something through the SDK's client.

        Args:
            question: Runs in the thread of the connection.
            what: For messages: what the server was asked to do.
            seconds: Longest time, starting it not counted; None: the timeout of the settings.
            cancelled: When it is set, the question is withdrawn.

        Raises:
            ToolServerError: No answer.
        """
        session = self._started(cancelled)
        limit = self._settings.timeout if seconds is None else seconds
        try:
            answer = self._waited(session.asked(question), limit, cancelled)
        except _FAILURES as problem:
            session.unanswered += isinstance(problem, _NoAnswer)
            answered = isinstance(problem, MCPError) and problem.code != types.CONNECTION_CLOSED
            if session.unanswered >= _MOST_UNANSWERED or not (answered or isinstance(problem, _NoAnswer)):
                self._drop(session)
            raise _error(self._name, self._settings, f"did not {what}", session.line, problem) from problem
        session.unanswered = 0
        return answer

    def close(self) -> None:
        """Stop the server and the thread."""
        with self._lock:
            self._closed = True
            sessions, loop = [*self._ending, self._session], self._loop
            self._session = self._loop = None
        if loop is None:
            return
        for session in sessions:
            if session is not None:
                session.end(loop)
                session.wait()
        loop.call_soon_threadsafe(loop.stop)

    def _started(self, cancelled: threading.Event | None) -> _Session:
        """The live session; a new one if there is none or its server has died."""
        with self._lock:
            if self._closed:
                raise ToolServerError(f"The MCP server {self._name} was closed.")
            if self._session is not None and self._session.is_alive:
                return self._session
            values = self._settings.header_values(self._name) | self._settings.environment(self._name)
            loop = self._running_loop()
            if self._had_session:
                self._on_change()  # who knows what it offers now
            self._had_session = True
            self._let_go(self._session)
            session = self._session = _Session(self._settings, values, self._folder, self._on_change)
            session.task = asyncio.run_coroutine_threadsafe(session.live(), loop)
            try:
                self._waited(session.opened(), self._settings.start_timeout, cancelled)
            except _FAILURES as problem:
                self._let_go(session)
                raise _error(self._name, self._settings, "does not start", session.line, problem) from problem
            return session

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=_run, args=(self._loop,), name=f"mcp {self._name}", daemon=True).start()
        return self._loop

    def _waited(self, work: Coroutine[Any, Any, T], seconds: float, cancelled: threading.Event | None) -> T:
        loop = self._loop
        if loop is None or loop.is_closed():
            work.close()
            raise ToolServerError(f"The MCP server {self._name} was closed.")
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, loop)
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(TimeoutError):
                return future.result(_SECONDS_PER_WAIT)
            if future.done():
                return future.result()
            if loop.is_closed() or (cancelled is not None and cancelled.is_set()):
                future.cancel()
                raise _NoAnswer("it was closed" if loop.is_closed() else "it was cancelled")
            if time.monotonic() >= end:
                future.cancel()
                raise _NoAnswer(f"no answer within {seconds:g} seconds")

    def _drop(self, session: _Session) -> None:
        """Let a session go whose server is dead or cannot be relied on."""
        with self._lock:
            self._let_go(session)

    def _let_go(self, session: _Session | None) -> None:
        """Have a session end in its own time."""
        if session is None or self._loop is None:
            return
        self._session = None if self._session is session else self._session
        session.end(self._loop)
        self._ending = [each for each in (*self._ending, session) if not each.is_over]


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def _progress(done: float, total: float | None, message: str | None) -> str:
    return " ".join([f"{done:g}" + (f" of {total:g}" if total else ""), message or ""]).strip()


def _error(
    name: str, settings: McpSettings, what: str, line: Line, problem: BaseException
) -> ToolServerError:
    """What the caller is told: what failed, why, and the last words of the server."""
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    reason = line.problem or (problem.message if isinstance(problem, MCPError) else str(problem))
    words = " ".join("".join(line.last_words).split())[-200:]
    said = f"; its last words: {words}" if words and not line.problem else ""
    return ToolServerError(
        f"The MCP server {name} {what}: {reason[:300] or type(problem).__name__}{said}",
        hint=f"Try it by hand: {settings.url or settings.command[0]}. The next call starts it anew.",
    )


class _Session:
    """One life of a server, from start to end, in one task: the SDK's scopes must be left where they were entered."""

    def __init__(
        self,
        settings: McpSettings,
        values: Mapping[str, str],
        folder: str | None,
        on_change: Callable[[], None],
    ) -> None:
        self.line = Line()
        self.client: Client | None = None
        self.task: Future[None] | None = None
        self.unanswered = 0
        self._settings = settings
        self._values = values
        self._folder = folder
        self._on_change = on_change
        self._ready = asyncio.Event()
        self._end = asyncio.Event()
        self._failure: BaseException | None = None

    @property
    def is_alive(self) -> bool:
        """Whether there is a client, and its server is not known to be gone."""
        return self.client is not None and not self.line.closed.is_set()

    async def live(self) -> None:
        """Connect, stay until the end, and let go of everything."""
        life = asyncio.create_task(self._life())
        end = asyncio.create_task(self._end.wait())
        await asyncio.wait((life, end), return_when=asyncio.FIRST_COMPLETED)
        end.cancel()
        if self.client is None:
            life.cancel()  # it is still being started
        with contextlib.suppress(asyncio.CancelledError):
            await life

    async def _life(self) -> None:
        try:
            async with self._connected() as client:
                self.client = client
                self._ready.set()
                listener = asyncio.create_task(self._listen(client))
                await self._ended()
                listener.cancel()
                with contextlib.suppress(asyncio.CancelledError, *_FAILURES):
                    await listener
        except _FAILURES as problem:
            self._failure = problem
        finally:
            self.client = None
            self._ready.set()

    async def opened(self) -> None:
        """Wait until it is connected; raises what hindered it."""
        await self._ready.wait()
        if self._failure is not None:
            raise self._failure
        if self.client is None:
            raise RuntimeError("it ended at once")

    async def asked(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """Ask the client, unless the session has ended meanwhile."""
        if self.client is None:
            raise RuntimeError("it is being closed")
        return await question(self.client)

    @property
    def is_over(self) -> bool:
        """Whether it has let go of everything."""
        return self.task is None or self.task.done()

    def end(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have it end, from another thread; one that is not connected yet is broken off."""
        loop.call_soon_threadsafe(self._end.set)

    def wait(self) -> None:
        """Wait until it has let go of everything."""
        if self.task is not None:
            with contextlib.suppress(TimeoutError):
                self.task.result(_CLOSING_SECONDS)

    async def _ended(self) -> None:
        closed = asyncio.create_task(self.line.closed.wait())
        end = asyncio.create_task(self._end.wait())
        await asyncio.wait((closed, end), return_when=asyncio.FIRST_COMPLETED)
        for task in (closed, end):
            task.cancel()

    def _connected(self) -> Client:
        settings = self._settings
        if settings.url:
            transport = http(
                settings.url,
                headers=self._values,
                seconds=settings.timeout,
                most_bytes=settings.message_bytes,
            )
        else:
            transport = stdio(
                settings.command,
                self.line,
                env=self._values,
                folder=self._folder,
                most_bytes=settings.message_bytes,
            )
        return Client(
            transport,
            client_info=types.Implementation(name="agentkit", version="1"),
            message_handler=self._noticed,
            cache=None,
        )

    async def _noticed(self, message: object) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._on_change()

    async def _listen(self, client: Client) -> None:
        """Hear of changes from servers of the newer protocol, which do not tell unasked."""
        with contextlib.suppress(ListenNotSupportedError, SubscriptionLost):
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._on_change()
