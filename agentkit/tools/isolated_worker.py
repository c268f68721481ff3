"""The process of an isolated tool: `python -m agentkit.tools.isolated_worker DESCRIPTOR`, started by `isolated_run`."""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
import inspect
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from agentkit.errors import ToolFailed, ToolRetry
from agentkit.tools.context import ToolContext
from agentkit.tools.definition import Tool
from agentkit.tools.results import NotJson, ResultLimits, text_and_data
from agentkit.tools.validation import validate_arguments


def main() -> None:
    """Read the work from standard input, do it, and write the answer to the pipe."""
    answer_to = int(sys.argv[1])
    work = json.load(sys.stdin)
    # Any other exception ends the process; the hook says which it was.
    sys.excepthook = functools.partial(_raised, answer_to)
    limit(work["limits"])
    try:
        text, data = _run(work)
        answer: dict[str, Any] = {"text": text, "data": data}
    except ToolRetry as problem:
        answer = {"retry": str(problem)}
    except ToolFailed as problem:
        answer = {"failed": str(problem)}
    except NotJson as problem:
        answer = {"not_json": str(problem)}
    _write(answer_to, answer)


def limit(limits: dict[str, int]) -> None:
    """Set the limits of this process, by their names in `resource`; a lower one that is in force stays."""
    import resource

    for name, value in {**limits, "RLIMIT_CORE": 0}.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (allowed, allowed))


def _run(work: dict[str, Any]) -> tuple[str, Any]:
    tool = _find(work)
    arguments = validate_arguments(tool, work["arguments"])
    now = datetime.fromisoformat(work["now"])
    context = ToolContext(**work["context"], now=lambda: now)
    value = tool.function(*((context,) if tool.takes_context else ()), **arguments)
    if inspect.iscoroutine(value):
        value = asyncio.run(value)
    return text_and_data(value, ResultLimits(characters=work["characters"]))


def _find(work: dict[str, Any]) -> Tool:
    """The tool whose function has that name, whatever the tool itself is called."""
    value: Any = _module(work["module"], Path(work["file"]))
    for part in work["name"].split("."):
        value = getattr(value, part)
    if not isinstance(value, Tool):
        raise TypeError(f"{work['name']} is no tool")
    return value


def _module(name: str, file: Path) -> ModuleType:
    if importlib.util.find_spec(name.partition(".")[0]) is not None and name != "__main__":
        return importlib.import_module(name)
    # A file of a bot folder: it is found by its path, and so are the files beside it.
    sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _raised(
    answer_to: int, kind: type[BaseException], problem: BaseException, trace: TracebackType | None
) -> None:
    _write(answer_to, {"raised": kind.__name__})


def _write(answer_to: int, answer: dict[str, Any]) -> None:
    with os.fdopen(answer_to, "wb") as pipe:
        pipe.write(json.dumps(answer).encode())


if __name__ == "__main__":
    main()
