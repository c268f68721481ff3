"""Measuring the constraint: what it makes of schemas with instances of which is known whether they fit.

A row of the file:

    {"id", "schema", "instances": [{"data", "valid"}]}

No weights are needed: an instance is written as the constraint writes JSON (one space after commas and colons, no
escapes but those of JSON's own short ones), encoded, and put through the matcher token by token. It is accepted if the
mask allows every token and the text is then complete.

A constraint settles the order of properties, mostly that of `properties`; an instance means the same in any order. So
an instance counts as accepted if there is an order in which it can be written; an invalid one is rejected only if
there is none. Numbers stay as they are: 1.0 is not written as 1.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentkit.errors import BotFileError, ConstraintUnsupported
from agentkit.models.codec_loading import load_codec_file
from agentkit.models.constraints import ConstraintCompiler, TokenMatcher
from agentkit.models.dialects import choose_dialect
from agentkit.models.model_settings import ModelSettings
from agentkit.models.progress import Progress
from agentkit.models.protocols import JsonSchema
from agentkit.models.resolve import resolve
from agentkit.models.tokens import TokenCodec

_MOST_TRIES: Final = 400
"""Beginnings of an instance that are tried in search of an order of its properties."""
_MOST_PARTS: Final = 150
"""Properties and items of an instance whose order is searched for; a larger one is tried as it is."""
_MOST_FAILURES: Final = 20
_SHOWN: Final = 160


class _Instance(BaseModel):
    model_config = ConfigDict(extra="ignore")
    data: Any
    valid: bool


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore")
    id: str
    document: Any = Field(alias="schema")
    instances: list[_Instance]


@dataclass(frozen=True)
class SchemaRow:
    """A schema and what fits it.

    Args:
        id: Identifies it.
        schema: A JSON Schema.
        instances: JSON values, each with whether it fits.
    """

    id: str
    schema: Any
    instances: tuple[tuple[Any, bool], ...]


@dataclass(frozen=True)
class SchemaFailure:
    """An instance on which the constraint was wrong.

    Args:
        id: The row's.
        instance: Which of the row's instances, from 0.
        valid: Whether it fits; the constraint said the opposite.
        after: The text up to which it could be written.
        reason: What the constraint said, where it gave up.
    """

    id: str
    instance: int
    valid: bool
    after: str
    reason: str = ""


@dataclass
class SchemaScores:
    """How the constraint fared. Instances of refused schemas count nowhere.

    Args:
        schemas: How many there were.
        refused: How many of them cannot be enforced.
        refused_by_feature: How many for what reason: a keyword, `format x`, `unsatisfiable`.
        valid: Instances that fit.
        valid_accepted: How many of them can be written.
        invalid: Instances that do not fit.
        invalid_accepted: How many of them can be written all the same.
        failures: The first instances on which it was wrong.
        mask_milliseconds: How long each mask took.
        mask_processor_milliseconds: The same, without the time in which other programs had the processor.
        compile_milliseconds: How long each schema took until its first token could be chosen.
    """

    schemas: int = 0
    refused: int = 0
    refused_by_feature: Counter[str] = field(default_factory=Counter)
    valid: int = 0
    valid_accepted: int = 0
    invalid: int = 0
    invalid_accepted: int = 0
    failures: list[SchemaFailure] = field(default_factory=list)
    mask_milliseconds: list[float] = field(default_factory=list)
    mask_processor_milliseconds: list[float] = field(default_factory=list)
    compile_milliseconds: list[float] = field(default_factory=list)

    def to_json(self) -> str:
        """All of it as one line; times as their median and the 99th of 100."""
        return json.dumps(
            {
                "schemas": self.schemas,
                "refused": self.refused,
                "refused_by_feature": dict(self.refused_by_feature.most_common()),
                "valid": self.valid,
                "valid_accepted": self.valid_accepted,
                "invalid": self.invalid,
                "invalid_accepted": self.invalid_accepted,
                "mask_ms": percentiles(self.mask_milliseconds),
                "mask_cpu_ms": percentiles(self.mask_processor_milliseconds),
                "compile_ms": percentiles(self.compile_milliseconds),
                "failures": [vars(failure) for failure in self.failures],
            }
        )


def percentiles(times: Sequence[float]) -> dict[str, float]:
    """The median and the time that 99 of 100 stay below; 0 where there are none.

    Args:
        times: In any unit.
    """
    if not times:
        return {"p50": 0.0, "p99": 0.0}
    middle, high = numpy.percentile(times, [50, 99])
    return {"p50": round(float(middle), 4), "p99": round(float(high), 4)}


def read_schema_rows(path: Path) -> list[SchemaRow]:
    """The rows of a JSON Lines file.

    Args:
        path: The file.

    Raises:
        BotFileError: The file cannot be read, holds no row, or a line is none; it names file, line and field.
    """
    hint = 'A row is {"id", "schema", "instances": [{"data", "valid"}]}.'
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BotFileError(f"cannot be read: {error}", path=path, hint="Name a JSON Lines file.") from error
    rows: list[SchemaRow] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            # Not pydantic's own reader: it refuses lone surrogates, which an instance may hold.
            row = _Row.model_validate(json.loads(line))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise BotFileError(
                first["msg"], path=path, line=number, field=place or None, hint=hint
            ) from error
        except (ValueError, RecursionError) as error:
            raise BotFileError(f"is no JSON: {error}", path=path, line=number, hint=hint) from error
        instances = tuple((instance.data, instance.valid) for instance in row.instances)
        rows.append(SchemaRow(row.id, row.document, instances))
    if not rows:
        raise BotFileError("holds no schema", path=path, hint=hint)
    return rows


def load_compiler(reference: str, progress: Progress | None = None) -> tuple[ConstraintCompiler, TokenCodec]:
    """The constraints of a model, from its tokenizer alone.

    Args:
        reference: A name of the catalogue, a folder, or a Hugging Face id.
        progress: Told what is fetched.

    Raises:
        ModelNotFound: The reference names no model.
        ModelRefused: The folder has no tokenizer that can be read.
    """
    folder = resolve(reference, progress)
    settings = ModelSettings(folder.path)
    codec = load_codec_file(folder.path / "tokenizer.json", size=settings.vocabulary)
    dialect = choose_dialect(
        folder.dialect,
        codec=codec,
        chat_template=settings.chat_template,
        variables=settings.special_tokens,
        model=folder.name,
    )
    return ConstraintCompiler(codec, dialect, settings.end_ids(codec, dialect)), codec


def evaluate_schemas(
    rows: Iterable[SchemaRow],
    compiler: ConstraintCompiler,
    codec: TokenCodec,
    *,
    on_row: Callable[[], None] = lambda: None,
) -> SchemaScores:
    """Put the instances of every row through the constraint of its schema.

    Args:
        rows: Schemas with their instances.
        compiler: Makes the constraints.
        codec: The tokens that `compiler` was made with.
        on_row: Called after each row.
    """
    scores = SchemaScores()
    for row in rows:
        scores.schemas += 1
        constraint = JsonSchema(row.schema)
        started = time.perf_counter()
        try:
            compiler.matcher(constraint, ()).mask()
        except ConstraintUnsupported as error:
            scores.refused += 1
            scores.refused_by_feature[error.feature or "other"] += 1
        else:
            scores.compile_milliseconds.append(1e3 * (time.perf_counter() - started))
            _instances(row, _Writer(compiler, codec, constraint, scores), scores)
        on_row()
    return scores


def _instances(row: SchemaRow, writer: _Writer, scores: SchemaScores) -> None:
    for number, (value, valid) in enumerate(row.instances):
        accepted = writer.accepts(value)
        if valid:
            scores.valid += 1
            scores.valid_accepted += accepted
        else:
            scores.invalid += 1
            scores.invalid_accepted += accepted
        if accepted != valid and len(scores.failures) < _MOST_FAILURES:
            failure = SchemaFailure(row.id, number, valid, writer.after[-_SHOWN:], writer.reason)
            scores.failures.append(failure)


class _Writer:
    """Writes instances under one constraint.

    Args:
        compiler: Makes matchers.
        codec: The model's tokens.
        constraint: The schema.
        scores: Gets the times of masks.
    """

    def __init__(
        self, compiler: ConstraintCompiler, codec: TokenCodec, constraint: JsonSchema, scores: SchemaScores
    ) -> None:
        self._fresh: Callable[[], TokenMatcher] = lambda: compiler.matcher(constraint, ())
        self._codec = codec
        self._scores = scores
        self._tries = 0
        self.after = ""
        self.reason = ""

    def accepts(self, value: Any) -> bool:
        """Whether the value can be written, in its own order or in another; else `after` and `reason` say how far
        it came."""
        own = json.dumps(value, ensure_ascii=False)
        if self._accepts_text(own):
            return True
        after, reason = self.after, self.reason
        if _parts(value) <= _MOST_PARTS:
            begun = self._fresh()
            for most in (1, None):
                self._tries = _MOST_TRIES
                orders = _Orders(lambda beginning: self._may_begin(begun, beginning), most)
                for text in orders.of(value, ""):
                    if text != own and self._accepts_text(text):
                        return True
        self.after, self.reason = after, reason
        return False

    def _may_begin(self, matcher: TokenMatcher, beginning: str) -> bool:
        self._tries -= 1
        if self._tries < 0 or not _is_text(beginning):
            return False
        tokens = self._codec.encode_text(beginning)
        return matcher.agreeing(tokens) == len(tokens)

    def _accepts_text(self, text: str) -> bool:
        self.after, self.reason = "", ""
        if not _is_text(text):
            self.reason = "a lone surrogate cannot be written"
            return False
        tokens = self._codec.encode_text(text)
        matcher = self._fresh()
        try:
            for number, token in enumerate(tokens):
                if matcher.finished or not self._mask(matcher)[token]:
                    self.after = self._codec.decode(tokens[:number])
                    return False
                matcher.accept(token)
            self.after = text
            return matcher.complete
        except ConstraintUnsupported as error:
            self.reason = error.message
            return False

    def _mask(self, matcher: TokenMatcher) -> Any:
        processor = time.thread_time_ns()
        started = time.perf_counter_ns()
        mask = matcher.mask()
        self._scores.mask_milliseconds.append((time.perf_counter_ns() - started) / 1e6)
        self._scores.mask_processor_milliseconds.append((time.thread_time_ns() - processor) / 1e6)
        return mask


def _is_text(text: str) -> bool:
    # `encode_text` would replace a lone surrogate, and another text would be judged.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _parts(value: Any) -> int:
    if isinstance(value, dict):
        return sum(1 + _parts(child) for child in value.values())
    if isinstance(value, list):
        return sum(1 + _parts(child) for child in value)
    return 0


class _Orders:
    """The texts of a value with its properties in every order that may be begun.

    Args:
        may_begin: Whether a text that begins like this can be written.
        most: How many orders of what is inside of a property or an item are tried; None: all. With one, the orders
            of the properties around it get their turn sooner.
    """

    def __init__(self, may_begin: Callable[[str], bool], most: int | None) -> None:
        self._may_begin = may_begin
        self._most = most

    def of(self, value: Any, before: str) -> Iterator[str]:
        """`before` and each text of the value."""
        if isinstance(value, dict) and value:
            yield from self._members(list(value.items()), before + "{")
        elif isinstance(value, list) and value:
            yield from self._items(value, before + "[")
        else:
            yield before + json.dumps(value, ensure_ascii=False)

    def _members(self, rest: list[tuple[str, Any]], before: str) -> Iterator[str]:
        for index, (name, child) in enumerate(rest):
            beginning = f"{before}{json.dumps(name, ensure_ascii=False)}: "
            if not self._may_begin(beginning):
                continue
            others = rest[:index] + rest[index + 1 :]
            for text in islice(self.of(child, beginning), self._most):
                if others:
                    yield from self._members(others, text + ", ")
                else:
                    yield text + "}"

    def _items(self, rest: list[Any], before: str) -> Iterator[str]:
        for text in islice(self.of(rest[0], before), self._most):
            if len(rest) > 1:
                yield from self._items(rest[1:], text + ", ")
            else:
                yield text + "]"
