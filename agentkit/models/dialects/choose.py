"""Which dialect a model speaks: by name where the catalogue says so, else recognised, else plain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agentkit.errors import ConfigurationError
from agentkit.models.dialects.chat_template import learn_wrapping, transcript_wrapping
from agentkit.models.dialects.hermes import HermesDialect
from agentkit.models.dialects.plain import PlainDialect
from agentkit.models.dialects.protocol import Dialect
from agentkit.models.dialects.smollm import smollm_dialect
from agentkit.models.dialects.wording import fill
from agentkit.models.tokens import TokenCodec

DIALECTS: Final = ("hermes", "plain", "smollm")
"""Names that the catalogue may use."""


def choose_dialect(
    name: str | None,
    *,
    codec: TokenCodec,
    chat_template: str | None,
    variables: Mapping[str, str],
    model: str,
) -> Dialect:
    """The dialect of a model.

    Args:
        name: From the catalogue; None to recognise it by its tokens and its chat template.
        codec: The model's tokens.
        chat_template: The model's own chat template, if it has one.
        variables: Special tokens by the names that chat templates use, such as `bos_token`.
        model: Name of the model, for errors.

    Raises:
        ConfigurationError: `name` is no dialect, or the model lacks the tokens that it needs.
        ModelRefused: The chat template cannot be used.
    """
    template = chat_template or ""
    chatml = all(codec.control_id(mark) is not None for mark in ("<|im_start|>", "<|im_end|>"))
    if name is None:
        tagged = chatml and "<tool_call>" in template
        name = "hermes" if tagged else "smollm" if chatml and "SmolLM" in template else "plain"
    if name not in DIALECTS:
        raise ConfigurationError(
            f"{model}: there is no dialect {name!r}", hint=f"Choose one of {', '.join(DIALECTS)}."
        )
    if name == "plain":
        return _plain(codec, template, dict(variables), model)
    if not chatml:
        raise ConfigurationError(
            f"{model}: the dialect {name!r} needs <|im_start|> and <|im_end|>, which the model lacks",
            hint="Leave the dialect open, or choose `plain`.",
        )
    if name == "smollm":
        return smollm_dialect()
    own = fill("qwen_default_system")
    has_tags = codec.control_id("<tool_call>") is not None and codec.control_id("</tool_call>") is not None
    return HermesDialect(call_tokens=has_tags, default_system=own if own in template else "")


def _plain(codec: TokenCodec, template: str, variables: dict[str, str], model: str) -> PlainDialect:
    wrapping = learn_wrapping(template, variables, model=model) if template else transcript_wrapping()
    marks = codec.encode_markup(wrapping.assistant_to_user)
    ends = [codec.decode([token]) for token in marks[:1] if token in codec.control_ids]
    return PlainDialect(wrapping, tuple(ends))
