"""A real HTTP server on this machine that plays a script of answers, good and bad ones."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

from agentkit.messages import ToolSpec, user
from agentkit.models.openai_compatible import Patience, ServerAddress, ServerGenerator
from agentkit.models.protocols import CallTools, Constraint, Finished, FreeText, GenerationRequest, TextChunk

QUICK = Patience(connect=5, silence=20, attempts=3, pause=0.01)
MODELS = {"object": "list", "data": [{"id": "tiny", "max_model_len": 4096}]}


@dataclass(frozen=True)
class Answer:
    """What the server does with one request.

    Args:
        pieces: The body, each piece in a packet of its own.
        status: The HTTP status.
        kind: The media type.
        headers: Further headers.
        ending: `whole`; `drop`: the connection is closed before the body is complete; `hang`: nothing more comes.
    """

    pieces: Sequence[bytes] = ()
    status: int = 200
    kind: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    ending: Literal["whole", "drop", "hang"] = "whole"


SILENCE = Answer(status=0, ending="hang")
"""Not even a status comes."""


def event(payload: object) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def delta(finish: str | None = None, **fields: object) -> bytes:
    """One piece of a reply."""
    return event({"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]})


def says(*texts: str, finish: str = "stop", usage: object = None) -> Answer:
    """A reply of text in pieces."""
    counted = [event({"choices": [], "usage": usage})] if usage is not None else []
    return Answer([*(delta(content=text) for text in texts), delta(finish), *counted, DONE])


def calls(*made: tuple[str, str], finish: str = "tool_calls") -> Answer:
    """A reply of calls: name, and arguments as text, which come in two pieces."""
    pieces = [delta(role="assistant", content=None)]
    for index, (name, arguments) in enumerate(made):
        half = len(arguments) // 2
        first = {"index": index, "id": f"call_{index}abc", "type": "function"}
        pieces.append(
            delta(tool_calls=[{**first, "function": {"name": name, "arguments": arguments[:half]}}])
        )
        pieces.append(delta(tool_calls=[{"index": index, "function": {"arguments": arguments[half:]}}]))
    return Answer([*pieces, delta(finish), DONE])


def fails(status: int, body: object, **headers: str) -> Answer:
    """A refusal with a JSON body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer([json.dumps(body).encode()], status, "application/json", named)


class ModelServer:
    """Plays `script`, an answer for each chat request; the last one is played again and again.

    Args:
        script: The answers.
        models: What `/v1/models` answers.
    """

    def __init__(self, *script: Answer, models: Answer | None = None) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.left = threading.Event()
        """Set when a client goes away from a request that hangs."""
        self._script = list(script)
        self._models = models or fails(200, MODELS)
        self._closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def do_GET(self) -> None:
                server.keys.append(self.headers.get("Authorization"))
                known = self.path == "/v1/models"
                server._play(self, server._models if known else fails(404, {"detail": "Not Found"}))

            def do_POST(self) -> None:
                server.keys.append(self.headers.get("Authorization"))
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path != "/v1/chat/completions":
                    server._play(self, fails(404, {"detail": "Not Found"}))
                    return
                server.requests.append(body)
                server._play(self, server._script.pop(0) if len(server._script) > 1 else server._script[0])

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def address(self) -> str:
        """Without the model."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def generator(self, *, patience: Patience = QUICK, key: str = "", model: str = "tiny") -> ServerGenerator:
        """A generator that talks to it."""
        return ServerGenerator(ServerAddress(self.address, model, is_local=True), key=key, patience=patience)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _play(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        handler.close_connection = True
        try:
            if answer.status:
                handler.send_response(answer.status)
                headers = {"Content-Type": answer.kind, "Transfer-Encoding": "chunked", "Connection": "close"}
                for name, value in {**headers, **answer.headers}.items():
                    handler.send_header(name, value)
                handler.end_headers()
            for piece in answer.pieces:
                handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                handler.wfile.flush()
            if answer.ending == "whole":
                handler.wfile.write(b"0\r\n\r\n")
            elif answer.ending == "hang":
                self._wait_for_leaving(handler.connection)
        except OSError:
            self.left.set()

    def _wait_for_leaving(self, connection: socket.socket) -> None:
        while not self._closing.is_set():
            readable, _, _ = select.select([connection], [], [], 0.02)
            if readable:
                connection.recv(1)
                self.left.set()
                return


WEATHER = ToolSpec(
    name="get_weather",
    description="The weather in a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Porto", "Lima"], "description": "Where."}},
        "required": ["city"],
    },
)


def asks(constraint: Constraint | None = None, **more: Any) -> GenerationRequest:
    """A request of one message, with the tool `WEATHER` where calls are allowed."""
    tools = (WEATHER,) if isinstance(constraint, CallTools) else ()
    return GenerationRequest([user("hi")], tools=tools, constraint=constraint or FreeText(), **more)


def run(server: ModelServer, request: GenerationRequest, **options: Any) -> tuple[list[str], Finished]:
    """The chunks and the end of a generation."""
    generator = server.generator(**options)
    try:
        *chunks, finished = generator.generate(request)
    finally:
        generator.close()
    assert isinstance(finished, Finished)
    return [chunk.text for chunk in chunks if isinstance(chunk, TextChunk)], finished
