"""Fit what agentkit/knowledge/calibration.yaml and probes/ hold for one generator, or for the encoder alone.

    python benchmarks/fit_judge.py benchmarks/grounding_cases.jsonl --model qwen2.5-coder-1.5b --layer 18
        --train squad2_train.jsonl:45 --validate squad2_val.jsonl:45 --vectors VECTORS.jsonl [--write]

Cases are those of `agentkit eval grounding`; the trade (the part of the id before the dash, by its hash) decides
whether a case is for development or held out. `--train` and `--validate` name files of SQuAD 2.0 form (`{"question",
"evidence": text, "answerable"}`) and of how many paragraphs, drawn at random with a fixed seed, all questions are
taken. Vectors are kept in VECTORS.jsonl, so that an interrupted run goes on and fitting anew takes seconds.

1. A logistic probe with ridge on the vectors of development cases and of `--train`, over (passage, question). Where the
   generator has an adapter (`train_adapter.py`) one more on its vectors is added, which begins at what that was trained
   with.
2. The same in folds that leave out whole trades and paragraphs. Ridge and the share of the model as it is are those
   that are best for left-out development cases, among those that keep the promise for `--validate`. What comes out for
   those left out is combined with the similarity of the passage, and threshold, floor and reach are chosen on it.
3. Held-out cases are only measured, and `--validate` beyond that one choice. `--write` writes the probe; the entry for
   calibration.yaml is printed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentkit.knowledge.answerability import StateSource, shipped_adapter
from agentkit.knowledge.passages import Passage, compare, pieces, readable
from agentkit.models import load_encoder, load_generator
from agentkit.prompts import PromptLibrary

Floats = NDArray[np.float64]

LOOKED_AT = 2
DECLINED = 0.91
"""Share of the unanswerable development cases that the threshold declines: a point above what is promised."""
PROMISED = 0.90
"""Area that is promised for `--validate`."""
STRENGTHS = (300.0, 1000.0, 2000.0, 3000.0)
SHARES = (0.0, 0.5, 1.0)
"""Of the probe on the model as it is, beside the one on the adapted model."""
FOLDS = 6
SHORT, MANY = 650, 7
"""Characters and questions of a paragraph that is trained on first: the most questions for the least reading."""
LONGEST = 1000
"""Characters of a paragraph that is trained on: longer ones cost more than they teach."""
PROBES = Path(__file__).parent.parent / "agentkit" / "knowledge" / "probes"


@dataclass
class Pair:
    """A question and one passage that the judge looks at; `label`: whether this passage answers it."""

    question: str
    passage: Passage
    label: bool
    vectors: Floats = field(default_factory=lambda: np.zeros(0))


@dataclass
class Case:
    """A case with the pairs that it consists of, the most similar passage first."""

    group: str
    part: str
    answerable: bool
    pairs: list[Pair]


def main() -> None:
    """Run the program."""
    arguments = _arguments()
    cases = [case for path in arguments.files for case in _own(path)]
    for part, files in (("train", arguments.train), ("validation", arguments.validate)):
        for each in files:
            path, _, count = each.rpartition(":")
            cases += _squad(Path(path), int(count), part)
    if arguments.model == "encoder":
        for case in cases:
            for pair in case.pairs:
                pair.vectors = np.array([])
    else:
        _add_vectors(cases, arguments.model, arguments.layer, arguments.vectors)
    _fit(cases, arguments)


def _own(path: Path) -> Iterator[Case]:
    encoder = load_encoder("minilm-l6")
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        texts = [part for text in row["evidence"] for part in pieces(readable(text))]
        passages = compare(encoder.encode([row["question"]])[0], texts, encoder)
        trade = row["id"].split("-")[0]
        held_out = int(hashlib.sha256(trade.encode()).hexdigest(), 16) % 2
        nearest = sorted(passages, key=lambda passage: -passage.similarity)[:LOOKED_AT]
        found = [
            Pair(row["question"], p, row["answerable"] and any(m in p.text for m in row["must"]))
            for p in nearest
        ]
        yield Case(trade, "held out" if held_out else "development", row["answerable"], found)


def _squad(path: Path, count: int, part: str) -> Iterator[Case]:
    encoder = load_encoder("minilm-l6")
    by_text = questions_by_paragraph(path)
    if part == "train":
        cut = [(text, text) for text in to_train_on(by_text) if held_back(text)]
    else:
        cut = [(text, piece) for text in by_text for piece in pieces(text)]
        random.Random(0).shuffle(cut)
    for text, piece in cut[:count]:
        if text != piece:
            continue  # a part of a long paragraph need not answer what the paragraph answers
        for row in by_text[text]:
            (passage,) = compare(encoder.encode([row["question"]])[0], [text], encoder)
            pair = Pair(row["question"], passage, row["answerable"])
            yield Case(hashlib.sha256(text.encode()).hexdigest(), part, row["answerable"], [pair])


def questions_by_paragraph(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of a file of SQuAD 2.0 form."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in map(json.loads, path.read_text("utf-8").splitlines()):
        found.setdefault(readable(row["evidence"]), []).append(row)
    return found


def to_train_on(by_text: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Paragraphs in the order in which they are taken: at random, but short ones with many questions first."""
    cut = [piece for text in by_text for piece in pieces(text) if len(piece) <= LONGEST]
    random.Random(1).shuffle(cut)
    whole = [text for text in cut if text in by_text]
    return sorted(whole, key=lambda text: len(text) > SHORT or len(by_text[text]) < MANY)


def held_back(text: str) -> bool:
    """Whether a paragraph to train on is kept from the adapter, for the probe: one of eight."""
    return hashlib.sha256(text.encode()).digest()[0] < 32


def _add_vectors(cases: Iterable[Case], model: str, layer: int, path: Path) -> None:
    """Give every pair what the generator holds of it."""
    known: dict[str, Floats] = {}
    if path.exists():
        for line in map(json.loads, path.read_text("utf-8").splitlines()):
            known[line["key"]] = np.frombuffer(base64.b64decode(line["vectors"]), np.float16).astype(
                np.float64
            )
    adapter = shipped_adapter(model)
    made = hashlib.sha256(adapter.read_bytes()).hexdigest() if adapter else ""
    pairs = {_key(pair, model, layer, made): pair for case in cases for pair in case.pairs}
    missing = [key for key in pairs if key not in known]
    if missing:
        source = StateSource(load_generator(model), PromptLibrary(), layer, adapter)  # type: ignore[arg-type]
        missing.sort(
            key=lambda key: pairs[key].passage.text
        )  # the states of a passage serve all its questions
        with path.open("a", encoding="utf-8") as stream:
            for key in missing:
                pair = pairs[key]
                vectors = source.read(pair.question, pair.passage.text).astype(np.float16)
                known[key] = vectors.astype(np.float64).ravel()
                written = {"key": key, "vectors": base64.b64encode(vectors.tobytes()).decode()}
                stream.write(json.dumps(written) + "\n")
                stream.flush()
    for case in cases:
        for pair in case.pairs:
            pair.vectors = known[_key(pair, model, layer, made)]


def _key(pair: Pair, model: str, layer: int, adapter: str) -> str:
    text = json.dumps([model, layer, adapter, pair.passage.text, pair.question])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _fit(cases: list[Case], arguments: argparse.Namespace) -> None:
    fitting = [case for case in cases if case.part in ("development", "train")]
    states = arguments.model != "encoder"
    signals = {id(case): [[0.0, pair.passage.similarity] for pair in case.pairs] for case in cases}
    if states:
        left_out, weights, bias = _chosen_probe(cases, _prior(arguments.model))
        for key, values in left_out.items():
            for signal, value in zip(signals[key], values, strict=True):
                signal[0] = value
        for case in cases:
            if case.part not in ("development", "train"):
                for signal, pair in zip(signals[id(case)], case.pairs, strict=True):
                    signal[0] = float(pair.vectors @ weights) + bias
        if arguments.write:
            _write(arguments.model, weights, bias)
    rows = np.array([signal for case in fitting for signal in signals[id(case)]])
    labels = np.array([pair.label for case in fitting for pair in case.pairs], float)
    columns = [0, 1] if states else [1]
    coefficients, constant = _logistic(rows[:, columns], labels, 1.0)
    _report(cases, signals, columns, coefficients, constant)


def _chosen_probe(
    cases: Sequence[Case], prior: tuple[Floats, float]
) -> tuple[dict[int, list[float]], Floats, float]:
    """What the best kind of probe gives for pairs that it has not seen, its weights and its bias."""
    by_part: dict[str, list[Case]] = {}
    for case in cases:
        by_part.setdefault(case.part, []).append(case)
    fitting = [*by_part["development"], *by_part.get("train", ())]
    pairs = [pair for case in fitting for pair in case.pairs]
    found = []
    for strength in STRENGTHS:
        for share in SHARES if prior[0].size > 1 else (1.0,):
            values = _left_out(fitting, strength, share, prior)
            weights, bias = _probe(pairs, strength, share, prior)
            measured = by_part.get("validation", by_part["development"])
            given = {id(c): [float(pair.vectors @ weights) + bias for pair in c.pairs] for c in measured}
            own = _area(values, by_part["development"])
            kept = min(_area(given, measured), PROMISED)
            print(f"# ridge {strength:.0f}, share {share}: left out {own:.3f}, {_area(given, measured):.3f}")
            found.append(((kept, own), values, weights, bias))
    _, values, weights, bias = max(found, key=lambda each: each[0])
    return values, weights, bias


def _left_out(
    cases: Sequence[Case], strength: float, share: float, prior: tuple[Floats, float]
) -> dict[int, list[float]]:
    """The probe's value of every pair, from a probe that has not seen its group."""
    groups = sorted({case.group for case in cases})
    random.Random(0).shuffle(groups)
    fold = {group: number % FOLDS for number, group in enumerate(groups)}
    found: dict[int, list[float]] = {}
    for number in range(FOLDS):
        seen = [pair for case in cases if fold[case.group] != number for pair in case.pairs]
        weights, bias = _probe(seen, strength, share, prior)
        for case in cases:
            if fold[case.group] == number:
                found[id(case)] = [float(pair.vectors @ weights) + bias for pair in case.pairs]
    return found


def _area(values: dict[int, list[float]], cases: Sequence[Case]) -> float:
    return area([max(values[id(case)]) for case in cases], [case.answerable for case in cases])


def _prior(model: str) -> tuple[Floats, float]:
    """Weights [2 d] and bias that the adapter was trained with; zeros where there is none."""
    from safetensors.numpy import load_file

    adapter = shipped_adapter(model)
    if adapter is None:
        return np.zeros(1), 0.0
    tensors = load_file(adapter)
    return tensors["head.weights"].astype(np.float64), float(tensors["head.bias"][0])


def _probe(
    pairs: Sequence[Pair], strength: float, share: float, prior: tuple[Floats, float]
) -> tuple[Floats, float]:
    """Weights for the vectors as they are, [2 d], and a bias; fitted on standardised ones, in the span of the pairs.

    With an adapter, [4 d]: a share of a probe of the model as it is, and one of the adapted model, where what is
    fitted, and kept small, is the difference to `prior`.
    """
    inputs = np.stack([pair.vectors for pair in pairs])
    labels = np.array([pair.label for pair in pairs], float)
    width = prior[0].size
    if width == 1:
        return _ridge(inputs, labels, strength, prior)
    plain = _ridge(inputs[:, :-width], labels, strength, (np.zeros(1), 0.0))
    adapted = _ridge(inputs[:, -width:], labels, strength, prior)
    return np.concatenate([share * plain[0], adapted[0]]), share * plain[1] + adapted[1]


def _ridge(
    inputs: Floats, labels: Floats, strength: float, prior: tuple[Floats, float]
) -> tuple[Floats, float]:
    mean, scale = inputs.mean(0), inputs.std(0) + 1e-3
    normed = (inputs - mean) / scale
    products = normed @ normed.T  # [n, n]
    count = len(labels)
    said = (inputs * prior[0]).sum(1) + prior[1]
    # What training left is far too sure of itself: it is taken at the size that these labels bear out.
    (trust,), shift = _logistic(said[:, None], labels, 1.0) if said.any() else (np.zeros(1), 0.0)
    known = trust * said + shift
    dual, bias = np.zeros(count), 0.0
    for _ in range(8):
        # Newton's method: a weighted ridge regression on the working response.
        total = known + products @ dual + bias
        probability = 1 / (1 + np.exp(-np.clip(total, -30, 30)))
        variance = np.maximum(probability * (1 - probability), 1e-4)
        response = total + (labels - probability) / variance
        one = np.ones((count, 1))
        system = np.block([[products + strength * np.diag(1 / variance), one], [one.T, np.zeros((1, 1))]])
        solved = np.linalg.solve(system, np.append(response - known, 0.0))
        dual, bias = solved[:-1], float(solved[-1])
    weights = normed.T @ dual / scale
    return weights + trust * prior[0], bias - float(mean @ weights) + trust * prior[1] + shift


def _logistic(inputs: Floats, labels: Floats, strength: float) -> tuple[Floats, float]:
    """Logistic regression by Newton's method with a little ridge: weights and bias."""
    x = np.c_[inputs, np.ones(len(inputs))]
    w = np.zeros(x.shape[1])
    ridge = np.diag([*[strength] * (len(w) - 1), 1e-6])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        w -= np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]) + ridge, x.T @ (p - labels) + ridge @ w)
    return w[:-1], float(w[-1])


def _report(
    cases: Sequence[Case],
    signals: dict[int, list[list[float]]],
    columns: list[int],
    coefficients: Floats,
    constant: float,
) -> None:
    def probability(case: Case) -> list[float]:
        total = np.array(signals[id(case)])[:, columns] @ coefficients + constant
        return [float(each) for each in 1 / (1 + np.exp(-total))]

    development = [case for case in cases if case.part == "development"]
    fitting = [case for case in cases if case.part in ("development", "train")]
    floor = min(pair.passage.similarity for case in fitting for pair in case.pairs if pair.label) - 0.02
    gaps = [
        case.pairs[0].passage.similarity - case.pairs[1].passage.similarity
        for case in development
        if len(case.pairs) > 1 and case.pairs[1].label and not case.pairs[0].label
    ]
    reach = max(gaps, default=2.0) + 0.02

    def looked_at(case: Case) -> list[float]:
        first = case.pairs[0].passage.similarity
        return [
            each
            for each, pair in zip(probability(case), case.pairs, strict=True)
            if pair.passage.similarity >= floor and first - pair.passage.similarity <= reach
        ]

    best = {id(case): max(looked_at(case), default=0.0) for case in cases}
    unanswerable = [best[id(case)] for case in development if not case.answerable]
    threshold = float(np.quantile(unanswerable, DECLINED))
    names = [("state", "passage")[column] for column in columns]
    print(f"    bias: {constant:.3f}")
    print(
        "    weights: {" + ", ".join(f"{n}: {w:.3f}" for n, w in zip(names, coefficients, strict=True)) + "}"
    )
    print(f"    threshold: {threshold:.3f}\n    floor: {floor:.2f}\n    reach: {reach:.2f}")
    for part in ("development", "held out", "train", "validation"):
        chosen = [case for case in cases if case.part == part]
        if not chosen:
            continue
        can = [best[id(case)] for case in chosen if case.answerable]
        cannot = [best[id(case)] for case in chosen if not case.answerable]
        found = area([*can, *cannot], [True] * len(can) + [False] * len(cannot))
        print(
            f"# {part}: {len(chosen)} cases, AUC {found:.3f}, "
            f"kept {np.mean(np.array(can) >= threshold):.3f}, declined {np.mean(np.array(cannot) < threshold):.3f}"
        )


def area(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Area under the ROC curve."""
    yes = np.array([score for score, label in zip(scores, labels, strict=True) if label])
    no = np.array([score for score, label in zip(scores, labels, strict=True) if not label])
    return float((yes[:, None] > no).mean() + (yes[:, None] == no).mean() / 2)


def _write(model: str, weights: Floats, bias: float) -> None:
    from safetensors.numpy import save_file

    PROBES.mkdir(exist_ok=True)
    tensors = {
        "weights": np.ascontiguousarray(weights.reshape(4 if shipped_adapter(model) else 2, -1), np.float32),
        "bias": np.array([bias], np.float32),
    }
    save_file(tensors, PROBES / f"{model}.safetensors")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--model", required=True, help="catalogue name, or `encoder` for the encoder alone")
    parser.add_argument("--layer", type=int, default=0, help="after so many layers the vectors are read")
    parser.add_argument("--train", action="append", default=[], help="FILE:PARAGRAPHS")
    parser.add_argument("--validate", action="append", default=[], help="FILE:PARAGRAPHS")
    parser.add_argument("--vectors", type=Path, default=Path("vectors.jsonl"))
    parser.add_argument("--write", action="store_true", help="write the probe that ships")
    return parser.parse_args()


if __name__ == "__main__":
    main()
