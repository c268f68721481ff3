"""A YAML file as a value of a pydantic model, every mistake reported with file, line and field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from agentkit.errors import BotFileError
from agentkit.yaml_files.explain import describe_error, describe_value
from agentkit.yaml_files.reader import Location, dotted, read_values

ModelT = TypeVar("ModelT", bound=BaseModel)

MAX_BYTES: Final = 16 * 1024 * 1024
"""Largest file that is read, in bytes; 100,000 short examples fit."""

_MAX_ERRORS_SHOWN: Final = 6


@dataclass(frozen=True)
class YamlDocument:
    """What a YAML file says, with the line of each value.

    Args:
        path: The file.
        data: The top-level mapping.
        lines: Line number, counted from one, of every key and list item.
    """

    path: Path
    data: dict[str, JsonValue]
    lines: Mapping[Location, int] = field(repr=False)

    def error(self, message: str, *, at: Location = (), hint: str = "") -> BotFileError:
        """An error about the value at `at`, for checks that go beyond the model; raise what it returns."""
        field_name = dotted(at) or None
        return BotFileError(message, path=self.path, line=self._line(at), field=field_name, hint=hint)

    def validate(self, model: type[ModelT]) -> ModelT:
        """The file as a value of `model`.

        Raises:
            BotFileError: A field is unknown, missing or of the wrong type; names the first one in the file
                (missing fields last), and the message lists the next ones.
        """
        try:
            return model.model_validate_json(json.dumps(self.data), strict=True)
        except ValidationError as error:
            raise self._explain(error, model) from None

    def _explain(self, error: ValidationError, model: type[BaseModel]) -> BotFileError:
        problems = []
        for detail in error.errors(include_url=False):
            at = self._locate(detail["loc"])
            # Missing fields come last: a misspelt key is reported as both unknown and missing.
            order = (detail["type"] == "missing", self._line(at))
            problems.append((order, at, *describe_error(detail, model, at)))
        problems.sort(key=lambda problem: problem[0])
        _, first_at, message, hint = problems[0]
        for (_, line), at, other, _ in problems[1:_MAX_ERRORS_SHOWN]:
            message += f"\n  also line {line}: field `{dotted(at)}`: {other}"
        if len(problems) > _MAX_ERRORS_SHOWN:
            message += f"\n  and {len(problems) - _MAX_ERRORS_SHOWN} more"
        return self.error(message, at=first_at, hint=hint)

    def _line(self, at: Location) -> int:
        """The line of `at`, or of the nearest value around it that has one."""
        known = (at[:length] for length in range(len(at), 0, -1))
        return next((self.lines[place] for place in known if place in self.lines), 1)

    def _locate(self, loc: Location) -> Location:
        """A pydantic location without the names of union members, which are no part of the file."""
        at: Location = ()
        for position, step in enumerate(loc):
            if (*at, step) in self.lines:
                at = (*at, step)
            elif position == len(loc) - 1 and isinstance(step, str) and "[" not in step:
                at = (*at, step)  # a missing field, which has no line of its own
        return at


def load_yaml(path: Path | str, model: type[ModelT], *, max_bytes: int = MAX_BYTES) -> ModelT:
    """Read a YAML file and check it against a closed pydantic model.

    Args:
        path: The file, UTF-8.
        model: What it has to be; unknown keys are errors if its configuration says `extra="forbid"`.
        max_bytes: Largest file that is accepted.

    Raises:
        BotFileError: The file is missing, unreadable, too large, not UTF-8, not YAML, empty, or not what
            `model` describes. Names file, line and field.
    """
    return read_yaml(path, max_bytes=max_bytes).validate(model)


def read_yaml(path: Path | str, *, max_bytes: int = MAX_BYTES) -> YamlDocument:
    """Read a YAML file whose top level is a mapping, keeping line numbers; see `load_yaml` for the arguments.

    Raises:
        BotFileError: As for `load_yaml`, without the checks of a model.
    """
    path = Path(path)
    data, lines = read_values(path, max_bytes)
    if data is None:
        raise BotFileError(
            "the file is empty", path=path, hint="fill it in, or delete it if it is not needed"
        )
    if not isinstance(data, dict):
        raise BotFileError(
            f"a file of settings is made of `key: value` lines, but this is {describe_value(data)}",
            path=path,
            line=1,
            hint="begin each setting with its name and a colon",
        )
    return YamlDocument(path, data, lines)
