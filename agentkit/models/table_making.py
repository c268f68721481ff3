"""Makes the tables of a tokenizer that was built, if they say the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy

from agentkit.models.character_kinds import character_kinds
from agentkit.models.tokenizer_table import TokenizerTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agentkit.models.tokenizer_file import TokenizerCodec

_QWEN2: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_BYTE_LEVEL: Final = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
_CUTS: Final[Mapping[str, list[dict[str, Any]]]] = {
    "qwen2": [
        {"type": "Split", "pattern": {"Regex": _QWEN2}, "behavior": "Isolated", "invert": False},
        {**_BYTE_LEVEL, "use_regex": False},
    ],
    "digits, gpt2": [{"type": "Digits", "individual_digits": True}, {**_BYTE_LEVEL, "use_regex": True}],
}
"""The `pre_tokenizer` of a `tokenizer.json` for each pattern of `byte_pairs.PATTERNS`."""

_PLAIN: Final = {
    "type": "BPE",
    "dropout": None,
    "unk_token": None,
    "continuing_subword_prefix": None,
    "end_of_word_suffix": None,
    "byte_fallback": False,
    "ignore_merges": False,
}


def make_table(description: dict[str, Any], codec: TokenizerCodec) -> TokenizerTable | None:
    """The tables of a tokenizer; None where it does anything that they cannot say.

    Args:
        description: What of `tokenizer.json` encodes text, from `tokenizer_file.text_description`.
        codec: The codec of the same `tokenizer.json`, without further rows of an embedding.
    """
    model, vocabulary = description["model"], description["model"].get("vocab")
    pattern = _pattern(description["pre_tokenizer"])
    # Files of before differ in what they leave out: "" and nothing are one.
    differs = any((model.get(key) or None) != (value or None) for key, value in _PLAIN.items())
    if pattern is None or differs or description["normalizer"] or description["added_tokens"]:
        return None
    if codec.token_bytes is None or not _is_byte_level(vocabulary, codec.token_bytes, codec.control_ids):
        return None
    kinds = character_kinds(single_digits=pattern != "qwen2")
    if kinds is None:
        return None
    return TokenizerTable(
        pattern=pattern,
        kinds=kinds,
        token_bytes=list(codec.token_bytes),
        control=codec.control,
        markup=codec.markup,
        unused=codec.control_ids - frozenset(codec.control.values()),
        indirect=_indirect(description, vocabulary),
        merges=_merges(model["merges"], vocabulary),
    )


def _is_byte_level(
    vocabulary: Mapping[str, int], token_bytes: Sequence[bytes], control_ids: frozenset[int]
) -> bool:
    """Whether every token of text is a row of bytes of its own, and no other token is called like a byte."""
    from tokenizers import pre_tokenizers

    return (
        set(pre_tokenizers.ByteLevel.alphabet()).issuperset("".join(vocabulary))
        and control_ids.isdisjoint(vocabulary.values())
        and len({token_bytes[token] for token in vocabulary.values()}) == len(vocabulary)
        and all(len(token_bytes[token]) != 1 for token in control_ids)
    )


def _pattern(pre_tokenizer: dict[str, Any] | None) -> str | None:
    if pre_tokenizer is None or pre_tokenizer["type"] != "Sequence":
        return None
    parts = pre_tokenizer["pretokenizers"]
    return next((name for name, cut in _CUTS.items() if cut == parts), None)


def _merges(merges: list[Any], vocabulary: Mapping[str, int]) -> NDArray[numpy.int32]:
    rows = []
    for merge in merges:
        left, right = merge if isinstance(merge, list) else merge.split(" ", 1)
        rows.append((vocabulary[left], vocabulary[right], vocabulary[left + right]))
    return numpy.array(rows, dtype=numpy.int32).reshape(-1, 3)


def _indirect(description: dict[str, Any], vocabulary: Mapping[str, int]) -> frozenset[int]:
    """Tokens whose own piece the merges make something else of, in the library's own words."""
    from tokenizers import Tokenizer

    model = Tokenizer.from_str(json.dumps(description)).model
    return frozenset(
        token for piece, token in vocabulary.items() if [one.id for one in model.tokenize(piece)] != [token]
    )
