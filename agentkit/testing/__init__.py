"""Doubles for tests of bots, tools and plugins: they need no weights and no network.

- `ScriptedGenerator` plays replies that the test wrote; `RandomGenerator` writes whatever a constraint allows;
  `ByteTokenizer` turns text into tokens without a vocabulary.
- `HashingEncoder` embeds texts by their words.
- `InMemoryStore` keeps conversations without a file; `STORE_PROMISES` checks any store against the contract.
- `ToolHarness` calls a tool as a model would and checks what it promises; `Conversation` talks to an agent that has
  it; `play_scenario` plays a scenario of a bot folder.
- `FixedClock` and `SequentialIds` make time and identifiers the same in every run.
"""

from agentkit.testing.byte_tokenizer import ByteTokenizer
from agentkit.testing.clock import FixedClock, SequentialIds
from agentkit.testing.encoder import HashingEncoder
from agentkit.testing.harness import Conversation, ToolHarness, play_scenario
from agentkit.testing.in_memory_rows import InMemoryData
from agentkit.testing.in_memory_store import InMemoryStore
from agentkit.testing.promises import STORE_PROMISES, Promise
from agentkit.testing.random_generator import RandomGenerator
from agentkit.testing.scripted_generator import (
    Calls,
    Chooses,
    Fails,
    Holds,
    Says,
    ScriptedGenerator,
    ScriptError,
    ScriptStep,
)

__all__ = [
    "STORE_PROMISES",
    "ByteTokenizer",
    "Calls",
    "Chooses",
    "Conversation",
    "Fails",
    "FixedClock",
    "HashingEncoder",
    "Holds",
    "InMemoryData",
    "InMemoryStore",
    "Promise",
    "RandomGenerator",
    "Says",
    "ScriptError",
    "ScriptStep",
    "ScriptedGenerator",
    "SequentialIds",
    "ToolHarness",
    "play_scenario",
]
