"""A bot's `intents.yaml`: what users may want, what answers each wish, and examples of how it is said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from agentkit.errors import ConfigurationError
from agentkit.messages import Value
from agentkit.yaml_files import Location, YamlDocument, read_yaml

AnsweredBy: TypeAlias = Literal["tools", "answer", "knowledge", "hand_off", "generator"]
"""What answers an intent; `generator` where the file binds nothing."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_SPACE: Final = re.compile(r"\s+")


@dataclass(frozen=True)
class IntentExample:
    """One message and what it wants.

    Args:
        text: The message as a user would write it.
        intent: Name of the intent; None for a message that is out of scope.
    """

    text: str
    intent: str | None


class Binding(Value):
    """What an intent means and what answers it; at most one of the four ways is set.

    Args:
        description: One sentence for people and prompts.
        tools: Tools that answer it, in order of preference.
        answer: A stored answer (Jinja text).
        knowledge: Answer from the knowledge.
        documents: The only documents to answer from; empty means all.
        hand_off: Hand the conversation to a person.
    """

    description: str = ""
    tools: tuple[str, ...] = ()
    answer: str | None = None
    knowledge: bool = False
    documents: tuple[str, ...] = ()
    hand_off: bool = False

    @property
    def answered_by(self) -> AnsweredBy:
        """Which of the ways is set."""
        ways = self.ways()
        return ways[0] if ways else "generator"

    def ways(self) -> list[AnsweredBy]:
        """All ways that are set; a checked file has one or none."""
        ways: list[tuple[AnsweredBy, bool]] = [
            ("tools", bool(self.tools)),
            ("answer", self.answer is not None),
            ("knowledge", self.knowledge),
            ("hand_off", self.hand_off),
        ]
        return [way for way, is_set in ways if is_set]


@dataclass(frozen=True)
class IntentFile:
    """A checked `intents.yaml`.

    Args:
        examples: All examples in the order of the file, those out of scope last.
        bindings: What answers each intent, by name, in the order of the file.
        document: The file with its line numbers, for errors about what a binding names.
    """

    examples: tuple[IntentExample, ...]
    bindings: Mapping[str, Binding]
    document: YamlDocument = field(repr=False, compare=False)


class _IntentEntry(Binding):
    examples: tuple[str, ...]


class _Layout(BaseModel):
    model_config = ConfigDict(extra="forbid")

    intents: dict[str, _IntentEntry]
    out_of_scope: tuple[str, ...] = Field(default=())


def load_examples(path: Path | str) -> IntentFile:
    """Read and check an `intents.yaml`.

    An example that is given twice for one intent counts once; letter case and spacing make no difference.

    Raises:
        BotFileError: The file is missing, broken or contradicts itself (one example under two intents, names
            that differ in case only, no examples, two ways to answer one intent); names the line.
    """
    document = read_yaml(path)
    layout = document.validate(_Layout)
    if not layout.intents:
        raise document.error("no intent is given", at=("intents",), hint="add one with its examples")
    _check_names(document, layout)
    for name, entry in layout.intents.items():
        _check_binding(document, name, entry)
    fields = set(Binding.model_fields)
    bindings = {name: Binding(**entry.model_dump(include=fields)) for name, entry in layout.intents.items()}
    return IntentFile(tuple(_collect(document, layout)), bindings, document)


def normalised(text: str) -> str:
    """A text without what makes no difference between two examples: letter case and spacing."""
    return _SPACE.sub(" ", text).strip().casefold()


def clashing_names(names: Iterable[str]) -> tuple[str, str] | None:
    """The first two names that differ in letter case only."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            return other, name
    return None


def check_labels(examples: Sequence[IntentExample]) -> None:
    """Refuse labels that can only be a mistake, for examples that come from elsewhere than `intents.yaml`.

    Raises:
        ConfigurationError: A label is blank, or two differ in letter case only.
    """
    names = list(dict.fromkeys(example.intent for example in examples if example.intent is not None))
    if any(not name.strip() for name in names):
        raise ConfigurationError("an intent has a blank name", hint="use None for what is out of scope")
    if clash := clashing_names(names):
        raise ConfigurationError(
            f"the intents `{clash[0]}` and `{clash[1]}` differ in letter case only", hint="use one spelling"
        )


def _check_names(document: YamlDocument, layout: _Layout) -> None:
    for name in layout.intents:
        if not _NAME.fullmatch(name):
            raise document.error(
                f"`{name}` cannot be the name of an intent",
                at=("intents", name),
                hint="begin with a letter; use letters, digits, `_`, `-` and `.`, 64 at most",
            )
    if clash := clashing_names(layout.intents):
        raise document.error(
            f"differs from `{clash[0]}` in letter case only",
            at=("intents", clash[1]),
            hint="merge the two or rename one",
        )


def _check_binding(document: YamlDocument, name: str, entry: _IntentEntry) -> None:
    at: Location = ("intents", name)
    ways = entry.ways()
    if len(ways) > 1:
        raise document.error(
            f"two ways to answer one intent: {' and '.join(f'`{way}`' for way in ways)}",
            at=(*at, ways[1]),
            hint="keep one of them",
        )
    if entry.documents and not entry.knowledge:
        raise document.error(
            "`documents` only serves with `knowledge: true`",
            at=(*at, "documents"),
            hint="add `knowledge: true`",
        )
    if entry.answer is not None and not entry.answer.strip():
        raise document.error("the answer is empty", at=(*at, "answer"), hint="write it or remove the line")
    if not entry.examples:
        raise document.error(
            "an intent needs examples", at=(*at, "examples"), hint="write ten or more ways to say it"
        )


def _collect(document: YamlDocument, layout: _Layout) -> Iterator[IntentExample]:
    """The examples of the file, each once."""
    groups: list[tuple[str | None, Location, tuple[str, ...]]] = [
        (name, ("intents", name, "examples"), entry.examples) for name, entry in layout.intents.items()
    ]
    groups.append((None, ("out_of_scope",), layout.out_of_scope))
    seen: dict[str, tuple[str | None, Location]] = {}
    for intent, location, texts in groups:
        for position, text in enumerate(texts):
            at: Location = (*location, position)
            key = normalised(text)
            if not key:
                raise document.error("an example is empty", at=at, hint="write it or remove the line")
            if key not in seen:
                seen[key] = intent, at
                yield IntentExample(text.strip(), intent)
            elif seen[key][0] != intent:
                other, place = seen[key]
                where = f"`{other}`" if other else "`out_of_scope`"
                raise document.error(
                    f'"{text}" is also an example of {where} (line {document.lines[place]})',
                    at=at,
                    hint="keep it where it belongs",
                )
