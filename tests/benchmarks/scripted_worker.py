"""A worker without a model, for the tests of the protocol: it does what its argument says.

`good` answers every request with one token; the others fail in a way that workers fail in.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.peers.serve import Request, serve


class ScriptedPeer:
    reuses_prompts = True

    def __init__(self, behaviour: str) -> None:
        if behaviour == "broken":
            raise OSError("these weights are not for me")
        self.about = f"scripted, {behaviour}"
        self._behaviour = behaviour
        print("a library that prints does no harm")

    def reference_pass(self) -> float:
        return 0.25

    def ask(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        if self._behaviour == "slow":
            time.sleep(60)
        if self._behaviour == "dies on calls" and requests[0]["call"]:
            raise RuntimeError("no grammar for this schema")
        return [_answer(request) for request in requests]


def _answer(request: Request) -> dict[str, Any]:
    print("nor does one that prints later")
    return {"text": "yes", "prompt_tokens": len(request["prompt"].split()), "generated_tokens": 1}


if __name__ == "__main__":
    if sys.argv[1] == "garbage":
        print("Loading…")
    else:
        serve(ScriptedPeer)
