"""A tool in a process of its own: bounded in memory, time and files, and killed with its children when it hangs."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agentkit.errors import ToolDefinitionError


@dataclass(frozen=True)
class Isolation:
    """Limits of a tool's process.

    Args:
        megabytes: Address space that it may use, Python itself included.
        cpu_seconds: Processor time; the tool's own timeout limits the wall time.
        file_megabytes: Size of the largest file that it may write.
        open_files: Files and sockets that it may have open.
    """

    megabytes: int = 1024
    cpu_seconds: int = 60
    file_megabytes: int = 64
    open_files: int = 64


class IsolatedError(Exception):
    """The process of an isolated tool ended without a result.

    Args:
        kind: The type of the exception that ended it, or what else did.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def check_isolable(function: Callable[..., Any], origin: str) -> None:
    """Refuse a function that another process cannot find.

    Raises:
        ToolDefinitionError: It is no function of a module, or this system has no limits for processes.
    """
    if inspect.ismethod(function) or "<locals>" in function.__qualname__:
        raise ToolDefinitionError(
            f"{origin} is to run in a process of its own, which cannot find it",
            hint="define it at the top level of a module, or leave `isolated` out",
        )
    if os.name != "posix":
        raise ToolDefinitionError(
            f"{origin} is to run in a process of its own; this system has no limits for processes",
            hint="leave `isolated` out, or run it on Linux or macOS",
        )
