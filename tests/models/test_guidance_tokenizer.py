from __future__ import annotations

import json
import math

from llguidance import LLMatcher

from agentkit.models.guidance_tokenizer import GuidanceTokenizer
from agentkit.models.tokenizer_file import TokenizerCodec
from tests.models.small_tokenizers import byte_level_json

CODEC = TokenizerCodec(byte_level_json())
ANSWER = '{"city": "Köln, where is my order", "note": "é 日本語"}'
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 24}, "note": {"type": "string"}},
    "required": ["city", "note"],
    "additionalProperties": False,
    "x-guidance": {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "},
}


def masks(guidance: GuidanceTokenizer) -> list[bytes]:
    """The mask before each token of the answer."""
    matcher = LLMatcher(
        guidance.tokenizer, LLMatcher.grammar_from_json_schema(json.dumps(SCHEMA)), log_level=0
    )
    found = []
    for token in CODEC.encode_text(ANSWER):
        found.append(matcher.compute_bitmask())
        assert matcher.consume_token(token), matcher.get_error()
    assert matcher.is_accepting()
    return found


def guidance(patience: float) -> GuidanceTokenizer:
    end = CODEC.control_id("<|im_end|>")
    assert end is not None
    return GuidanceTokenizer(CODEC, [end], patience=patience)


def test_prepared_masks_are_the_same() -> None:
    tokenizer = guidance(patience=0.0)
    before = masks(tokenizer)
    assert tokenizer.prepare_if_due()
    assert masks(tokenizer) == before


def test_masks_are_prepared_once_and_only_when_that_pays() -> None:
    tokenizer = guidance(patience=1.0)
    tokenizer.spend(0.75)
    assert not tokenizer.prepare_if_due()
    tokenizer.spend(0.5)
    assert tokenizer.prepare_if_due()
    assert not tokenizer.prepare_if_due()
    assert not guidance(patience=math.inf).prepare_if_due()
