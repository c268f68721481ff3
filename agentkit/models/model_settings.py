"""What a model folder says of itself beside its weights, and in which number format to load them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentkit.errors import ConfigurationError, ModelRefused
from agentkit.models.dialects import Dialect
from agentkit.models.tokens import TokenCodec

if TYPE_CHECKING:
    import torch


class ModelSettings:
    """The small files beside the weights: what they say about templates, special tokens and limits.

    Args:
        folder: A model folder.

    Raises:
        ModelRefused: config.json is missing or no JSON.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._config = self._json("config.json")
        self._tokenizer = self._json("tokenizer_config.json", optional=True)

    def text(self, name: str) -> str:
        """The text of a file.

        Raises:
            ModelRefused: It is missing or no UTF-8.
        """
        path = self._folder / name
        try:
            return path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelRefused(
                f"{path} cannot be read: {error}",
                hint="The folder needs config.json, tokenizer.json and safetensors; fetch the model again.",
            ) from error

    @property
    def vocabulary(self) -> int:
        """Rows of the model's embedding; 0 where the configuration does not say."""
        nested = self._config.get("text_config")
        size = (nested if isinstance(nested, dict) else self._config).get("vocab_size")
        return size if isinstance(size, int) else 0

    @property
    def chat_template(self) -> str | None:
        """The model's chat template: a file of its own, or a field of the tokenizer's settings."""
        if (self._folder / "chat_template.jinja").exists():
            return self.text("chat_template.jinja")
        template = self._tokenizer.get("chat_template")
        if isinstance(template, list):  # several by name
            template = next((t["template"] for t in template if t.get("name") == "default"), None)
        return template

    @property
    def special_tokens(self) -> dict[str, str]:
        """Special tokens by the names that chat templates use."""
        found: dict[str, str] = {}
        for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
            value = self._tokenizer.get(name)
            value = value.get("content") if isinstance(value, dict) else value
            found[name] = value if isinstance(value, str) else ""
        return found

    @property
    def longest_context(self) -> int:
        """What the model was trained for."""
        text_config = self._config.get("text_config", self._config)
        return int(text_config.get("max_position_embeddings") or text_config.get("n_positions") or 2048)

    def end_ids(self, codec: TokenCodec, dialect: Dialect) -> tuple[int, ...]:
        """Tokens that end a reply: the dialect's, the generation settings' and the tokenizer's.

        Raises:
            ModelRefused: There is none, so that no reply would ever end.
        """
        names = [*dialect.end_tokens, self.special_tokens["eos_token"]]
        found = [codec.control_id(name) for name in names]
        for settings in (self._json("generation_config.json", optional=True), self._config):
            ids = settings.get("eos_token_id")
            found += ids if isinstance(ids, list) else [ids]
        unique = tuple(dict.fromkeys(token for token in found if isinstance(token, int)))
        if not unique:
            raise ModelRefused(
                f"{self._folder} does not say which token ends a reply",
                hint="Add `eos_token_id` to generation_config.json.",
            )
        return unique

    def _json(self, name: str, *, optional: bool = False) -> dict[str, Any]:
        if optional and not (self._folder / name).exists():
            return {}
        try:
            value = json.loads(self.text(name))
        except ValueError as error:
            raise ModelRefused(
                f"{self._folder / name} is not JSON: {error}", hint="Fetch the model again."
            ) from error
        return value if isinstance(value, dict) else {}


def number_format(name: str) -> torch.dtype:
    """The torch dtype that `auto`, `bfloat16` or `float32` stands for; `auto` asks the processor.

    Raises:
        ConfigurationError: It is no such name.
    """
    import torch

    if name == "auto":
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if fast else torch.float32
    known = {"bfloat16": torch.bfloat16, "float32": torch.float32}
    if name not in known:
        raise ConfigurationError(
            f"{name!r} is no number format for weights", hint="auto, bfloat16 or float32."
        )
    return known[name]
