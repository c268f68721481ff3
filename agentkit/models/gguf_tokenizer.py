"""Rebuilding a tokenizer from the vocabulary inside a GGUF file.

A GGUF file carries the tokens, the merges and the kind of each token, but not the rule that splits text
before merging: it only names it. The two rules here are those of the published tokenizers (`tokenizer.json`
of Qwen/Qwen2.5-0.5B and of HuggingFaceTB/SmolLM2-135M). A name without a rule is refused, because a wrong
rule gives a model that works, only worse.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentkit.errors import ModelRefused

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_NORMAL: Final = 1
_CONTROL: Final = 3
_USER_DEFINED: Final = 4
"""Kinds of token, as llama.cpp numbers them. 5 is unused: rows that pad the embedding to a round size."""

_QWEN2_SPLIT: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def build_tokenizer(metadata: dict[str, Any], source: Path) -> Tokenizer:
    """The byte-level BPE tokenizer that GGUF metadata describes.

    Args:
        metadata: The metadata of the file.
        source: The file, for messages.

    Returns:
        A tokenizer in which every token has the id of the file. Control tokens are special added tokens;
        user-defined ones (`<tool_call>`) are added tokens that decoding keeps. Unused tokens are left out.

    Raises:
        ModelRefused: Another kind of tokenizer, or a splitting rule that is not known.
    """
    from tokenizers import AddedToken, Tokenizer, decoders
    from tokenizers.models import BPE

    model = metadata.get("tokenizer.ggml.model")
    if model != "gpt2":
        raise ModelRefused(
            f"{source}: its tokenizer is of kind {model!r}; only byte-level BPE (`gpt2`) is converted.",
            hint="Use a safetensors version of the model.",
        )
    tokens, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    # Added tokens before the last ordinary one stay in the vocabulary, else the ids would have holes.
    vocabulary_size = max(i for i, kind in enumerate(kinds) if kind == _NORMAL) + 1
    vocabulary = {token: i for i, token in enumerate(tokens[:vocabulary_size])}
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=merges))
    _set_splitting(tokenizer, str(metadata.get("tokenizer.ggml.pre")), source)
    tokenizer.decoder = decoders.ByteLevel()
    added = [
        AddedToken(token, special=kind == _CONTROL, normalized=False)
        for token, kind in zip(tokens, kinds, strict=True)
        if kind in (_CONTROL, _USER_DEFINED)
    ]
    tokenizer.add_tokens(added)
    for token in added:
        if tokens[tokenizer.token_to_id(token.content)] != token.content:
            raise ModelRefused(f"{source}: the token {token.content} cannot keep its id.")
    return tokenizer


def _set_splitting(tokenizer: Tokenizer, name: str, source: Path) -> None:
    from tokenizers import Regex, normalizers, pre_tokenizers

    if name == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(_QWEN2_SPLIT), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    elif name == "smollm":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    else:
        raise ModelRefused(
            f"{source}: its tokenizer splits text by the rule {name!r}; only `qwen2` and `smollm` are known.",
            hint="Use a safetensors version of the model.",
        )


def save_tokenizer(metadata: dict[str, Any], source: Path, folder: Path, context_length: int) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja` for `AutoTokenizer`.

    Args:
        metadata: The metadata of the GGUF file.
        source: The GGUF file, for messages.
        folder: Where to write; exists.
        context_length: Most tokens the model takes.
    """
    build_tokenizer(metadata, source).save(str(folder / "tokenizer.json"))
    tokens = metadata["tokenizer.ggml.tokens"]
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": context_length,
    }
    for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"), ("unk", "unknown")):
        token_id = metadata.get(f"tokenizer.ggml.{key}_token_id")
        if token_id is not None:
            config[f"{name}_token"] = tokens[token_id]
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), "utf-8")
    template = metadata.get("tokenizer.chat_template")
    if template:
        (folder / "chat_template.jinja").write_text(template, "utf-8")
