"""Which tools of which server were accepted, as hashes of what they say of themselves.

A server is trusted with its tools when it is first used. From then on a tool whose name, description or schema is not
what was accepted is switched off, and so is one that was not there, until a person accepts it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from agentkit.errors import ConfigurationError

_CONTENT: Final[TypeAdapter[dict[str, dict[str, str]]]] = TypeAdapter(dict[str, dict[str, str]])


def fingerprint(name: str, description: str | None, schema: Any) -> str:
    """Hash of what a tool says of itself."""
    text = json.dumps([name, description, schema], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Pins:
    """The accepted tools, in a JSON file.

    Args:
        path: The file; it need not exist yet. None: in memory, for programs that accept anew each time.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._memory: dict[str, dict[str, str]] = {}

    def judge(self, server: str, tools: Mapping[str, str]) -> dict[str, str]:
        """Why some tools are switched off: `changed` or `new`, by name; a server that is new is accepted as it is.

        Args:
            server: Its identity.
            tools: Fingerprint of each tool that it offers now.
        """
        accepted = self._read().get(server)
        if accepted is None:
            self.accept(server, tools)
            return {}
        return {
            name: "changed" if name in accepted else "new"
            for name, seen in tools.items()
            if accepted.get(name) != seen
        }

    def accept(self, server: str, tools: Mapping[str, str]) -> None:
        """Accept these tools of a server as they are now, beside those that were accepted before."""
        if self._path is None:
            self._memory.setdefault(server, {}).update(tools)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self._path}.lock"):
            content = self._read()
            content.setdefault(server, {}).update(tools)
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")
            os.replace(new, self._path)

    def _read(self) -> dict[str, dict[str, str]]:
        if self._path is None:
            return self._memory
        try:
            return _CONTENT.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValidationError as problem:
            raise ConfigurationError(
                f"{self._path} does not hold accepted tools.",
                hint="Remove the file; the tools that the servers offer then are accepted anew.",
            ) from problem
