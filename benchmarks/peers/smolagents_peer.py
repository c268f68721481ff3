"""smolagents' `TransformersModel` as a worker: no constraint (it has none), no reuse of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from smolagents import TransformersModel

from benchmarks.peers.serve import Request, serve

AS_IT_IS = "{{ messages[0]['content'] }}"
"""A chat template that leaves a prompt as it is: it has been rendered already."""


class SmolagentsPeer:
    """`TransformersModel.generate` on a prompt that is passed through its chat template unchanged."""

    reuses_prompts = False

    def __init__(self, weights: str) -> None:
        self._model = TransformersModel(model_id=weights, device_map="cpu")
        self._model.tokenizer.chat_template = AS_IT_IS
        dtype = str(self._model.model.dtype).removeprefix("torch.")
        self.about = f"{version('smolagents')}, {dtype}"

    def ask(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """See `benchmarks.peers.serve.Peer`."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> dict[str, Any]:
        message = {"role": "user", "content": [{"type": "text", "text": request["prompt"]}]}
        done = self._model.generate(
            [message], stop_sequences=request["stop"], max_new_tokens=request["max_tokens"], do_sample=False
        )
        return {
            "text": done.content,
            "prompt_tokens": done.token_usage.input_tokens,
            "generated_tokens": done.token_usage.output_tokens,
            "forward_passes": done.token_usage.output_tokens,
        }


if __name__ == "__main__":
    serve(SmolagentsPeer)
