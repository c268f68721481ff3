"""The worker's side of the wire: a peer answers requests that come as lines of JSON on standard input.

The harness (`benchmarks/workers.py`) starts a worker with the weights as its argument and reads:

    {"ready": {"about": "version …", "reuses_prompts": true, "process": 4711}}
    {"seconds": 1.2, "answers": [{"text": …, "prompt_tokens": …, "generated_tokens": …}]}     one line a line asked

Each line that it sends is a list of requests to answer at once if the peer can, see `Request`; an empty one asks for
the seconds of the peer's `reference_pass`, null where it has none. A worker that fails
dies; the last line of its standard error says why. Standard library only: this runs where agentkit is not installed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TextIO, TypedDict


class Request(TypedDict):
    """What is asked.

    `prompt` is the rendered text, `schema` the JSON schema of what is to be written (None: free text), `stop` texts
    that end it and `max_tokens` the limit. `messages`, `tools`, `call` and `static` say the same in
    agentkit's own terms.
    """

    prompt: str
    schema: dict[str, Any] | None
    stop: list[str]
    max_tokens: int
    messages: str
    tools: list[dict[str, Any]]
    call: bool
    static: int


class Peer(Protocol):
    """What a worker wraps.

    It may have `process`, the number of the process that holds the weights where that is another one, `reference_pass`,
    the seconds of a piece of work that is always the same, and `close`.
    """

    about: str
    reuses_prompts: bool

    def ask(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """The answers, as the fields of `agentkit.models.bench.Answer`."""
        ...


def serve(load: Callable[[str], Peer]) -> None:
    """Load the peer and answer until standard input ends.

    Args:
        load: Makes the peer from the path or name of the weights.
    """
    out = _own_output()
    peer = load(sys.argv[1])
    process = getattr(peer, "process", os.getpid())
    _send(out, {"ready": {"about": peer.about, "reuses_prompts": peer.reuses_prompts, "process": process}})
    for line in sys.stdin:
        requests = json.loads(line)
        if not requests:
            _send(
                out,
                {"seconds": reference() if (reference := getattr(peer, "reference_pass", None)) else None},
            )
            continue
        started = time.perf_counter()
        answers = peer.ask(requests)
        _send(out, {"seconds": time.perf_counter() - started, "answers": answers})
    if close := getattr(peer, "close", None):
        close()
    # Some libraries take long, or fail, when the interpreter takes them apart.
    out.flush()
    os._exit(0)


def _own_output() -> TextIO:
    """Standard output for the answers alone: whatever a library prints goes to standard error."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return own


def _send(out: TextIO, value: dict[str, Any]) -> None:
    out.write(json.dumps(value) + "\n")
    out.flush()
