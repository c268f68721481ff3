"""The reference servers and the inspector's command line, from the npm registry, each of one version."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from filelock import FileLock

_PINNED: Final = Path(__file__).with_name("npm.json")


def node_modules() -> Path:
    """The folder with the packages, installed once for a virtual environment.

    Raises:
        RuntimeError: There is no Node.js, or npm cannot install them.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise RuntimeError("these tests start MCP servers with Node.js: apt-get install nodejs npm")
    versions = json.loads(_PINNED.read_text(encoding="utf-8"))
    digest = hashlib.sha256(_PINNED.read_bytes()).hexdigest()[:12]
    folder = Path(sys.prefix) / "npm" / digest
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").is_file():
            folder.mkdir(exist_ok=True)
            names = [f"{name}@{version}" for name, version in versions.items()]
            command = [
                npm,
                "install",
                "--no-audit",
                "--no-fund",
                "--no-package-lock",
                "--prefix",
                str(folder),
                *names,
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=600)
            if done.returncode != 0:
                raise RuntimeError(f"npm could not install {names}:\n{done.stdout}{done.stderr}")
            (folder / "complete").touch()
    return folder / "node_modules" / "@modelcontextprotocol"


def everything(*arguments: str) -> tuple[str, ...]:
    """The command of server-everything."""
    return ("node", str(node_modules() / "server-everything" / "dist" / "index.js"), *arguments)


def filesystem(*folders: Path) -> tuple[str, ...]:
    """The command of server-filesystem, which may touch these folders."""
    return ("node", str(node_modules() / "server-filesystem" / "dist" / "index.js"), *map(str, folders))


def memory() -> tuple[str, ...]:
    """The command of server-memory; the variable MEMORY_FILE_PATH names its file."""
    return ("node", str(node_modules() / "server-memory" / "dist" / "index.js"))


def inspector() -> tuple[str, ...]:
    """The inspector's command line."""
    return ("node", str(node_modules() / "inspector" / "cli" / "build" / "index.js"))
