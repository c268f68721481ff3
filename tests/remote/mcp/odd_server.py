"""An MCP server that misbehaves, written without the SDK, which would not let it.

Run as a program: `odd_server.py MODE [FILE]`. FILE, where given, holds the list of its tools as JSON; once it is gone
the server does not list them any more.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TOOLS: list[dict[str, Any]] = [
    {
        "name": "look_up",
        "description": "Looks something up.",
        "inputSchema": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
    }
]


def send(message: dict[str, Any]) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def answer(request: dict[str, Any], result: dict[str, Any]) -> None:
    send({"id": request["id"], "result": result})


def tools() -> list[dict[str, Any]]:
    if len(sys.argv) > 2:
        listed: list[dict[str, Any]] = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
        return listed
    return TOOLS


def call(mode: str, request: dict[str, Any]) -> None:
    text = f"{mode}: {request['params'].get('arguments')}"
    match mode:
        case "huge":
            text = "x" * 50_000_000
        case "silent":
            return
        case "garbage":
            print("Listening on port 1234\n{}\n[1, 2]\n\x00\xff", flush=True)
        case "stranger":
            send({"id": 4711, "result": {"content": []}})
        case "lies":
            answer(request, {"content": [{"type": "text", "text": 5}]})
            return
        case "leaves":
            sys.exit(3)
        case "child":
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "left-behind"])
        case "error":
            send({"id": request["id"], "error": {"code": -32603, "message": "no way"}})
            return
    answer(request, {"content": [{"type": "text", "text": text}]})


def main() -> None:
    mode = sys.argv[1]
    if mode == "words":
        print("cannot find the database", file=sys.stderr, flush=True)
        sys.exit(1)
    if mode == "mute":
        time.sleep(60)
    for line in sys.stdin:
        request = json.loads(line)
        match request.get("method"):
            case "initialize":
                answer(
                    request,
                    {
                        "protocolVersion": "2025-06-18",
                        "capabilities": {"tools": {"listChanged": True}},
                        "serverInfo": {"name": "odd", "version": "1"},
                    },
                )
            case "tools/list" if len(sys.argv) > 2 and not Path(sys.argv[2]).exists():
                send({"id": request["id"], "error": {"code": -32603, "message": "no list today"}})
            case "tools/list":
                answer(request, {"tools": tools()})
            case "tools/call":
                call(mode, request)
                if mode == "changing":
                    send({"method": "notifications/tools/list_changed"})
            case _ if "id" in request:
                send({"id": request["id"], "error": {"code": -32601, "message": "no such method"}})


if __name__ == "__main__":
    main()
