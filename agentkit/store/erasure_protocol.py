"""What a store promises about erasing a user; part of `protocol.UserStore`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from agentkit.store.records import ErasureReceipt

if TYPE_CHECKING:
    from pathlib import Path


class Erasable(Protocol):
    """What one user has can be erased for good."""

    def erase(self, *, wait: float = 30.0, beside: Sequence[Path] = ()) -> ErasureReceipt:
        """Erase everything of this user, and look into the raw bytes of the files whether anything is left.

        Args:
            wait: Seconds to wait for others who still read what was there before.
            beside: Files and folders that may hold copies, caches say; they are searched, not changed.

        Raises:
            ErasureIncomplete: Everything is deleted, but somebody kept the old pages alive for longer than `wait`.
                Erasing again finishes it.
        """
        ...
