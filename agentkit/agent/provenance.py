"""Where the value of an argument comes from: who said it, or which text of unknown origin does.

A value counts as said when a text holds it as whole tokens: `1042` is not in `10425` nor in `A-1042`, `12 Quay
Street` is not in a text that holds the three words apart. Letter case and the width of white space do not matter, and
numbers are compared by value (1,200.00 is 1200).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pydantic import JsonValue

from agentkit.agent.candidates import TrustedText, scalars
from agentkit.tools import Tool

if TYPE_CHECKING:
    from agentkit.agent.gate import Situation

Leaf: TypeAlias = str | int | float | bool
"""A scalar inside an argument."""

_NOTHING: Final = object()
_WORD: Final = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
_NUMBER: Final = re.compile(r"(?<![\w.,])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\w|[.,]\d)")
# What a reader would follow, write or pay to: links, addresses, long numbers of accounts and phones.
_ACTIONABLE: Final = re.compile(
    r"(?:https?://|www\.)[^\s<>\"']+"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|(?<![\w.-])(?:[\w-]+\.)+(?:com|org|net|io|info|biz|co|me|app|dev|xyz|ru|cn|ly)(?:/[^\s<>\"']*)?(?![\w-])"
    r"|(?<!\w)[A-Z]{2}\d{2}[A-Z0-9]{8,30}(?!\w)"
    r"|(?<![\w.])\+?\d(?:[ /-]?\d){7,}(?!\w)"
)
_DIGIT: Final = re.compile(r"\d")  # a single one counts things, more of them name something
_SAID_WORDS: Final = 2
"""So many words of content in a row, said by the user just so, show what the user wants."""
_QUOTED_WORDS: Final = 6
"""So many words in a row from a confidential text are a quotation."""
_SECRET: Final = re.compile(r"(?!\d{4}-\d\d-\d\d)(?=[\w@.+-]*\d)[\w@.+-]{4,}|[\w.+-]+@[\w.-]+")
"""A single token that is a quotation by itself: at least four characters with a digit, or an address."""


@dataclass(frozen=True)
class Source:
    """A text that was read, and where it comes from: `tool:read_mail`, `memory`, `knowledge`."""

    origin: str
    text: str


@dataclass(frozen=True)
class Found:
    """Where a value comes from.

    Args:
        origin: `user`, `tool:NAME`, `handle order#7`, `choice`, `settled`, `content`, or what says it that is not
            trusted.
        invented: No text says it.
        doubtful: Only a text of unknown origin says it.
        said: The value, where it is invented or doubtful.
    """

    origin: str
    invented: bool = False
    doubtful: bool = False
    said: str = ""


def origin_of(tool: Tool, name: str, value: JsonValue, situation: Situation) -> Found:
    """Where the value of one argument comes from; the worst of its parts, if it has parts."""
    if situation.known.get(name, _NOTHING) == value:
        return Found("settled")
    schema = tool.spec.parameters["properties"][name]
    if schema.get("default", _NOTHING) == value:
        return Found("choice")
    is_guarded = name in tool.guarded
    if not is_guarded and tool.effect == "read":
        return Found("content")
    found = [
        _guarded(tool, name, leaf, schema, situation) if is_guarded else _content(leaf, schema, situation)
        for leaf in scalars(value, fields_of(schema) | fields_of(tool.spec.parameters.get("$defs", {})))
    ]
    worst = sorted(found, key=lambda each: (each.invented, each.doubtful))
    return worst[-1] if worst else Found("choice")


def _guarded(tool: Tool, name: str, leaf: Leaf, schema: Mapping[str, Any], situation: Situation) -> Found:
    trusted = situation.trusted
    kind = tool.kind_of(name)
    for handle, value in trusted.vouched.items() if kind else ():
        if handle.startswith(f"{kind}#") and value == leaf:
            return Found(f"handle {handle}")
    if (origin := said_in(leaf, trusted)) is not None:
        return Found(origin)
    if isinstance(leaf, bool) or _is_choice(leaf, schema):
        # The author wrote what there is to choose from. Where the choice is marked, who made it counts.
        is_free = name not in tool.authority or not situation.untrusted
        return Found("choice", doubtful=not is_free, said=str(leaf))
    doubtful = next((source for source in situation.untrusted if holds(source.text, leaf)), None)
    if doubtful is not None:
        return Found(doubtful.origin, doubtful=True, said=str(leaf))
    return Found("nobody", invented=True, said=_invented_words(leaf, trusted))


def _content(leaf: Leaf, schema: Mapping[str, Any], situation: Situation) -> Found:
    """Content may be in the model's own words; names, numbers and what a reader would act on may not."""
    if not isinstance(leaf, str) or _is_choice(leaf, schema) or "format" in schema or "pattern" in schema:
        return Found("content")
    trusted = situation.trusted
    # One word that the user said, too, does not tie a call to what the user wants.
    if len(leaf.split()) >= _SAID_WORDS and (origin := said_in(leaf, trusted)) is not None:
        return Found(origin)
    for match in _ACTIONABLE.finditer(leaf):
        token = match.group(0).rstrip(".,;:!?)")
        if said_in(token, trusted) is None:
            source = next((each for each in situation.untrusted if holds(each.text, token)), None)
            return Found(
                "nobody" if source is None else source.origin,
                invented=source is None,
                doubtful=source is not None,
                said=token,
            )
    read = [trusted.everything(), *(source.text for source in situation.untrusted)]
    spoken = {word for text in read for word in words_of(text)}
    words = _WORD.findall(leaf)
    names = [w for i, w in enumerate(words) if len(_DIGIT.findall(w)) > 1 or (i > 0 and w[0].isupper())]
    unknown = [word for word in names if word.casefold() not in spoken]
    return Found("nobody", invented=True, said=", ".join(unknown)) if unknown else Found("content")


def said_in(leaf: Leaf, trusted: TrustedText) -> str | None:
    """Which trusted text holds a value: `user`, `tool:NAME`, or None."""
    if leaf == "":
        return "choice"
    if holds(trusted.current, leaf):
        return "user"
    origins = trusted.origins or ("trusted text",) * len(trusted.earlier)
    texts = zip(trusted.earlier, origins, strict=True)
    return next((origin for text, origin in texts if holds(text, leaf)), None)


def holds(text: str, leaf: Leaf) -> bool:
    """Whether a text holds a value as whole tokens."""
    if isinstance(leaf, bool):
        return False
    if isinstance(leaf, (int, float)):
        return Decimal(str(leaf)) in numbers_of(text)
    return (
        leaf.strip() != "" and _pattern(" ".join(leaf.casefold().split())).search(text.casefold()) is not None
    )


def choices(schema: Any) -> list[Any]:
    """What the author of a tool lets the model choose from, at any depth of a schema."""
    if isinstance(schema, list):
        return [choice for each in schema for choice in choices(each)]
    if not isinstance(schema, dict):
        return []
    own = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else [])]
    return own + [
        choice
        for key, each in schema.items()
        if key not in ("enum", "const", "default")
        for choice in choices(each)
    ]


def _is_choice(leaf: Leaf, schema: Mapping[str, Any]) -> bool:
    return any(
        choice == leaf and isinstance(choice, bool) == isinstance(leaf, bool) for choice in choices(schema)
    )


def fields_of(schema: Any) -> frozenset[str]:
    """The names of the fields that a schema describes, at any depth."""
    if isinstance(schema, list):
        return frozenset(name for each in schema for name in fields_of(each))
    if not isinstance(schema, dict):
        return frozenset()
    own = frozenset(schema.get("properties", {}))
    return own.union(*(fields_of(each) for each in schema.values()))


def quotation(
    arguments: Mapping[str, JsonValue], confidential: Sequence[Source], said: str
) -> tuple[str, Source] | None:
    """The first argument that quotes a confidential text which the user did not say, and that text."""
    for name, value in arguments.items():
        for leaf in scalars(value):
            for source in confidential:
                if _quotes(str(leaf), source.text, said):
                    return name, source
    return None


def _quotes(text: str, source: str, said: str) -> bool:
    if any(holds(source, token) and not holds(said, token) for token in _SECRET.findall(text)):
        return True
    words = [word.casefold() for word in _WORD.findall(text)]
    runs = {" ".join(words[i : i + _QUOTED_WORDS]) for i in range(len(words) - _QUOTED_WORDS + 1)}
    flat, told = (" ".join(w.casefold() for w in _WORD.findall(each)) for each in (source, said))
    return any(run in flat and run not in told for run in runs)


def listed(sources: Iterable[Source]) -> str:
    """The origins of some texts, for a message."""
    return ", ".join(dict.fromkeys(source.origin for source in sources))


@lru_cache(maxsize=256)
def words_of(text: str) -> frozenset[str]:
    """The words of a text, in lower case."""
    return frozenset(word.casefold() for word in _WORD.findall(text))


@lru_cache(maxsize=256)
def numbers_of(text: str) -> frozenset[Decimal]:
    """The numbers that a text holds as whole tokens."""
    return frozenset(Decimal(match.group(0).replace(",", "")) for match in _NUMBER.finditer(text))


@lru_cache(maxsize=1024)
def _pattern(value: str) -> re.Pattern[str]:
    body = r"\s+".join(re.escape(word) for word in value.split(" "))
    return re.compile(rf"(?<![\w@/-])(?<!\w[.+]){body}(?![\w@/-])(?![.:+]\w)")


def _invented_words(leaf: Leaf, trusted: TrustedText) -> str:
    spoken = words_of(trusted.everything())
    unknown = [word for word in _WORD.findall(str(leaf)) if word.casefold() not in spoken]
    return ", ".join(unknown) if unknown else str(leaf)
