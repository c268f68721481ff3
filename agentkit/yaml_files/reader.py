"""Turns the bytes of a YAML file into plain values with a line number for each.

Scalars follow YAML 1.2's core schema, not YAML 1.1: `yes`, `no`, `on`, `12:30` and `2026-01-31` are texts,
as the author of an intent's examples expects; only `true` and `false` are booleans. Keys are always texts.
Anchors, aliases and tags are refused: a file of settings needs none, and they are how small files become huge
values or foreign objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml
from pydantic import JsonValue

from agentkit.errors import BotFileError

Location: TypeAlias = tuple[str | int, ...]
"""Where a value sits in a file: keys and list positions from the top."""

_MAX_DEPTH: Final = 40

# YAML 1.2.2, section 10.3.2 (core schema).
_INT: Final = re.compile(r"[-+]?[0-9]+")
_OCTAL: Final = re.compile(r"0o[0-7]+")
_HEXADECIMAL: Final = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Final[Mapping[str, bool | None]] = (
    dict.fromkeys(("", "~", "null", "Null", "NULL"))
    | dict.fromkeys(("true", "True", "TRUE"), True)
    | dict.fromkeys(("false", "False", "FALSE"), False)
)
_UNPRINTABLE: Final = re.compile(
    "[^\\t\\n\\r\\x20-\\x7e\\x85\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]"
)

_NO_TABS: Final = "indent with spaces: YAML allows no tab character there"
_HINTS: Final[tuple[tuple[str, str], ...]] = (
    ("mapping values are not allowed", 'put a text that contains ": " in quotes'),
    ("quoted scalar", "close the quotation mark, or double it where it is part of the text"),
    ("flow", "close the bracket, or put a text that begins with [ or { in quotes"),
    ("cannot start any token", "put a text that begins with @ ` or % in quotes"),
)
_QUOTE_IT: Final = "write it in quotes to make it a text"


def read_values(path: Path, max_bytes: int) -> tuple[JsonValue, dict[Location, int]]:
    """What a YAML file says, and the line (counted from one) of every key and list item.

    Raises:
        BotFileError: The file is missing, unreadable, larger than `max_bytes`, not UTF-8 or not YAML.
    """
    text = _read_text(path, max_bytes)
    builder = _Builder(path)
    try:
        value = builder.build(_events(text))
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(path, text, error) from None
    return value, builder.lines


def dotted(at: Location) -> str:
    """`intents.greet.examples[2]`, the form in which errors name a field."""
    text = ""
    for step in at:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _read_text(path: Path, max_bytes: int) -> str:
    try:
        if not path.is_file():
            missing = "this is a folder, not a file" if path.is_dir() else "there is no such file"
            raise BotFileError(missing, path=path, hint="check the name and the folder")
        with path.open("rb") as file:
            raw = file.read(max_bytes + 1)
    except OSError as error:
        raise BotFileError(
            f"cannot be read: {error.strerror or error}", path=path, hint="check who may read the file"
        ) from error
    if len(raw) > max_bytes:
        raise BotFileError(
            f"the file is larger than {max_bytes:,} bytes",
            path=path,
            hint="split it or remove what is not needed",
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        is_utf16 = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
        guess = "it looks like UTF-16" if is_utf16 else f"byte 0x{raw[error.start]:02x} does not belong there"
        raise BotFileError(
            f"the file is not UTF-8: {guess}",
            path=path,
            line=None if is_utf16 else line,
            hint="save it again with the encoding UTF-8",
        ) from None
    if bad := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - text.rfind("\n", 0, bad.start())
        raise BotFileError(
            f"column {column} holds the unprintable character U+{ord(bad.group()):04X}",
            path=path,
            line=line,
            hint="delete that character",
        )
    return text


def _events(text: str) -> Iterator[Any]:
    """YAML events from libyaml where PyYAML was built with it, else from its Python parser."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        while (event := loader.get_event()) is not None:
            yield event
    finally:
        loader.dispose()


class _Builder:
    """Builds plain values from YAML events.

    Events, because composing nodes recurses: a file of 100,000 opening brackets would overflow the C stack of
    libyaml's wrapper, whereas here it stops at the depth limit.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Location, int] = {}
        self._open: list[tuple[Location, dict[str, JsonValue] | list[JsonValue]]] = []
        self._key: list[str | None] = []
        self._top: JsonValue = None
        self._documents = 0

    def build(self, events: Iterator[Any]) -> JsonValue:
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    raise self._refuse(event, "a second document begins here", "remove the line with ---")
            elif isinstance(event, yaml.AliasEvent):
                raise self._refuse(
                    event, "aliases (`*name`) are not supported", "repeat the text, or quote it"
                )
            elif isinstance(event, yaml.NodeEvent):
                self._node(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._open.pop()
                self._key.pop()
        return self._top

    def _node(self, event: Any) -> None:
        if event.anchor is not None:
            raise self._refuse(
                event, "anchors (`&name`) are not supported", "put a text that begins with & in quotes"
            )
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            raise self._refuse(
                event, f"the tag `{event.tag}` is not supported", "remove it, or quote the text"
            )
        expects_key = bool(self._open) and isinstance(self._open[-1][1], dict) and self._key[-1] is None
        if not isinstance(event, yaml.ScalarEvent):
            if expects_key:
                raise self._refuse(
                    event, "a key has to be a text", "put a key that begins with [ or { in quotes"
                )
            if len(self._open) >= _MAX_DEPTH:
                raise self._refuse(event, f"nested more than {_MAX_DEPTH} levels deep", "flatten the file")
            collection: dict[str, JsonValue] | list[JsonValue] = (
                {} if isinstance(event, yaml.MappingStartEvent) else []
            )
            location = self._place(event, collection)
            self._open.append((location, collection))
            self._key.append(None)
        elif expects_key:
            self._start_key(event)
        else:
            # event.implicit[0]: a plain scalar without quotes, whose kind depends on its form
            plain = event.implicit[0] and event.tag is None
            self._place(event, self._scalar(event) if plain else event.value)

    def _start_key(self, event: Any) -> None:
        location, mapping = self._open[-1]
        key = str(event.value)
        if key in mapping:
            before = self.lines[(*location, key)]
            raise self._refuse(
                event, f"`{key}` is given twice (before on line {before})", "keep one", (*location, key)
            )
        self.lines[(*location, key)] = event.start_mark.line + 1
        self._key[-1] = key

    def _place(self, event: Any, value: JsonValue) -> Location:
        """Put a value where the file has it; its location."""
        if not self._open:
            self._top = value
            return ()
        location, collection = self._open[-1]
        if isinstance(collection, list):
            place: Location = (*location, len(collection))
            collection.append(value)
            self.lines[place] = event.start_mark.line + 1
            return place
        key = self._key[-1]
        assert key is not None
        collection[key] = value
        self._key[-1] = None
        return (*location, key)

    def _scalar(self, event: Any) -> JsonValue:
        text = str(event.value)
        if text in _WORDS:
            return _WORDS[text]
        try:
            if _INT.fullmatch(text):
                return int(text)
            if _OCTAL.fullmatch(text):
                return int(text[2:], 8)
            if _HEXADECIMAL.fullmatch(text):
                return int(text[2:], 16)
        except ValueError:  # Python refuses to read more than 4,300 digits
            raise self._refuse(event, "a number with too many digits", _QUOTE_IT) from None
        return float(text) if _FLOAT.fullmatch(text) else text

    def _refuse(self, event: Any, message: str, hint: str, at: Location | None = None) -> BotFileError:
        where = dotted(self._open[-1][0] if at is None and self._open else at or ())
        line = event.start_mark.line + 1
        return BotFileError(message, path=self.path, line=line, field=where or None, hint=hint)


def _syntax_error(path: Path, text: str, error: yaml.MarkedYAMLError) -> BotFileError:
    mark = error.problem_mark or error.context_mark
    problem = str(error.problem or error.context or "not YAML")
    said = f"{problem} {error.context or ''}"
    hint = next(
        (advice for sign, advice in _HINTS if sign in said), "compare the indentation with the lines above"
    )
    if mark is None:
        return BotFileError(f"not YAML: {problem}", path=path, hint=hint)
    began = error.context_mark
    since = (
        f" ({error.context} that began on line {began.line + 1})" if began and began.line != mark.line else ""
    )
    if "cannot start any token" in problem and _char_at(text, mark) == "\t":
        hint = _NO_TABS
    return BotFileError(
        f"not YAML at column {mark.column + 1}: {problem}{since}", path=path, line=mark.line + 1, hint=hint
    )


def _char_at(text: str, mark: Any) -> str:
    lines = text.split("\n")
    return lines[mark.line][mark.column : mark.column + 1] if mark.line < len(lines) else ""
