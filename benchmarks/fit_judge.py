"""Fit the coefficients in agentkit/knowledge/calibration.yaml for one generator.

    python benchmarks/fit_judge.py CASES.jsonl … --model qwen2.5-coder-1.5b --signals SIGNALS.jsonl

Reads cases as `agentkit eval grounding` does (or rows of SQuAD 2.0 form, `{"question", "evidence": text,
"answerable"}`), computes every signal of the judge for the passages that it looks at, keeps them in SIGNALS.jsonl so
that an interrupted run goes on, and fits a logistic function on the cases of every other trade (the part of the id
before the dash, by its hash). The other half is only measured. Prints the entry for calibration.yaml and the figures
of both halves.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from agentkit.knowledge.answerability import BranchReader, Calibrations, Combination, Judge
from agentkit.knowledge.passages import compare, readable
from agentkit.models import load_encoder, load_generator
from agentkit.prompts import PromptLibrary

LOOKED_AT = 2
DECLINED = 0.88
"""Share of the unanswerable fitting cases that the threshold declines: three points above what is promised."""


def main() -> None:
    """Run the program."""
    arguments = _arguments()
    cases = [case for path in arguments.files for case in _cases(path, arguments.first)]
    signals = _signals(cases, arguments.model, arguments.signals)
    names = arguments.weights.split(",")
    rows = [[[found[name] for name in names] for found in signals[case["id"]]] for case in cases]
    wanted = np.array([case["answerable"] for case in cases])
    fitting = np.array([_half(case["id"]) == 0 for case in cases])
    weights, bias = _fit(rows, wanted, fitting)
    best = np.array([max(np.array(row) @ weights + bias) for row in rows])
    probability = 1 / (1 + np.exp(-best))
    cut = np.quantile(probability[fitting & ~wanted], DECLINED)
    print(f"  {arguments.model}:")
    print(f"    bias: {bias:.3f}")
    print("    weights: {" + ", ".join(f"{n}: {w:.3f}" for n, w in zip(names, weights, strict=True)) + "}")
    print(f"    threshold: {cut:.3f}")
    for label, half in (("fitted", fitting), ("held out", ~fitting)):
        yes, no = probability[half & wanted], probability[half & ~wanted]
        area = (yes[:, None] > no).mean() + (yes[:, None] == no).mean() / 2
        print(
            f"# {label}: {len(yes) + len(no)} cases, AUC {area:.3f}, "
            f"kept {(yes >= cut).mean():.2f}, declined {(no < cut).mean():.2f}"
        )


def _fit(rows: list[list[list[float]]], wanted: Any, fitting: Any) -> tuple[Any, float]:
    """Logistic regression (Newton's method, a little ridge) on the best passage of every fitting case.

    Which passage is best depends on the weights, so the two are alternated.
    """
    chosen = [0] * len(rows)
    for _ in range(6):
        inputs = np.array([[*row[index], 1.0] for row, index in zip(rows, chosen, strict=True)])
        x, y = inputs[fitting], wanted[fitting].astype(float)
        w = np.zeros(x.shape[1])
        for _ in range(50):
            p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
            ridge = np.diag([*[1.0] * (len(w) - 1), 1e-6])
            w -= np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]) + ridge, x.T @ (p - y) + ridge @ w)
        chosen = [int(np.argmax(np.array(row) @ w[:-1])) for row in rows]
    return w[:-1], float(w[-1])


def _signals(cases: list[dict[str, Any]], model: str, path: Path) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {}
    if path.exists():
        found = {
            line["id"]: line["signals"] for line in map(json.loads, path.read_text("utf-8").splitlines())
        }
    missing = [case for case in cases if case["id"] not in found]
    if not missing:
        return found
    encoder, prompts = load_encoder("minilm-l6"), PromptLibrary()
    readers = {}
    if model != "encoder":
        generator = load_generator(model)
        readings = Calibrations.load().readings
        readers = {name: BranchReader(generator, prompts, reading) for name, reading in readings.items()}
    judge = Judge(Combination(bias=0, weights={}, threshold=0.5), readers)
    with path.open("a", encoding="utf-8") as stream:
        for case in missing:
            vector = encoder.encode([case["question"]])[0]
            passages = compare(vector, [readable(text) for text in case["evidence"]], encoder)
            nearest = sorted(passages, key=lambda passage: -passage.similarity)[:LOOKED_AT]
            found[case["id"]] = [judge.signals(case["question"], passage) for passage in nearest]
            stream.write(json.dumps({"id": case["id"], "signals": found[case["id"]]}) + "\n")
            stream.flush()
    return found


def _cases(path: Path, first: int | None) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()][:first]
    for number, row in enumerate(rows):
        if isinstance(row["evidence"], str):
            row["evidence"] = [row["evidence"]]
            # One article, one half: rows of an article stand together.
            row["id"] = f"{path.stem}{number // 100}-{number}"
    return rows


def _half(identifier: str) -> int:
    trade = identifier.split("-")[0]
    return int(hashlib.sha256(trade.encode()).hexdigest(), 16) % 2


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--model", required=True, help="catalogue name, or `encoder` for the encoder alone")
    parser.add_argument("--signals", type=Path, required=True)
    parser.add_argument("--weights", default="answer,passage", help="signals that get a coefficient")
    parser.add_argument("--first", type=int, help="only so many rows of each file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
