"""Tools that run in a process of their own; at the top level of a module, so that the process finds them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from agentkit.errors import ToolFailed, ToolRetry
from agentkit.tools import Isolation, ToolContext, tool


@tool(effect="read", isolated=True)
def add(context: ToolContext, a: int, b: int) -> dict[str, object]:
    """Add two numbers."""
    print("noise on standard output")
    return {"sum": a + b, "user": context.user_id, "process": os.getpid()}


@tool(effect="read", isolated=True)
def environment() -> list[str]:
    """Names of the environment."""
    return sorted(os.environ)


@tool(effect="read", isolated=True)
def refuse(how: str) -> str:
    """Raise what is asked for."""
    if how == "retry":
        raise ToolRetry("say it again")
    if how == "failed":
        raise ToolFailed("it is closed")
    if how == "exit":
        os._exit(3)
    raise KeyError("a secret")


@tool(effect="read", isolated=Isolation(megabytes=400))
def fill(megabytes: int) -> int:
    """Use memory."""
    return len(bytearray(megabytes * 1_000_000))


@tool(effect="read", isolated=Isolation(file_megabytes=1))
def write(path: str, megabytes: int) -> str:
    """Write a file."""
    Path(path).write_bytes(b"x" * megabytes * 1_000_000)
    return "written"


@tool(effect="read", isolated=Isolation(cpu_seconds=1), timeout=60)
def compute() -> int:
    """Compute for ever."""
    number = 0
    while True:
        number += 1


@tool(effect="read", isolated=True, timeout=2.5)
def hang(path: str) -> str:
    """Hang, with a child in the group and one that left it; writes their process ids."""
    sleep = [sys.executable, "-c", "import time; time.sleep(300)"]
    children = [subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True)]
    Path(path).write_text(" ".join(str(each.pid) for each in children) + f" {os.getpid()}")
    time.sleep(300)
    return "never"
