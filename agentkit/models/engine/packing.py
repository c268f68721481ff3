"""Weights are put into their quickest form while the model is already answering.

Packing half a billion weights takes one core two seconds, and a fresh process is to say its first word before that. So
products begin on the weights as the file has them (`Int8Linear` gives the same numbers either way), and one thread
packs them in the order in which a pass uses them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol


class Packable(Protocol):
    """Something that is quicker once it is packed."""

    def pack(self) -> None:
        """Pack it; may run while another thread uses it."""
        ...


class Packing:
    """A thread that packs, and ends.

    Args:
        products: What to pack, in the order of their use.
    """

    def __init__(self, products: Sequence[Packable]) -> None:
        self._products = products
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pack weights")
        self._thread.start()

    def wait(self) -> None:
        """Wait until everything is packed."""
        self._thread.join()

    def close(self) -> None:
        """Stop after the product that is being packed now."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        main = threading.main_thread()
        for product in self._products:
            # A program that ends without closing its generator does not wait for what nobody needs any more.
            if self._closed.is_set() or not main.is_alive():
                return
            product.pack()
