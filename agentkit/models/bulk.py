"""Quicker products for work in bulk, where a little precision matters less than half of the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_products() -> Iterator[None]:
    """While it lasts, this thread multiplies matrices in bfloat16, where the processor can; all else stays float32.

    For an encoder over thousands of documents: 1.9 times as many tokens a second (MiniLM, AVX-512 with bf16), and a
    similarity moves by at most .0016. Not for what is compared with a threshold that was found without it.
    """
    import torch

    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        yield
        return
    with torch.autocast("cpu", dtype=torch.bfloat16):
        yield
