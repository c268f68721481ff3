"""Train the adapter of one generator's judge: agentkit/knowledge/probes/NAME.adapter.safetensors.

    python benchmarks/train_adapter.py squad2_train.jsonl --model qwen2.5-coder-1.5b --lowest 12 --layer 20
        --states FOLDER --write

The file is of SQuAD 2.0 form, as for `fit_judge.py`, which fits the probe on the adapter's vectors afterwards: on
paragraphs that were held back here (an eighth, by their hash), as those that were trained on look too easy.

1. What the network holds before and below the adapter never changes, so it is computed once and kept in FOLDER: keys
   and values of every passage for the layers that are adapted, and the vectors of every question's tokens at their
   entry. An interrupted run goes on.
2. The additions to these layers and a linear head on the vectors that `StateReader.state` gives are trained together
   (AdamW, cross-entropy). A step takes questions of several passages. Products are those of the engine; their
   gradients are computed with the same weights in bfloat16. Where it stands is where `fit_judge.py` begins.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file

from agentkit.messages import user
from agentkit.models import load_generator
from agentkit.models.engine import DecoderNetwork, shared_length
from agentkit.models.engine.network import Feed
from agentkit.models.engine.packed_weights import unpacked
from agentkit.models.engine.states import KeyValueStates
from agentkit.prompts import PromptLibrary
from benchmarks.fit_judge import PROBES, area, held_back, questions_by_paragraph, to_train_on

PRODUCTS = ("query_key_value", "attention_output", "gate_and_up", "down")
RANK, SCALE, DROPPED = 8, 2.0, 0.05
RATE, HEAD_RATE, WARMING = 4e-4, 5e-5, 15
TOGETHER = 18
"""Questions of a step."""
MOST_READ = 64
BLOCK = 256


@dataclass
class Known:
    """A passage and its questions.

    Args:
        states: bfloat16 [adapted layers, 2, heads, tokens, size].
        start: Where the questions begin, in tokens.
        questions: Of each, float32 [tokens, d].
        labels: Whether the passage answers it.
    """

    states: torch.Tensor
    start: int
    questions: list[torch.Tensor]
    labels: list[bool]


class Below:
    """Computes and keeps what the adapter stands on.

    Args:
        model: Catalogue name of the generator.
        lowest: First layer that is adapted.
        layer: Layers in all.
        folder: Where it is kept.
    """

    def __init__(self, model: str, lowest: int, layer: int, folder: Path) -> None:
        self._generator = cast(Any, load_generator(model))
        self.network: DecoderNetwork = self._generator._network
        self._lowest, self._folder = lowest, folder
        self._to_entry, self._whole = self.network.lower(lowest), self.network.lower(layer)
        self._prompts = PromptLibrary()
        self._examples = self._prompts.conversation("judge_answer")
        prompt = self._tokens("x", "y")
        self._static = shared_length(prompt, self._generator._prompt(self._examples, (), ""))
        self._first = self._whole.new_states()
        self._read(prompt[: self._static], self._first)
        self.static = self._first.segment(0, self._static)[lowest:]

    def known(self, text: str, rows: Sequence[dict[str, Any]]) -> Known:
        """What is known of a passage; computed where it is not kept yet."""
        asked = sorted({row["question"] for row in rows})
        name = hashlib.sha256(json.dumps([text, asked, self._lowest]).encode()).hexdigest()[:24]
        path = self._folder / f"{name}.safetensors"
        if not path.exists():
            fresh = path.with_suffix(".partial")
            save_file(self._computed(text, asked), fresh)
            fresh.replace(path)
        labels = {row["question"]: bool(row["answerable"]) for row in rows}
        with safe_open(path, "pt") as file:
            questions = [file.get_tensor(f"question.{number}").float() for number in range(len(asked))]
            states = file.get_tensor("states")
        return Known(states, self._static + states.shape[3], questions, [labels[each] for each in asked])

    def _computed(self, text: str, asked: Sequence[str]) -> dict[str, torch.Tensor]:
        prompts = [self._tokens(text, question) for question in asked]
        empty = self._tokens(text, "")
        start = min(max(shared_length(each, empty), len(each) - MOST_READ) for each in prompts)
        states = self._whole.new_states()
        states.append(self._first.segment(0, self._static))
        self._read(prompts[0][self._static : start], states)
        tensors = {"states": states.segment(self._static, start)[self._lowest :].contiguous()}
        below = states.segment(0, start)[: self._lowest]
        for number, prompt in enumerate(prompts):
            own = self._to_entry.new_states()
            own.append(below)
            hidden = self._to_entry.forward([Feed(prompt[start:], own, len(prompt) - start)])
            tensors[f"question.{number}"] = hidden.to(torch.bfloat16)
        return tensors

    def _read(self, tokens: Sequence[int], states: KeyValueStates) -> None:
        for begin in range(0, len(tokens), BLOCK):
            self._whole.forward([Feed(tokens[begin : begin + BLOCK], states, 0)])

    def _tokens(self, text: str, question: str) -> list[int]:
        asked = self._prompts.render("judge_question", facts=[text], question=question).strip()
        tokens: list[int] = self._generator._prompt((*self._examples, user(asked)), (), "")
        return tokens


class _Frozen(torch.autograd.Function):
    """A product of the engine; the gradient goes through, the weights stay."""

    @staticmethod
    def forward(context: Any, inputs: torch.Tensor, product: Any, weight: torch.Tensor) -> torch.Tensor:
        context.weight = weight
        return product(inputs.detach().contiguous(), torch.zeros(len(inputs), len(weight)))  # type: ignore[no-any-return]

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> Any:
        return (gradients[0].bfloat16() @ context.weight).float(), None, None


class Adapted(torch.nn.Module):
    """The adapted layers and the head.

    Args:
        below: What they stand on.
        lowest: First layer that is adapted.
        layer: Layers in all.
    """

    def __init__(self, below: Below, lowest: int, layer: int) -> None:
        super().__init__()
        self._shape, self._static, self._lowest = below.network.shape, below.static, lowest
        self._layers: list[Any] = below.network._layers[lowest:layer]
        self._weights, self.additions = [], torch.nn.ParameterDict()
        for index, each in enumerate(self._layers):
            weights = {name: unpacked(getattr(each, name)._weights).bfloat16() for name in PRODUCTS}
            for name, weight in weights.items():
                outputs, inputs = weight.shape
                self.additions[f"{index} {name} down"] = torch.randn(RANK, inputs) / math.sqrt(inputs)
                self.additions[f"{index} {name} up"] = torch.zeros(outputs, RANK)
            self._weights.append(weights)
        self.width = len(self._layers[0].attention_norm)
        self.head = torch.nn.Linear(2 * self.width, 1)
        self.mean, self.scale = torch.zeros(2 * self.width), torch.ones(2 * self.width)

    def forward(self, chosen: Sequence[tuple[Known, Sequence[int]]]) -> torch.Tensor:
        """Vectors of the chosen questions of some passages: [questions, 2 d]."""
        passes = [_Pass(self._shape, known, numbers) for known, numbers in chosen]
        hidden = torch.cat([each.hidden for each in passes])
        for index, layer in enumerate(self._layers):
            normed = F.rms_norm(hidden, (self.width,), layer.attention_norm, self._shape.norm_epsilon)
            projected = self._product(index, "query_key_value", normed)
            parts = torch.split(projected, [len(each.hidden) for each in passes])
            seen = [
                each.attended(part, self._static[index], index)
                for each, part in zip(passes, parts, strict=True)
            ]
            hidden = hidden + self._product(index, "attention_output", torch.cat(seen))
            normed = F.rms_norm(hidden, (self.width,), layer.feed_forward_norm, self._shape.norm_epsilon)
            gate, value = self._product(index, "gate_and_up", normed).chunk(2, -1)
            hidden = hidden + self._product(index, "down", F.silu(gate) * value)
        questions = torch.split(hidden, [count for each in passes for count in each.counts])
        return torch.stack([torch.cat([each[-1], each.mean(0)]) for each in questions])

    def logits(self, vectors: torch.Tensor) -> torch.Tensor:
        """Of the head, one for each question."""
        found: torch.Tensor = self.head(F.dropout((vectors - self.mean) / self.scale, 0.1, self.training))
        return found[:, 0]

    def tensors(self) -> dict[str, torch.Tensor]:
        """As `Adapter.load` reads them."""
        found = {}
        for key, tensor in self.additions.items():
            index, name, part = key.split()
            factor = SCALE if part == "up" else 1.0
            place = f"layers.{int(index) + self._lowest}.{name}.{part}"
            found[place] = (factor * tensor.detach()).to(torch.float16).contiguous()
        scale = self.head.weight.detach()[0] / self.scale
        found["head.weights"] = scale.contiguous()
        found["head.bias"] = self.head.bias.detach() - self.mean @ scale
        return found

    def _product(self, index: int, name: str, inputs: torch.Tensor) -> torch.Tensor:
        frozen = _Frozen.apply(inputs, getattr(self._layers[index], name), self._weights[index][name])  # type: ignore[no-untyped-call]
        down, up = (self.additions[f"{index} {name} {part}"] for part in ("down", "up"))
        dropped = F.dropout(inputs, DROPPED, self.training)
        return frozen + SCALE * F.linear(F.linear(dropped, down), up)  # type: ignore[no-any-return]


class _Pass:
    """Some questions of one passage: each sees the examples, the passage and itself."""

    def __init__(self, shape: Any, known: Known, numbers: Sequence[int]) -> None:
        questions = [known.questions[number] for number in numbers]
        self.hidden = torch.cat(questions)
        self.counts = [len(each) for each in questions]
        self._shape, self._states = shape, known.states
        places = torch.cat([torch.arange(known.start, known.start + count) for count in self.counts])
        frequencies = 1.0 / shape.rotary_base ** (torch.arange(0, shape.head_size, 2) / shape.head_size)
        angles = (places[:, None] * frequencies)[:, None]  # [n, 1, size / 2]
        self._cosine, self._sine = angles.cos(), angles.sin()
        owner = torch.repeat_interleave(torch.arange(len(questions)), torch.tensor(self.counts))
        itself = (owner[:, None] == owner) & (places[:, None] >= places)
        before = torch.ones(len(places), known.start, dtype=torch.bool)
        self._mask = torch.cat([before, itself], 1).repeat(shape.heads // shape.key_value_heads, 1)

    def attended(self, projected: torch.Tensor, static: torch.Tensor, index: int) -> torch.Tensor:
        """[n, (heads + 2 groups) * size] -> [n, heads * size]."""
        heads, groups, size = self._shape.heads, self._shape.key_value_heads, self._shape.head_size
        count, shared = len(projected), heads // groups
        split = projected.view(count, -1, size)
        low, high = split[:, : heads + groups].chunk(2, -1)
        turned = torch.cat(
            [low * self._cosine - high * self._sine, high * self._cosine + low * self._sine], -1
        )
        new = torch.stack([turned[:, heads:], split[:, heads + groups :]]).bfloat16().transpose(1, 2)
        keys, values = torch.cat([static, self._states[index], new], 2)  # [groups, all, size] each
        rows = turned[:, :heads].bfloat16().view(count, groups, shared, size).permute(1, 2, 0, 3)
        seen = F.scaled_dot_product_attention(
            rows.reshape(1, groups, shared * count, size), keys[None], values[None], attn_mask=self._mask
        )
        return seen.view(groups, shared, count, size).permute(2, 0, 1, 3).reshape(count, -1).float()


def batches(known: Sequence[Known], epochs: int) -> Iterator[list[tuple[Known, list[int]]]]:
    """Questions of a step, by passage."""
    every = [(index, number) for index, each in enumerate(known) for number in range(len(each.questions))]
    for epoch in range(epochs):
        random.Random(epoch).shuffle(every)
        for begin in range(0, len(every) - TOGETHER + 1, TOGETHER):
            chosen: dict[int, list[int]] = {}
            for index, number in sorted(every[begin : begin + TOGETHER]):
                chosen.setdefault(index, []).append(number)
            yield [(known[index], numbers) for index, numbers in chosen.items()]


def held_back_area(network: Adapted, known: Sequence[Known]) -> float:
    """Area under the ROC curve, of the head."""
    network.eval()
    with torch.no_grad():
        scores = [network.logits(network([(each, range(len(each.questions)))])).tolist() for each in known]
    network.train()
    return area([s for each in scores for s in each], [label for each in known for label in each.labels])


def train(network: Adapted, known: Sequence[Known], held: Sequence[Known], epochs: int) -> None:
    """Train; the head begins at nothing, on vectors of unit variance."""
    with torch.no_grad():
        vectors = torch.cat([network([(each, range(len(each.questions)))]) for each in held])
    network.mean, network.scale = vectors.mean(0), vectors.std(0) + 1e-3
    torch.nn.init.zeros_(network.head.weight)
    steps = list(batches(known, epochs))
    groups = [
        {"params": list(network.additions.values()), "weight_decay": 0.01, "lr": RATE},
        {"params": list(network.head.parameters()), "weight_decay": 0.1, "lr": HEAD_RATE},
    ]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98))

    def rate(step: int) -> float:
        return min((step + 1) / WARMING, 1.0) * max(0.05, 1 - step / len(steps))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    for number, chosen in enumerate(steps, 1):
        labels = [float(known.labels[each]) for known, numbers in chosen for each in numbers]
        loss = F.binary_cross_entropy_with_logits(network.logits(network(chosen)), torch.tensor(labels))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if number % (len(steps) // epochs) == 0:
            print(
                f"# step {number}: loss {loss.item():.3f}, held back: AUC {held_back_area(network, held):.3f}",
                flush=True,
            )


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", required=True, help="catalogue name")
    parser.add_argument("--lowest", type=int, required=True, help="first layer that is adapted")
    parser.add_argument("--layer", type=int, required=True, help="after so many layers the vectors are read")
    parser.add_argument("--paragraphs", type=int, help="so many; else all that are short enough")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--states", type=Path, required=True, help="a folder; grows by 2 MB a paragraph")
    parser.add_argument("--write", action="store_true", help="write the adapter that ships")
    arguments = parser.parse_args()
    arguments.states.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    below = Below(arguments.model, arguments.lowest, arguments.layer, arguments.states)
    rows = questions_by_paragraph(arguments.file)
    chosen = to_train_on(rows)[: arguments.paragraphs]
    seen = [below.known(text, rows[text]) for text in chosen if not held_back(text)]
    held = [below.known(text, rows[text]) for text in chosen if held_back(text)]
    network = Adapted(below, arguments.lowest, arguments.layer)
    train(network, seen, held, arguments.epochs)
    if arguments.write:
        about = {"trained on": "SQuAD 2.0 (CC BY-SA 4.0), https://rajpurkar.github.io/SQuAD-explorer/"}
        save_file(network.tensors(), PROBES / f"{arguments.model}.adapter.safetensors", metadata=about)


if __name__ == "__main__":
    main()
