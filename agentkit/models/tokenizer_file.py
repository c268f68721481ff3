"""The token codec of a model with a Hugging Face `tokenizer.json`."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from agentkit.errors import ModelRefused
from agentkit.models.tokens import BytesCodec

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class MarkupCodec(BytesCodec):
    """What codecs of a `tokenizer.json` share, however they encode: markup, characters that the vocabulary lacks, and
    that no text yields a control token.

    Args:
        token_bytes: Bytes of each id.
        control: Names and ids of the control tokens.
        unused: Ids that stand for nothing.
        markup: Regular expression that finds control tokens in markup.
        size: All ids are below this.
    """

    def __init__(
        self,
        token_bytes: Sequence[bytes] | None,
        control: dict[str, int],
        unused: frozenset[int],
        *,
        markup: str,
        size: int,
    ) -> None:
        super().__init__(token_bytes, control, unused)
        self.size = size
        self.control = control
        self.markup = markup
        self._control_pattern = re.compile(markup)

    def encode_markup(self, text: str) -> tuple[int, ...]:
        """See `TokenCodec`."""
        ids: list[int] = []
        position = 0
        for found in self._control_pattern.finditer(text):
            ids += self.encode_text(text[position : found.start()])
            ids.append(self._control[found[0].strip() if found[0] not in self._control else found[0]])
            position = found.end()
        return (*ids, *self.encode_text(text[position:]))

    def _encode(self, text: str) -> Iterable[int]:
        ids = self._plain_ids(text)
        if len(self._shown(ids) or "") != len(text):
            # Small vocabularies lack bytes of rare characters, and a tokenizer drops what it lacks.
            known = {one for one in set(text) if self._shown(self._plain_ids(one))}
            text = "".join(one if one in known else "\ufffd" for one in text)
            ids = self._plain_ids(text)
        if self.control_ids.isdisjoint(ids):
            return ids
        # A vocabulary that holds its control tokens as ordinary pieces (unigram, `ignore_merges`): cut every
        # occurrence in the middle, and where that is not enough go through the text character by character.
        cuts = [(found.start() + found.end()) // 2 for found in self._control_pattern.finditer(text)]
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        ids = [token for piece in pieces for token in self._plain_ids(piece)]
        if not self.control_ids.isdisjoint(ids):
            each = (self._plain_ids(one) for one in text)
            ids = [token for tokens in each for token in tokens if token not in self.control_ids]
        return ids

    @abstractmethod
    def _plain_ids(self, text: str) -> list[int]:
        """What the vocabulary makes of `text`, whatever that is."""

    def _shown(self, ids: list[int]) -> str | None:
        """The text of `ids`; None if they are no whole characters."""
        if self.token_bytes is None:
            return self.decode(ids)
        try:
            return b"".join(self.token_bytes[token] for token in ids).decode()
        except UnicodeDecodeError:
            return None


class TokenizerCodec(MarkupCodec):
    """The codec of any `tokenizer.json`, encoding with the `tokenizers` library.

    Args:
        tokenizer_json: The text of `tokenizer.json`.
        size: Rows of the model's embedding where that is more than the vocabulary; 0 if unknown.
    """

    def __init__(self, tokenizer_json: str, *, size: int = 0) -> None:
        from tokenizers import Tokenizer

        description: dict[str, Any] = json.loads(tokenizer_json)
        vocabulary = _vocabulary(description)
        control = _control_tokens(description, vocabulary)
        self._text: Tokenizer = Tokenizer.from_str(json.dumps(_without_control_tokens(description, control)))
        everything = {
            **vocabulary,
            **{entry["content"]: entry["id"] for entry in description["added_tokens"]},
        }
        size = max(size, max(everything.values(), default=-1) + 1)
        unused = frozenset(range(size)) - frozenset(everything.values())
        super().__init__(
            _token_bytes(description, everything, control, size),
            control,
            unused,
            markup=_pattern(description, control),
            size=size,
        )
        self._names = {token: name for name, token in control.items()}

    def decode(self, ids: Sequence[int]) -> str:
        """See `TokenCodec`."""
        if self.token_bytes is not None:
            return super().decode(ids)
        runs = groupby(ids, key=lambda token: token in self.control_ids)
        return "".join(
            "".join(self._names.get(token, "") for token in run)
            if is_control
            else self._text.decode(list(run))
            for is_control, run in runs
        )

    def _plain_ids(self, text: str) -> list[int]:
        ids: list[int] = self._text.encode(text, add_special_tokens=False).ids
        return ids


def text_description(tokenizer_json: str) -> dict[str, Any]:
    """The content of a `tokenizer.json` as far as it encodes text: without control tokens.

    Args:
        tokenizer_json: The file's text, of a kind that `TokenizerCodec` reads.
    """
    description: dict[str, Any] = json.loads(tokenizer_json)
    return _without_control_tokens(description, _control_tokens(description, _vocabulary(description)))


def _vocabulary(description: dict[str, Any]) -> dict[str, int]:
    vocabulary = description["model"]["vocab"]
    if isinstance(vocabulary, dict):
        return dict(vocabulary)
    return {piece: index for index, (piece, _score) in enumerate(vocabulary)}


def _control_tokens(description: dict[str, Any], vocabulary: dict[str, int]) -> dict[str, int]:
    """Added tokens, except those that are only white space (some vocabularies add runs of spaces), and BPE
    pieces that no merge produces: padding rows such as `[PAD151665]`, which would otherwise count as
    text."""
    control = {
        entry["content"]: entry["id"]
        for entry in description["added_tokens"]
        if entry["special"] or not entry["content"].isspace()
    }
    model = description["model"]
    if model["type"] == "BPE" and not model.get("ignore_merges"):
        pairs = (merge if isinstance(merge, list) else merge.split(" ", 1) for merge in model["merges"])
        made = {left + right for left, right in pairs}
        for piece, token in vocabulary.items():
            if len(piece) > 1 and piece not in made and not _BYTE_PIECE.fullmatch(piece):
                control[piece] = token
    return control


def _pattern(description: dict[str, Any], control: dict[str, int]) -> str:
    """Finds control tokens in markup, longest name first, with the white space that some of them swallow."""
    flags = {entry["content"]: entry for entry in description["added_tokens"]}
    alternatives = []
    for name in sorted(control, key=len, reverse=True):
        entry = flags.get(name, {})
        before, after = (r"\s*" if entry.get(side) else "" for side in ("lstrip", "rstrip"))
        alternatives.append(f"{before}{re.escape(name)}{after}")
    return "|".join(alternatives) or r"(?!)"


def _without_control_tokens(description: dict[str, Any], control: dict[str, int]) -> dict[str, Any]:
    """The tokenizer for text. It knows no control token, adds no space of its own in front of a segment,
    and keeps the characters as they are (NFC would make decoding lossy; for text that is already NFC
    nothing changes)."""
    changed = {**description, "post_processor": None, "truncation": None, "padding": None}
    changed["added_tokens"] = [e for e in description["added_tokens"] if e["content"] not in control]
    model = dict(description["model"])
    if model["type"] == "BPE":
        used = {p for m in model["merges"] for p in (m if isinstance(m, list) else m.split(" ", 1))}
        model["vocab"] = {p: i for p, i in model["vocab"].items() if p not in control or p in used}
    changed["model"] = model
    changed["normalizer"] = _without(description["normalizer"], "normalizers", {"NFC", "Prepend"})
    pre = description["pre_tokenizer"]
    if pre is not None and pre["type"] == "Metaspace":
        changed["pre_tokenizer"] = {**pre, "prepend_scheme": "never"}
    return changed


def _without(part: dict[str, Any] | None, children: str, types: set[str]) -> dict[str, Any] | None:
    if part is None or part["type"] in types:
        return None
    if part["type"] == "Sequence":
        return {**part, children: [child for child in part[children] if child["type"] not in types]}
    return part


_BYTE_PIECE: Final = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def _token_bytes(
    description: dict[str, Any], everything: dict[str, int], control: dict[str, int], size: int
) -> list[bytes] | None:
    decoder = description["decoder"]
    kinds = set() if decoder is None else {d["type"] for d in decoder.get("decoders", [decoder])}
    byte_level = "ByteLevel" in kinds
    if not byte_level and not kinds & {"ByteFallback", "Metaspace"}:
        return None
    result = [b""] * size
    for piece, token in everything.items():
        if piece in control:
            result[token] = piece.encode()
        elif byte_level:
            try:
                result[token] = piece.translate(_BYTE_ALPHABET).encode("latin-1")
            except UnicodeEncodeError:  # an added token that is written as it is
                result[token] = piece.encode()
        elif found := _BYTE_PIECE.fullmatch(piece):
            result[token] = bytes([int(found[1], 16)])
        else:
            result[token] = piece.replace("\u2581", " ").encode()
    return result


def _byte_alphabet() -> dict[int, int]:
    """The printable stand-ins of GPT-2's byte-level BPE: code points that mean one byte, and which."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: byte for byte in printable} | {0x100 + n: byte for n, byte in enumerate(others)}


_BYTE_ALPHABET: Final = _byte_alphabet()


def load_codec(tokenizer_json: str, *, where: str, size: int = 0) -> TokenizerCodec:
    """A codec from the text of a `tokenizer.json`.

    Args:
        tokenizer_json: The file's text.
        where: The file's name, for the error.
        size: Rows of the model's embedding.

    Raises:
        ModelRefused: The text is no tokenizer that the `tokenizers` library reads.
    """
    try:
        return TokenizerCodec(tokenizer_json, size=size)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelRefused(
            f"{where} is not a tokenizer that can be read: {error}",
            hint="Fetch the model again, or take one with a `tokenizer.json` of the `tokenizers` library.",
        ) from error
