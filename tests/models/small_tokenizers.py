"""Small tokenizers trained on the spot, of the kinds that real models have."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

CORPUS: Final = [
    "Where is my order 1042? It should have come on Thursday.",
    '{"name": "find_order", "arguments": {"order_id": "1042", "city": "Köln"}}',
    "You may call one or more functions. <tool_call> tool call im_start system user assistant",
    "The weather in Paris is sunny; the weather in München is rainy. 日本語のテキスト",
] * 5
SPECIAL: Final = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


@lru_cache
def byte_level_json() -> str:
    """Byte-level BPE in the manner of Qwen: special tokens, and tool tags that are added but not special."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_tokens(
        [AddedToken(tag, special=False, normalized=False) for tag in ("<tool_call>", "</tool_call>")]
    )
    return tokenizer.to_str()


@lru_cache
def qwen2_json() -> str:
    """The same, cutting text as Qwen 2 does and with its NFC."""
    split = {
        "type": "Split",
        "pattern": {
            "Regex": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        },
        "behavior": "Isolated",
        "invert": False,
    }
    return _cut(split, use_regex=False, normalizer={"type": "NFC"})


@lru_cache
def digits_json() -> str:
    """The same, every digit by itself and without the bytes that begin rare characters, as in SmolLM2."""
    return _cut({"type": "Digits", "individual_digits": True}, use_regex=True, base=without_some_bytes_json())


def _cut(
    first: dict[str, Any],
    *,
    use_regex: bool,
    normalizer: dict[str, Any] | None = None,
    base: str | None = None,
) -> str:
    description: dict[str, Any] = json.loads(base or byte_level_json())
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": use_regex,
    }
    description["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [first, byte_level]}
    description["normalizer"] = normalizer
    return json.dumps(description)


@lru_cache
def padded_json() -> str:
    """The same with padding rows in the vocabulary, as a converted GGUF file has them."""
    description: dict[str, Any] = json.loads(byte_level_json())
    vocabulary = description["model"]["vocab"]
    top = max([*vocabulary.values(), *(entry["id"] for entry in description["added_tokens"])])
    vocabulary |= {f"[PAD{top + n}]": top + n for n in range(1, 6)}
    vocabulary |= {entry["content"]: entry["id"] for entry in description["added_tokens"]}
    return json.dumps(description)


@lru_cache
def without_some_bytes_json() -> str:
    """The same without the bytes that begin rare characters, as in the vocabulary of SmolLM2."""
    description: dict[str, Any] = json.loads(byte_level_json())
    alphabet = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str("\U00040000")[0][0]
    del description["model"]["vocab"][alphabet[0]]
    return json.dumps(description)


@lru_cache
def sentencepiece_json() -> str:
    """BPE with byte fallback and `▁` for spaces, in the manner of Llama 2."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    letters = sorted({"▁", *"".join(CORPUS).replace(" ", "▁")})
    vocabulary = {piece: index for index, piece in enumerate([*pieces, *letters, "or", "▁or"])}
    description = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(index, name) for index, name in enumerate(("<unk>", "<s>", "</s>"))],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": [["o", "r"], ["▁", "or"]],
        },
    }
    return json.dumps(description)


@lru_cache
def unigram_json() -> str:
    """A unigram vocabulary that holds its control token as an ordinary piece."""
    letters = sorted({"▁", *"".join(CORPUS).replace(" ", "▁"), *"<|im_start|>"})
    vocabulary = [["<unk>", 0.0], ["<|im_start|>", -1.0], *([letter, -3.0] for letter in letters)]
    description = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(0, "<unk>"), _added(1, "<|im_start|>")],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Metaspace",
            "replacement": "▁",
            "prepend_scheme": "always",
            "split": False,
        },
        "post_processor": None,
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": False},
        "model": {"type": "Unigram", "unk_id": 0, "vocab": vocabulary, "byte_fallback": False},
    }
    return json.dumps(description)


@lru_cache
def word_piece_json() -> str:
    """Word pieces, whose tokens have no bytes of their own."""
    vocabulary = {"[UNK]": 0, "where": 1, "##is": 2, "order": 3}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer.to_str()


def _added(index: int, name: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": index, "content": name, "special": True, **flags}
