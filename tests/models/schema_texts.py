"""Whether the constraint of a schema lets a text through, with a token for every byte."""

from __future__ import annotations

from typing import Any

from agentkit.models.constraints import ConstraintCompiler
from agentkit.models.dialects import HermesDialect
from agentkit.models.protocols import JsonSchema
from agentkit.testing import ByteTokenizer

CODEC = ByteTokenizer(unused=2)


def compiler() -> ConstraintCompiler:
    """Constraints for the byte tokenizer."""
    end = CODEC.control_id("<|im_end|>")
    assert end is not None
    return ConstraintCompiler(CODEC, HermesDialect(), [end])


_COMPILER = compiler()


def writes(schema: Any, text: str) -> bool:
    """Whether the constraint allows `text`, as it stands and to its end."""
    matcher = _COMPILER.matcher(JsonSchema(schema), ())
    for token in CODEC.encode_text(text):
        if matcher.finished or not matcher.mask()[token]:
            return False
        matcher.accept(token)
    return matcher.complete
