"""The parent's side of an isolated tool: start its process, wait, read the result, leave nothing running.

The process gets its work as JSON on standard input and answers with one JSON object on a pipe of its own, so that
what a tool prints cannot be taken for a result. It is the leader of a session: killing the group reaches its children,
and on Linux also those that left the group, which carry a mark in their environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from pydantic import JsonValue

from agentkit.errors import ToolFailed, ToolRetry
from agentkit.messages import ToolCall
from agentkit.tools.context import ToolContext
from agentkit.tools.definition import Tool
from agentkit.tools.isolation import IsolatedError
from agentkit.tools.results import NotJson, ResultLimits

_MARK: Final = "AGENTKIT_ISOLATED_CALL"
_LARGEST_ANSWER: Final = (
    16_000_000  # bytes; results are cut to `ResultLimits.characters` before they are sent
)
_SECONDS_PER_LOOK: Final = 0.05
# What a process may know of its parent's environment: keys and tokens are not among it.
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV")


def run_isolated(
    tool: Tool, call: ToolCall, context: ToolContext, limits: ResultLimits
) -> tuple[str, JsonValue]:
    """Run one call in a process of its own until it answers, ends, or `context.cancelled` is set.

    The process knows the names of user, tenant, conversation, turn and call and the profile, but has no services.

    Returns:
        The result as text and as JSON.

    Raises:
        ToolRetry, ToolFailed, NotJson: As raised by the tool.
        IsolatedError: The process ended without a result.
    """
    mark = secrets.token_hex(16)
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "agentkit.tools.isolated_worker", str(writing)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(writing,),
            start_new_session=True,
            env={**{k: os.environ[k] for k in _KEPT if k in os.environ}, _MARK: mark, "PYTHONPATH": _path()},
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    try:
        _send(process, _work(tool, call, context, limits))
        return _result(_answer(process, reading, context))
    finally:
        os.close(reading)
        _end(process, mark)


def _path() -> str:
    return os.pathsep.join(entry for entry in sys.path if entry)


def _work(tool: Tool, call: ToolCall, context: ToolContext, limits: ResultLimits) -> dict[str, Any]:
    assert tool.isolated is not None
    isolation = tool.isolated
    return {
        "module": tool.function.__module__,
        "file": tool.function.__code__.co_filename,
        "name": tool.function.__qualname__,
        "arguments": call.arguments,
        "characters": limits.characters,
        "context": {
            "user_id": context.user_id,
            "tenant": context.tenant,
            "conversation_id": context.conversation_id,
            "turn_id": context.turn_id,
            "call_id": context.call_id,
            "profile": dict(context.profile),
        },
        "now": context.now().isoformat(),
        "limits": {
            "RLIMIT_AS": isolation.megabytes * 1_000_000,
            "RLIMIT_CPU": isolation.cpu_seconds,
            "RLIMIT_FSIZE": isolation.file_megabytes * 1_000_000,
            "RLIMIT_NOFILE": isolation.open_files,
        },
    }


def _send(process: subprocess.Popen[bytes], work: dict[str, Any]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it ended already; the answer says so
        process.stdin.write(json.dumps(work).encode())
        process.stdin.close()


def _answer(process: subprocess.Popen[bytes], reading: int, context: ToolContext) -> bytes:
    """What the process writes until it closes the pipe or ends."""
    answer = bytearray()
    while not context.cancelled.is_set():
        has_ended = process.poll() is not None
        while select.select([reading], [], [], 0 if has_ended else _SECONDS_PER_LOOK)[0]:
            piece = os.read(reading, 65_536)
            if not piece:
                return bytes(answer)
            answer += piece
            if len(answer) > _LARGEST_ANSWER:
                raise IsolatedError("its answer is too large")
        if has_ended:
            return bytes(answer)
    raise IsolatedError("given up")


def _result(answer: bytes) -> tuple[str, JsonValue]:
    try:
        said = json.loads(answer)
    except ValueError:
        raise IsolatedError("its process ended without a result, perhaps at one of its limits") from None
    match said:
        case {"text": str(text), "data": data}:
            return text, data
        case {"retry": str(text)}:
            raise ToolRetry(text)
        case {"failed": str(text)}:
            raise ToolFailed(text)
        case {"not_json": str(text)}:
            raise NotJson(text)
        case {"raised": str(kind)}:
            raise IsolatedError(kind)
        case _:
            raise IsolatedError("its process answered nonsense")


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """Kill what is left of the process, its group and its runaways."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # A runaway may fork while it is looked for.
    for _ in range(3):
        left = _marked(mark)
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _marked(mark: str) -> list[int]:
    """Living processes with the mark in their environment, on Linux."""
    wanted = f"{_MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found
