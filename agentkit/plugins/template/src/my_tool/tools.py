"""The tool. Its name, docstring and annotations are all that a model is told about it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from agentkit import ToolRetry, tool


# effect="read": it only looks. One that changes something has effect="write" (which a tool is taken for that does not
# say), one that sends something out effect="egress"; then mark arguments that are only said with Content().
@tool(effect="read")
def my_tool(
    text: Annotated[str, Field(max_length=5000)],
    words_per_minute: Annotated[int, Field(ge=50, le=1000)] = 200,
) -> dict[str, int]:
    """Count the words of a text and say how long it takes to read.

    Args:
        text: The text, word for word.
        words_per_minute: How fast it is read.
    """
    words = len(text.split())
    if words == 0:
        # The model may try again with other arguments; ToolFailed would mean: give up, and say why.
        raise ToolRetry("the text is empty, pass the text that is to be counted")
    return {"words": words, "seconds": round(words * 60 / words_per_minute)}
