"""Why llguidance refuses a constraint, told with the place in the schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from agentkit.errors import ConstraintUnsupported

if TYPE_CHECKING:
    from llguidance import LLTokenizer

_FEATURES: Final = (
    (r"Unknown format: ([\w-]+)", r"format \1"),
    (r"patternProperty", "patternProperties"),
    (r"[Uu]nsatisfiable", "unsatisfiable"),
    (r"regex|look-?around", "pattern"),
    (r"\$ref|^Resource |^Pointer |^Anchor |URI reference|circular ref", "$ref"),
    (r"min/maxProperties", "minProperties or maxProperties"),
    (r"Expected .* for '(\w+)'", r"\1"),
    (r"\b(oneOf|multipleOf|type|properties|required|enum|const)\b", r"\1"),
    (r"too (?:big|large|many|complex)|limit", "size"),
)
"""How llguidance's reasons for refusing a grammar name what it refuses."""
_DEFINITIONS: Final = ("$defs", "definitions")


def refusal(
    problems: Sequence[str], schemas: Sequence[tuple[str, dict[str, Any]]], tokenizer: LLTokenizer
) -> ConstraintUnsupported:
    """The error that tells what cannot be enforced, and where.

    Args:
        problems: llguidance's reasons for refusing the whole.
        schemas: The schemas of the constraint with what to call them, for example `tool find_order`.
        tokenizer: What the grammar was for.
    """
    for where, schema in schemas:
        if reason := _reason(schema, tokenizer):
            place, reason = _innermost(where, schema, reason, tokenizer)
            message = f"{place}: cannot be enforced: {reason}"
            break
    else:
        reason = problems[0]
        message = f"the constraint cannot be enforced: {'; '.join(problems)}"
    contradicts = "nsatisfiable" in reason
    return ConstraintUnsupported(
        message,
        feature=_feature(reason),
        hint="No value can satisfy this: change the bounds that contradict each other."
        if contradicts
        else "Write it in features that can be followed token by token, and check the rest later.",
    )


def _innermost(where: str, schema: dict[str, Any], reason: str, tokenizer: LLTokenizer) -> tuple[str, str]:
    """The smallest part that is refused by itself, and why."""
    definitions: dict[str, Any] = {key: schema[key] for key in _DEFINITIONS if key in schema}
    here: Mapping[str, Any] = schema
    while True:
        for step, child in _parts(here):
            if child_reason := _reason({**definitions, **child}, tokenizer):
                where, here, reason = f"{where} › {step}", child, child_reason
                break
        else:
            return where, reason


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key in ("properties", "patternProperties"):
        children = schema.get(key)
        for name, child in children.items() if isinstance(children, Mapping) else ():
            if isinstance(child, Mapping):
                yield f"{key} › {name}", child
    for key in ("items", "additionalProperties"):
        if isinstance(child := schema.get(key), Mapping):
            yield key, child
    for key in ("prefixItems", "allOf", "anyOf", "oneOf"):
        children = schema.get(key)
        for index, child in enumerate(children if isinstance(children, list) else ()):
            if isinstance(child, Mapping):
                yield f"{key} › {index}", child


def _reason(schema: Mapping[str, Any], tokenizer: LLTokenizer) -> str:
    """Why this schema alone is refused, in one line; empty if it is not."""
    from llguidance import LLMatcher

    grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema, ensure_ascii=False))
    _failed, problems = LLMatcher.validate_grammar_with_warnings(grammar, tokenizer)
    return str(problems[0]).splitlines()[0] if problems else ""


def _feature(problem: str) -> str:
    for pattern, name in _FEATURES:
        if found := re.search(pattern, problem):
            return found.expand(name)
    return problem.splitlines()[0][:60]
