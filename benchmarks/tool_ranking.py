"""Is the right tool among the chosen, and what does a prompt cost, with 10, 100 and 500 tools?

    python -m benchmarks.tool_ranking FILE.jsonl … --sizes 10,100,500

The files hold questions with tools (`agentkit.models.call_rows` describes the format). Each question gets a pool: the
tools that are right for it and others drawn from all files. Where several tools are right, all have to be chosen.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from agentkit.agent.ranking import ToolPool
from agentkit.agent.settings import Settings
from agentkit.messages import ToolSpec, User, text_of, user
from agentkit.models import load_encoder
from agentkit.models.call_rows import CallRow, read_call_rows
from agentkit.models.dialects import choose_dialect, encode
from agentkit.models.model_settings import ModelSettings
from agentkit.models.protocols import Encoder
from agentkit.models.resolve import resolve
from agentkit.models.tokenizer_file import load_codec
from agentkit.tools import StaticToolset, Tool, ToolContext

_TIMED: Final = 50


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tool_ranking")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--sizes", default="10,100,500")
    parser.add_argument("--encoder", default="minilm-l6")
    parser.add_argument("--generator", default="qwen2.5-coder-0.5b", help="whose tokens are counted")
    options = parser.parse_args()
    rows = [row for file in options.files for row in read_call_rows(file)]
    tools = {spec.name: _tool(spec) for row in rows for spec in row.tools}
    asked = [row for row in rows if row.expected]
    encoder = load_encoder(options.encoder)
    known = _Known(encoder, [*tools.values()])
    questions = encoder.encode([_question(row) for row in asked])
    table = Table(title=f"{len(asked)} questions, {len(tools)} tools, {Settings().max_tools} chosen")
    for column in ("tools", "right one chosen", "(one right)", "prompt tokens", "ms to choose"):
        table.add_column(column)
    count = _counter(options.generator)
    for size in map(int, options.sizes.split(",")):
        table.add_row(str(size), *_measure(asked, questions, known, size, count))
    Console().print(table)


class _Known:
    """An encoder for texts that were embedded before, so that a pool costs nothing to set up."""

    def __init__(self, encoder: Encoder, tools: Sequence[Tool]) -> None:
        self.id = encoder.id
        self.tools = {tool.name: tool for tool in tools}
        self._encoder = encoder
        self._vectors: dict[str, Any] = {}

    def encode(self, texts: Sequence[str]) -> Any:
        """See `Encoder`."""
        import numpy

        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            self._vectors.update(zip(new, self._encoder.encode(new), strict=True))
        return numpy.stack([self._vectors[text] for text in texts])


def _measure(
    rows: Sequence[CallRow], questions: Any, known: _Known, size: int, count: Any
) -> tuple[str, str, str, str]:
    draw = random.Random(size)
    most = Settings().max_tools
    names = sorted(known.tools)
    hits: list[bool] = []
    single: list[bool] = []
    tokens: list[int] = []
    milliseconds: list[float] = []
    for row, vector in zip(rows, questions, strict=True):
        right = {name for call in row.expected or () for name in call}
        others = [
            name for name in draw.sample(names, min(len(names), size + len(right))) if name not in right
        ]
        pool = sorted([*right, *others[: max(0, size - len(right))]])
        toolset = StaticToolset([known.tools[name] for name in pool])
        ranking = ToolPool(toolset, known).prepared(ToolContext(user_id="benchmark"))  # type: ignore[arg-type]
        clock = time.perf_counter()
        chosen = ranking.for_prompt(ranking.rank(vector, _question(row)), most)
        milliseconds.append((time.perf_counter() - clock) * 1000)
        hit = right <= {tool.name for tool in chosen}
        hits.append(hit)
        if len(right) == 1:
            single.append(hit)
        if len(tokens) < _TIMED:
            tokens.append(count(_question(row), [tool.spec for tool in chosen]))
    return (
        f"{100 * statistics.mean(hits):.1f} %",
        f"{100 * statistics.mean(single):.1f} %",
        f"{statistics.median(tokens):.0f}",
        f"{statistics.median(milliseconds):.2f}",
    )


def _question(row: CallRow) -> str:
    return "\n".join(text_of(message) for message in row.messages if isinstance(message, User))


def _tool(spec: ToolSpec) -> Tool:
    return Tool(
        spec=spec,
        function=dict,  # never called
        parameters=(),
        takes_context=False,
        effect="read",
        idempotent=True,
        timeout=1.0,
        trusted=True,
        sequential=False,
        origin="a row",
    )


def _counter(model: str) -> Any:
    folder = resolve(model)
    settings = ModelSettings(folder.path)
    codec = load_codec(settings.text("tokenizer.json"), where=str(folder.path / "tokenizer.json"))
    dialect = choose_dialect(
        folder.dialect,
        codec=codec,
        chat_template=settings.chat_template,
        variables=settings.special_tokens,
        model=model,
    )
    return lambda text, specs: len(encode(dialect.render([user(text)], specs), codec))


if __name__ == "__main__":
    main()
