"""A tokenizer without a vocabulary file: one token per byte, and the control tokens of ChatML."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from agentkit.models.tokens import BytesCodec

CONTROL_TOKENS: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>")


class ByteTokenizer(BytesCodec):
    """Token codec of 256 bytes and a few control tokens, for tests and doubles.

    Args:
        control_tokens: Names of the control tokens; their ids follow those of the bytes.
        unused: Further ids that stand for nothing, like the padding rows of a real embedding.
    """

    def __init__(self, control_tokens: Iterable[str] = CONTROL_TOKENS, *, unused: int = 0) -> None:
        names = list(control_tokens)
        first_unused = 256 + len(names)
        self.size = first_unused + unused
        token_bytes = (
            [bytes([byte]) for byte in range(256)] + [name.encode() for name in names] + [b""] * unused
        )
        control = {name: 256 + index for index, name in enumerate(names)}
        super().__init__(token_bytes, control, frozenset(range(first_unused, self.size)))
        self._names = re.compile("|".join(re.escape(name) for name in names) or r"(?!)")

    def encode_markup(self, text: str) -> tuple[int, ...]:
        """Bytes of `text`, control tokens by their ids."""
        ids: list[int] = []
        position = 0
        for found in self._names.finditer(text):
            ids += self.encode_text(text[position : found.start()])
            ids.append(self._control[found[0]])
            position = found.end()
        return (*ids, *self.encode_text(text[position:]))

    def _encode(self, text: str) -> Iterable[int]:
        return text.encode()
