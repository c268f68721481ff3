"""pydantic-ai's own time for a run of two steps and one tool, with a model that is a function: prints JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel


def reply(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """First the call, then the answer."""
    if len(messages) == 1:
        return ModelResponse(parts=[ToolCallPart("look", {})])
    return ModelResponse(parts=[TextPart("The order is in Porto.")])


agent = Agent(FunctionModel(reply), instructions="You are a shop.")


@agent.tool_plain
def look() -> str:
    """Look an order up."""
    return "The order is in Porto."


walls, count = [], int(sys.argv[1])
for _ in range(count + 20):
    begun = time.perf_counter()
    assert agent.run_sync("my order is late, please look it").output == "The order is in Porto."
    walls.append((time.perf_counter() - begun) * 1000)
print(json.dumps({"p50_ms": statistics.median(walls[20:])}))
