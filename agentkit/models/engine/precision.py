"""Which number format a model runs in on this machine: measured once, then remembered.

int8 is taken where it is quicker than the format that the processor computes with anyway and says nearly the same: its
mean log-probability of a fixed text may be lower by `_MOST_LOST` at most. A processor whose int8 products saturate
fails that test, whatever it is called.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from agentkit.errors import ConfigurationError, ModelError
from agentkit.models.engine.network import DecoderNetwork, Feed
from agentkit.models.engine.prefix_files import PrefixFiles
from agentkit.models.engine.shape import Shape
from agentkit.models.engine.weights import (
    DecoderWeights,
    InMemory,
    Precision,
    WeightFiles,
    decoder_network,
    int8_fits,
    int8_tensors,
)
from agentkit.models.folder import ModelFolder, weight_files
from agentkit.models.machine_code import instructions
from agentkit.models.paths import cache_folder
from agentkit.models.progress import Progress, Silent, task

_FORMAT: Final = "2"
_MOST_LOST: Final = 0.06
"""Nats a token. int8 loses .03 with half a billion weights and .05 with a seventh of that; a broken product loses whole
nats."""
TEXT: Final = """Where is my order? It was sent on Monday and should be with you by Thursday, 26 November.
You can return goods within 30 days; the pickup costs 19 EUR above 20 kg. Please tell me the number of the order.
{"name": "track_parcel", "arguments": {"order_id": "1042", "carrier": "DHL"}}
def total(prices: list[float]) -> float:
    return round(sum(prices) * 1.19, 2)
"""
"""What the formats are compared on: what an agent reads and writes."""

_log = logging.getLogger("agentkit.models")


def network_of(
    folder: ModelFolder, shape: Shape, wanted: str, sample: Sequence[int], progress: Progress | None = None
) -> DecoderNetwork:
    """The network of a folder in the number format that is wanted, or in the best one.

    Args:
        folder: A checked folder.
        shape: Of its model.
        wanted: `auto`, `float32`, `bfloat16` or `int8`.
        sample: The token ids of `TEXT`.
        progress: Told about what takes seconds, the first time.

    Raises:
        ConfigurationError: There is no such format here.
        ModelError: The cache folder cannot be written.
        ModelRefused: The weights are not those of the configuration.
    """
    formats: tuple[Precision, ...] = get_args(Precision)
    if wanted not in ("auto", *formats):
        raise ConfigurationError(
            f"{wanted!r} is no number format for weights", hint=f"auto, {', '.join(formats)}."
        )
    fits = int8_fits(DecoderWeights(WeightFiles(weight_files(folder.path)), shape))
    if wanted == "int8" and not fits:
        raise ConfigurationError(
            f"{folder.name} cannot be computed in int8 here",
            hint="It needs an x86 processor with AVX2 and widths that are multiples of 32. Choose auto or float32.",
        )
    bar = progress or Silent()
    for each in formats:
        if each == wanted:
            return _load(folder, shape, each, bar)
    chosen = _remembered(folder) or _measured(folder, shape, sample, bar, int8=fits)
    return _load(folder, shape, chosen, bar)


def _load(folder: ModelFolder, shape: Shape, precision: Precision, progress: Progress) -> DecoderNetwork:
    path = _place(folder, "packed.safetensors")
    if precision == "int8" and not _is_sound(path, folder):
        _write_int8(folder, shape, path, progress)
    # Opened once: each further mapping of the file would count its edges again.
    int8 = InMemory(load_file(path)) if precision == "int8" else None
    return decoder_network(WeightFiles(weight_files(folder.path)), shape, precision, int8)


def prefix_files(folder: ModelFolder, network: DecoderNetwork) -> PrefixFiles:
    """Where the static prompts of a model are kept.

    Args:
        folder: Of the model.
        network: What computes their states.
    """
    about = f"{folder.id} {network.number_format} {_machine()}"
    return PrefixFiles(_place(folder, "prefixes"), about)


def _place(folder: ModelFolder, name: str) -> Path:
    key = hashlib.sha256(folder.id.encode()).hexdigest()[:16]
    return cache_folder() / "engine" / key / name


def _is_sound(path: Path, folder: ModelFolder) -> bool:
    if not path.exists():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            sound: bool = file.metadata() == {"format": _FORMAT, "model": folder.id}
    except (OSError, SafetensorError):
        sound = False
    if not sound:
        _log.warning("%s is damaged or of another version; it is made again.", path)
    return sound


def _write_int8(folder: ModelFolder, shape: Shape, path: Path, progress: Progress) -> None:
    weights = DecoderWeights(WeightFiles(weight_files(folder.path)), shape)
    tensors: dict[str, torch.Tensor] = {}
    with task(progress, f"Preparing {folder.name} for this processor", shape.layers, "layers"):
        for name, tensor in int8_tensors(weights):
            tensors[name] = tensor
            if name.endswith("down.weight"):
                progress.advance(1)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with _storage_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(tensors, fresh, metadata={"format": _FORMAT, "model": folder.id})
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """What the disk says, in the words of `ModelError`."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path} cannot be written: {error}",
            hint="Check the free space and who may write there, or name another folder in AGENTKIT_CACHE.",
        ) from error


def _machine() -> str:
    """What the choice depends on beside the model."""
    return f"{torch.__version__} {torch.backends.cpu.get_cpu_capability()} {instructions()} {_FORMAT}"


def _remembered(folder: ModelFolder) -> Precision | None:
    path = _place(folder, "number_format.json")
    try:
        choice = json.loads(path.read_text("utf-8"))
        known = choice["precision"] if choice["machine"] == _machine() else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        _log.warning("%s is damaged; the number format is measured again.", path)
        return None
    return known if known in get_args(Precision) else None


def _measured(
    folder: ModelFolder, shape: Shape, sample: Sequence[int], progress: Progress, *, int8: bool
) -> Precision:
    """Compare int8 with the format that this processor computes with; remember the winner and the figures."""
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    usual: Precision = "bfloat16" if fast else "float32"
    candidates: list[Precision] = [usual, *(["int8"] if int8 else [])]  # type: ignore[list-item]
    figures = {each: _figures(_load(folder, shape, each, progress), sample) for each in candidates}
    chosen = usual
    if "int8" in figures:
        lost = figures[usual]["log_probability"] - figures["int8"]["log_probability"]
        if lost <= _MOST_LOST and figures["int8"]["seconds"] < figures[usual]["seconds"]:
            chosen = "int8"
    path = _place(folder, "number_format.json")
    content = {"machine": _machine(), "model": folder.id, "precision": chosen, "figures": figures}
    with _storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1), "utf-8")
    return chosen


def _figures(network: DecoderNetwork, sample: Sequence[int]) -> dict[str, Any]:
    """Mean log-probability of the sample, and seconds for eight passes over one token each."""
    states = network.new_states()
    logits = network.forward([Feed(sample, states, len(sample))])
    following = torch.tensor(list(sample[1:]))[:, None]  # [n - 1, 1]
    mean = torch.log_softmax(logits[:-1], dim=-1).gather(1, following).mean()
    durations = []
    for _ in range(8):
        started = time.perf_counter()
        network.forward([Feed(sample[:1], states, 1)])
        durations.append(time.perf_counter() - started)
    return {"log_probability": float(mean), "seconds": min(durations)}
