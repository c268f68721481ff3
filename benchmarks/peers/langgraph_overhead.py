"""langgraph's own time for a run of two steps and one tool (langchain's `create_agent`): prints JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult


class Scripted(BaseChatModel):
    """First the call, then the answer."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **settings: Any) -> Any:
        """The tools are known."""
        return self

    def _generate(self, messages: list[BaseMessage], *settings: Any, **more: Any) -> ChatResult:
        if messages[-1].type == "human":
            message = AIMessage("", tool_calls=[ToolCall(name="look", args={}, id="call_1")])
        else:
            message = AIMessage("The order is in Porto.")
        return ChatResult(generations=[ChatGeneration(message=message)])


def look() -> str:
    """Look an order up."""
    return "The order is in Porto."


agent = create_agent(Scripted(), [look], system_prompt="You are a shop.")
walls, count = [], int(sys.argv[1])
for _ in range(count + 20):
    begun = time.perf_counter()
    said = agent.invoke({"messages": [{"role": "user", "content": "my order is late, please look it"}]})
    walls.append((time.perf_counter() - begun) * 1000)
    assert said["messages"][-1].content == "The order is in Porto."
print(json.dumps({"p50_ms": statistics.median(walls[20:])}))
