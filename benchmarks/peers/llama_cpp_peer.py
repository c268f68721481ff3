"""llama-cpp-python as a worker: a grammar made of the schema, and its own prompt cache."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import llama_cpp

from benchmarks.peers.serve import Request, serve

CONTEXT = 8192
CACHE_BYTES = 2**30
"""For the states of several conversations. They then take half the time; a single conversation, whose prompt is
reused anyway, would take a quarter longer and gigabytes more, because a state is copied with its scores."""


class LlamaCppPeer:
    """One sequence, as `llama_cpp.Llama` has it: several requests are answered one after another."""

    about = f"{llama_cpp.__version__}, GGUF"
    reuses_prompts = True

    def __init__(self, weights: str) -> None:
        cores = os.cpu_count()
        self._llama = llama_cpp.Llama(
            weights, n_ctx=CONTEXT, n_threads=cores, n_threads_batch=cores, verbose=False, seed=0
        )
        self._cache = llama_cpp.LlamaRAMCache(CACHE_BYTES)
        self._grammars: dict[str, llama_cpp.LlamaGrammar] = {}

    def ask(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """See `benchmarks.peers.serve.Peer`."""
        self._llama.set_cache(self._cache if len(requests) > 1 else None)
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> dict[str, Any]:
        done = self._llama.create_completion(
            request["prompt"],
            max_tokens=request["max_tokens"],
            temperature=0.0,
            repeat_penalty=1.0,
            stop=request["stop"],
            grammar=self._grammar(request["schema"]),
        )
        tokens = done["usage"]["completion_tokens"]
        return {
            "text": done["choices"][0]["text"],
            "prompt_tokens": done["usage"]["prompt_tokens"],
            "generated_tokens": tokens,
            "forward_passes": tokens,  # no drafts: every token is the result of one pass, the prompt's included
        }

    def _grammar(self, schema: dict[str, Any] | None) -> llama_cpp.LlamaGrammar | None:
        if schema is None:
            return None
        text = json.dumps(schema)
        if text not in self._grammars:
            self._grammars[text] = llama_cpp.LlamaGrammar.from_json_schema(text, verbose=False)
        return self._grammars[text]


if __name__ == "__main__":
    serve(LlamaCppPeer)
