"""llama.cpp's own server with eight slots as a worker: it advances several conversations in one batch.

The server is a process below the worker and is asked over HTTP on this machine. Standard library only.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.peers.serve import Request, serve

SLOTS = 8
CONTEXT = SLOTS * 8192
"""Tokens of all slots together. Each slot has its own cache: with a shared one (--kv-unified) the server clears slots
that wait, and computes their prompts anew."""
START_SECONDS = 120


class LlamaServerPeer:
    """`llama-server` with prompt caching (its default) and a cache for each slot."""

    reuses_prompts = True

    def __init__(self, weights: str) -> None:
        program = shutil.which(
            "llama-server", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        )
        if program is None:
            raise FileNotFoundError("llama-server is neither in .venv-bench nor on the path")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._address = f"http://127.0.0.1:{port}"
        cores = str(os.cpu_count())
        options = ["--host", "127.0.0.1", "--port", str(port), "--threads", cores, "--threads-batch", cores]
        options += ["--parallel", str(SLOTS), "--ctx-size", str(CONTEXT), "--no-webui"]
        self._server = subprocess.Popen(
            [program, "--model", weights, *options], stdout=sys.stderr, preexec_fn=_die_with_parent
        )
        self._wait()
        self.process = self._server.pid
        self.about = f"{SLOTS} slots, GGUF"

    def ask(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """See `benchmarks.peers.serve.Peer`."""
        with ThreadPoolExecutor(len(requests)) as threads:
            return list(threads.map(self._answer, requests))

    def close(self) -> None:
        """End the server."""
        self._server.terminate()
        self._server.wait(10)

    def _answer(self, request: Request) -> dict[str, Any]:
        asked: dict[str, Any] = {
            "prompt": request["prompt"],
            "n_predict": request["max_tokens"],
            "temperature": 0.0,
            "stop": request["stop"],
            "cache_prompt": True,
        }
        if request["schema"] is not None:
            asked["json_schema"] = request["schema"]
        body = json.dumps(asked).encode()
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(
            urllib.request.Request(self._address + "/completion", body, headers)
        ) as got:
            done = json.load(got)
        return {
            "text": done["content"],
            "prompt_tokens": done["tokens_evaluated"],
            "generated_tokens": done["tokens_predicted"],
            "cached_tokens": done["tokens_evaluated"] - done["timings"]["prompt_n"],
            "forward_passes": done["tokens_predicted"],
        }

    def _wait(self) -> None:
        """Until the weights are loaded."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self._server.poll() is not None:
                raise RuntimeError(f"llama-server ended with {self._server.returncode}")
            try:
                with urllib.request.urlopen(self._address + "/health"):
                    return
            except urllib.error.URLError:  # not listening yet, or 503 while it loads
                time.sleep(0.05)
        raise TimeoutError(f"llama-server was not ready after {START_SECONDS} s")


def _die_with_parent() -> None:
    """On Linux the server ends when the worker does, however that ends (prctl PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


if __name__ == "__main__":
    serve(LlamaServerPeer)
