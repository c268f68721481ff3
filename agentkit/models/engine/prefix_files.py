"""States of prompts that never change, kept on disk: a fresh process answers without computing them again.

Only what a developer wrote goes here (`GenerationRequest.static`), never what a customer said. A file is an aid and
nothing more: one that is damaged or of another model is thrown away with a line in the log and made again, and a disk
that is full or read-only costs time, not answers.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import torch

    from agentkit.models.engine.prefix_tree import PrefixTree
    from agentkit.models.engine.states import States

_FORMAT: Final = "2"
_WORTH_A_FILE: Final = 64
"""Fewer tokens are computed as quickly as they are read."""
_MOST_FILES: Final = 12
"""A bot has one for each set of tools that its prompts name; beyond this the least recently used goes. A process
writes no more than so many: where every message has other tools, nothing is gained."""

_log = logging.getLogger("agentkit.models")


class PrefixFiles:
    """The files of one model in one number format.

    Args:
        folder: Where they lie; made when the first is written.
        network: What else the states depend on beside the tokens: the model, its number format, the library.
    """

    def __init__(self, folder: Path, network: str) -> None:
        self._folder = folder
        self._network = network
        self._known: set[Path] = set()  # on the disk, or not to be had there
        self._written = 0

    def of(self, part: str) -> PrefixFiles:
        """The same folder, for a part of the network.

        Args:
            part: Which; what else the states depend on.
        """
        return PrefixFiles(self._folder, f"{self._network} {part}")

    def fetch(self, static: Sequence[int], tree: PrefixTree, states: States) -> None:
        """Put the states of a static beginning into the tree, if they are on the disk and not yet there.

        Args:
            static: Its tokens.
            tree: Where its states belong.
            states: Those of an empty sequence; empty again afterwards.
        """
        if len(static) < _WORTH_A_FILE or tree.match(static) >= len(static):
            return
        segment = self.load(static)
        if segment is not None:
            states.append(segment)
            tree.insert(static, states)
            states.truncate(0)

    def store(self, static: Sequence[int], states: States) -> None:
        """Keep a static beginning on the disk.

        Args:
            static: Its tokens.
            states: Those of a sequence that begins with them.
        """
        if len(static) >= _WORTH_A_FILE:
            self.save(static, lambda: states.segment(0, len(static)))

    def load(self, tokens: Sequence[int]) -> torch.Tensor | None:
        """The states of exactly these tokens, [layers, 2, heads, n, head_size]; None if there are none.

        Args:
            tokens: Token ids from the start of the prompt.
        """
        from safetensors import SafetensorError, safe_open

        path = self._path(tokens)
        if path in self._known or not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                states: torch.Tensor = file.get_tensor("states")
                sound = file.metadata() == self._about(tokens, states)
            if sound:
                os.utime(path)  # the least recently used is the first to go
                self._known.add(path)
                return states
        except (OSError, SafetensorError):
            pass
        _log.warning("%s is damaged or of another version; it is made again.", path)
        return None

    def save(self, tokens: Sequence[int], compute: Callable[[], torch.Tensor]) -> None:
        """Keep states, unless they are there already.

        Args:
            tokens: Their tokens.
            compute: Gives them when they are needed: [layers, 2, heads, n, head_size], contiguous.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        path = self._path(tokens)
        if path in self._known or self._written >= _MOST_FILES:
            return
        self._known.add(path)
        self._written += 1
        states = compute()
        fresh = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                save_file({"states": states}, fresh, metadata=self._about(tokens, states))
                fresh.replace(path)
            finally:
                fresh.unlink(missing_ok=True)
            self._make_room()
        except (OSError, SafetensorError) as error:
            _log.warning("The beginning of a prompt could not be kept in %s: %s", path, error)

    def _path(self, tokens: Sequence[int]) -> Path:
        written = ",".join(map(str, tokens))
        key = hashlib.sha256(f"{_FORMAT} {self._network} {written}".encode()).hexdigest()
        return self._folder / f"{key[:32]}.safetensors"

    def _about(self, tokens: Sequence[int], states: torch.Tensor) -> dict[str, str]:
        import torch

        content = states.contiguous().view(torch.uint8).numpy().tobytes()
        return {
            "format": _FORMAT,
            "network": self._network,
            "length": str(len(tokens)),
            "sha256": hashlib.sha256(content).hexdigest(),
        }

    def _make_room(self) -> None:
        files = sorted(self._folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime_ns)
        for path in files[:-_MOST_FILES]:
            path.unlink(missing_ok=True)
            self._known.discard(path)
