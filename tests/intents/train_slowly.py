"""Trains through the cache with an encoder that takes its time; test_intent_storage starts it twice."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agentkit.intents import IntentExample, train_cached
from agentkit.testing.encoder import HashingEncoder

if TYPE_CHECKING:
    from agentkit.models.protocols import Vectors


class SlowEncoder(HashingEncoder):
    """Leaves a mark when it is asked."""

    def __init__(self, marks: Path) -> None:
        super().__init__()
        self._marks = marks

    def encode(self, texts: Sequence[str]) -> Vectors:
        (self._marks / str(os.getpid())).touch()
        time.sleep(0.5)
        return super().encode(texts)


if __name__ == "__main__":
    cache, marks = Path(sys.argv[1]), Path(sys.argv[2])
    examples = [
        IntentExample(f"{verb} {thing}", verb) for verb in ("buy", "sell") for thing in ("a", "b", "c")
    ]
    train_cached(examples, SlowEncoder(marks), cache)
