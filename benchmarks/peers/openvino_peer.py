"""OpenVINO GenAI as a worker: structured output, prefix caching, and several requests in one batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import openvino_genai

from benchmarks.peers.serve import Request, serve

CACHE_GIGABYTES = 2


class OpenVinoPeer:
    """`LLMPipeline` with the scheduler of continuous batching; it reads GGUF files itself."""

    about = openvino_genai.__version__.partition("-")[0] + ", GGUF"
    reuses_prompts = True

    def __init__(self, weights: str) -> None:
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.enable_prefix_caching = True
        scheduler.cache_size = CACHE_GIGABYTES
        self._pipeline = openvino_genai.LLMPipeline(weights, "CPU", scheduler_config=scheduler)

    def ask(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """See `benchmarks.peers.serve.Peer`; the requests of one batch differ in their prompts only."""
        done = self._pipeline.generate([request["prompt"] for request in requests], _config(requests[0]))
        prompt, written = (
            done.perf_metrics.get_num_input_tokens(),
            done.perf_metrics.get_num_generated_tokens(),
        )
        count = len(requests)
        return [
            {
                "text": text,
                "prompt_tokens": prompt // count,  # it counts the batch as a whole
                "generated_tokens": written // count,
                "forward_passes": written // count,
            }
            for text in done.texts
        ]


def _config(request: Request) -> openvino_genai.GenerationConfig:
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens = request["max_tokens"]
    config.do_sample = False
    config.apply_chat_template = False
    config.stop_strings = set(request["stop"])
    if request["schema"] is not None:
        structure = openvino_genai.StructuredOutputConfig()
        structure.json_schema = json.dumps(request["schema"])
        config.structured_output_config = structure
    return config


if __name__ == "__main__":
    serve(OpenVinoPeer)
