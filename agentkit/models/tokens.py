"""Text to token ids and back. User text is data: no text can yield a control token.

A tokenizer gives some strings (`<|im_start|>`, `<tool_call>`) a meaning that text must never have: they end a
message, start a role, open a tool call. `TokenCodec.encode_text` encodes text with a tokenizer that does
not know those strings, so that `<|im_start|>` typed by a user becomes `<`, `|`, `im`, … and decodes to the
same characters. Control tokens enter a prompt only by their id, through `control_id`, or in
`encode_markup`, which is for the literal parts of a model's own chat template.

Every id has its bytes (`token_bytes`), so decoding is joining bytes. This holds for byte-level BPE (GPT-2,
Qwen, Llama 3, SmolLM) and for sentencepiece vocabularies (Llama 2, Gemma); for other kinds `token_bytes` is
None and no constraint can be enforced.
"""

from __future__ import annotations

import codecs
import re
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

_CACHED_CHARACTERS: Final = 4_000_000
"""How many characters of encoded text are remembered: a few hundred long prompts, some tens of MB of ids."""


def sanitise(text: str) -> str:
    """`text` with every lone surrogate replaced by U+FFFD, so that it can be written as UTF-8."""
    return (
        text.encode("utf-8", "replace").decode()
        if _SURROGATE.search(text) is None
        else _SURROGATE.sub("\ufffd", text)
    )


_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class TokenCodec(Protocol):
    """Text and token ids of one model."""

    @property
    def size(self) -> int:
        """All ids are below this."""
        ...

    @property
    def control_ids(self) -> frozenset[int]:
        """Ids that text never yields and that a reply holds only where a dialect says so."""
        ...

    @property
    def token_bytes(self) -> Sequence[bytes] | None:
        """The bytes of each id (of a control token: its name); None where a token has no bytes of its own."""
        ...

    def control_id(self, name: str) -> int | None:
        """The id of the control token called `name`; None if the model has no such token."""
        ...

    def encode_text(self, text: str) -> tuple[int, ...]:
        """Ids of `text` as data; never a control id. `decode` gives the sanitised text back."""
        ...

    def encode_reply(self, text: str) -> tuple[int, ...]:
        """Like `encode_text`, but with the ids that the model itself wrote, if it wrote exactly this text."""
        ...

    def remember_reply(self, ids: Sequence[int]) -> None:
        """Keep the ids of a finished reply, so that the next prompt repeats them instead of encoding anew."""
        ...

    def encode_markup(self, text: str) -> tuple[int, ...]:
        """Ids of `text` with control tokens recognised; only for text that belongs to the model's
        template."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`, control tokens by their names; bytes that are no UTF-8 become U+FFFD."""
        ...


class RememberedText:
    """Token ids of texts seen before, least recently used ones dropped; safe to use from several threads."""

    def __init__(self, most_characters: int = _CACHED_CHARACTERS) -> None:
        self._ids: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self._characters = 0
        self._most_characters = most_characters
        self._lock = threading.Lock()

    def get(self, text: str) -> tuple[int, ...] | None:
        """The ids of `text`, or None."""
        with self._lock:
            ids = self._ids.get(text)
            if ids is not None:
                self._ids.move_to_end(text)
            return ids

    def put(self, text: str, ids: tuple[int, ...]) -> None:
        """Remember `ids` for `text`."""
        with self._lock:
            if text not in self._ids:
                self._characters += len(text) + 64
            self._ids[text] = ids
            self._ids.move_to_end(text)
            while self._characters > self._most_characters:
                dropped, _ = self._ids.popitem(last=False)
                self._characters -= len(dropped) + 64


class BytesCodec(ABC):
    """What codecs share whose ids all have bytes: decoding, and memory of what was encoded or written.

    Args:
        token_bytes: Bytes of each id.
        control: Names and ids of the control tokens.
        unused: Ids that stand for nothing (padding rows of an embedding); they count as control tokens.
    """

    def __init__(
        self,
        token_bytes: Sequence[bytes] | None,
        control: dict[str, int],
        unused: frozenset[int] = frozenset(),
    ) -> None:
        self.token_bytes = token_bytes
        self.control_ids = frozenset(control.values()) | unused
        self._control = control
        self._encoded = RememberedText()
        self._written = RememberedText()

    def control_id(self, name: str) -> int | None:
        """See `TokenCodec`."""
        return self._control.get(name)

    def encode_text(self, text: str) -> tuple[int, ...]:
        """See `TokenCodec`."""
        ids = self._encoded.get(text)
        if ids is None:
            ids = tuple(self._encode(sanitise(text)))
            self._encoded.put(text, ids)
        return ids

    def encode_reply(self, text: str) -> tuple[int, ...]:
        """See `TokenCodec`."""
        return self._written.get(text) or self.encode_text(text)

    def remember_reply(self, ids: Sequence[int]) -> None:
        """See `TokenCodec`."""
        piece: list[int] = []
        for token in [*ids, None]:
            if token is None or token in self.control_ids:
                text = self.decode(piece)
                if piece and "\ufffd" not in text:
                    self._written.put(text, tuple(piece))
                piece = []
            else:
                piece.append(token)

    def decode(self, ids: Sequence[int]) -> str:
        """See `TokenCodec`."""
        assert self.token_bytes is not None
        return b"".join(self.token_bytes[token] for token in ids).decode("utf-8", "replace")

    @abstractmethod
    def _encode(self, text: str) -> Iterable[int]:
        """Ids of sanitised text, no control ids among them."""


class Detokenizer:
    """Turns ids that arrive one after another into text: every chunk is whole characters."""

    def __init__(self, codec: TokenCodec) -> None:
        self._codec = codec
        self._bytes = codec.token_bytes
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._ids: list[int] = []
        self._sent = ""

    def push(self, ids: Sequence[int]) -> str:
        """The characters that are complete once `ids` are appended; may be empty."""
        if self._bytes is not None:
            return self._utf8.decode(b"".join(self._bytes[token] for token in ids))
        self._ids.extend(ids)
        text = self._codec.decode(self._ids)
        return "" if text.endswith("\ufffd") else self._advance(text)

    def flush(self) -> str:
        """What is left at the end; bytes that never became a character are U+FFFD."""
        if self._bytes is not None:
            return self._utf8.decode(b"", final=True)
        return self._advance(self._codec.decode(self._ids))

    def _advance(self, text: str) -> str:
        chunk, self._sent = text[len(self._sent) :], text
        return chunk
