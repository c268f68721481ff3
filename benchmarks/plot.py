"""Draw report.json as report.png: one row a model, one panel a figure, one bar an engine, least to greatest as a line.

.venv-bench/bin/python -m benchmarks.plot bench-results/report.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

PANELS = {
    "turn": "(a) support turn, s",
    "start": "(b) process to first token, s",
    "together": "(c) eight at once, replies/min",
    "long_turn": "(d) turn after 4,000 tokens, s",
    "growth": "(d) turn 50 to turn 5, times",
    "prefill": "prefill, tokens/s",
    "decode": "decode, tokens/s",
    "memory": "peak memory, MB",
}
COLOURS = {
    "agentkit": "#d1495b",
    "llama-cpp-python": "#30638e",
    "openvino-genai": "#8d96a3",
    "smolagents": "#edae49",
}


def main() -> None:
    """Run the program."""
    path = Path(sys.argv[1])
    report = json.loads(path.read_text("utf-8"))
    cells = report["summary"]
    models = list(dict.fromkeys(cell["model"] for cell in cells))
    panels = [name for name in PANELS if any(cell["figure"] == name for cell in cells)]
    if not panels:
        sys.exit("the report has none of the figures that are drawn")
    drawing, axes = pyplot.subplots(
        len(models), len(panels), figsize=(2.6 * len(panels), 3.2 * len(models)), squeeze=False
    )
    for row, model in zip(axes, models, strict=True):
        for axis, name in zip(row, panels, strict=True):
            _panel(axis, [cell for cell in cells if (cell["model"], cell["figure"]) == (model, name)])
            axis.set_title(PANELS[name], fontsize=9)
        row[0].set_ylabel(model)
    drawing.tight_layout()
    target = path.with_suffix(".png")
    drawing.savefig(target, dpi=120)
    print(f"Drawn: {target}")


def _panel(axis: Any, cells: list[dict[str, Any]]) -> None:
    for place, cell in enumerate(cells):
        value, engine = cell["value"], cell["engine"]
        middle = value["median"]
        spread = [[middle - value["least"]], [value["greatest"] - middle]]
        axis.bar(place, middle, color=COLOURS.get(engine, "#999999"), yerr=spread, capsize=3)
        axis.text(place, middle, f" {middle:.3g}", ha="center", va="bottom", fontsize=8)
    axis.set_xticks(
        range(len(cells)), [cell["engine"] for cell in cells], rotation=30, ha="right", fontsize=8
    )
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(y=0.15)


if __name__ == "__main__":
    main()
