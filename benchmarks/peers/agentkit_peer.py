"""agentkit as a worker, so that it is treated as its peers are. Runs in the project's own environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from agentkit.messages import ToolSpec, load_messages
from agentkit.models.bench import OwnEngine
from agentkit.models.protocols import CallTools, FreeText, GenerationRequest
from benchmarks.peers.serve import Request, serve


class AgentkitPeer:
    """agentkit's generator behind the wire."""

    def __init__(self, model: str) -> None:
        self._engine = OwnEngine(model)
        self.about = self._engine.about
        self.reuses_prompts = self._engine.reuses_prompts

    def ask(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """See `benchmarks.peers.serve.Peer`."""
        return [asdict(answer) for answer in self._engine.ask([_request(one) for one in requests]).answers]

    def reference_pass(self) -> float | None:
        """See `benchmarks.peers.serve.Peer`."""
        return self._engine.reference_pass()


def _request(wire: Request) -> GenerationRequest:
    """The request that `benchmarks.wire` wrote down."""
    return GenerationRequest(
        messages=load_messages(wire["messages"]),
        tools=[ToolSpec.model_validate(tool) for tool in wire["tools"]],
        constraint=CallTools(allow_text=False, max_calls=1) if wire["call"] else FreeText(),
        max_tokens=wire["max_tokens"],
        static=wire["static"],
    )


if __name__ == "__main__":
    serve(AgentkitPeer)
