"""The prompt library: templates by name, those of the bot before those that ship with agentkit."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from jinja2 import BaseLoader, Environment, Template, TemplateError, TemplateNotFound

from agentkit.errors import PromptError
from agentkit.messages import Message, assistant, system, user
from agentkit.prompts.explain import explained
from agentkit.prompts.sandbox import MOST_CHARACTERS, PromptEnvironment

_PACKAGE: Final = "agentkit_prompts"
_SUFFIX: Final = ".jinja"
_MOST_CACHED: Final = 500
_TURN: Final = re.compile(r"^=== (system|user|assistant) ===\n", re.MULTILINE)
_MAKE: Final[Mapping[str, Callable[[str], Message]]] = {
    "system": system,
    "user": user,
    "assistant": assistant,
}
# What the code of a template can raise besides Jinja's own errors: wrong types, endless inclusion and so on.
_TEMPLATE_ERRORS: Final = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


class PromptLibrary:
    """Renders prompts. Thread-safe.

    Args:
        override_folders: Folders whose `<name>.jinja` files come before those that ship with agentkit, the
            first one first; they need not exist. A changed file is read again.
    """

    def __init__(self, override_folders: Sequence[Path] = ()) -> None:
        self._loader = _PromptLoader(override_folders)
        self._environment = PromptEnvironment(self._loader)
        self._compiled = lru_cache(_MOST_CACHED)(self._compile)

    def names(self) -> tuple[str, ...]:
        """All names that `render` takes, sorted."""
        return self._loader.names()

    def source(self, name: str) -> str:
        """The text of a template, for reading and for starting an override.

        Raises:
            PromptError: There is no template of this name, or it cannot be read.
        """
        return _read(self._found(name))

    def render(self, name: str, /, **variables: object) -> str:
        """Render the template `<name>.jinja`.

        Args:
            name: One of `names()`.
            variables: What the template may use. They are data: no text in them is read as a template.

        Raises:
            PromptError: No such template, an error in it, or a variable that it needs is missing; names the
                file, the line and the variable.
        """
        place = str(self._found(name))
        try:
            template = self._environment.get_template(name)
        except TemplateError as problem:
            raise explained(problem, place, variables, self.names()) from problem
        return self._rendered(template, place, variables)

    def conversation(self, name: str, /, **variables: object) -> tuple[Message, ...]:
        """The messages of a template that marks each with a line such as `=== user ===` (or system, assistant).

        Args:
            name: One of `names()`.
            variables: As for `render`.

        Raises:
            PromptError: As for `render`.
        """
        _, *rest = _TURN.split(self.render(name, **variables))
        return tuple(_MAKE[role](said.strip()) for role, said in zip(rest[::2], rest[1::2], strict=True))

    def render_file(self, path: Path, /, **variables: object) -> str:
        """Render a template file that is not part of the library, such as a reply of a bot.

        Raises:
            PromptError: As for `render`, or the file cannot be read.
        """
        return self.render_text(_read(path), str(path), **variables)

    def render_text(self, text: str, origin: str, /, **variables: object) -> str:
        """Render a template that stands in another file, such as an answer in `intents.yaml`.

        Args:
            text: The template, written by the author of the bot. Never pass what a user said.
            origin: Where it stands, for messages; lines are counted from the beginning of the text.
            variables: What the template may use.

        Raises:
            PromptError: As for `render`.
        """
        try:
            template = self._compiled(text, origin)
        except TemplateError as problem:
            raise explained(problem, origin, variables, self.names()) from problem
        return self._rendered(template, origin, variables)

    def _compile(self, text: str, origin: str) -> Template:
        code = self._environment.compile(text, filename=origin)
        return Template.from_code(self._environment, code, self._environment.make_globals(None))

    def _rendered(self, template: Template, place: str, variables: dict[str, object]) -> str:
        pieces: list[str] = []
        length = 0
        try:
            for piece in template.generate(variables):
                pieces.append(piece)
                length += len(piece)
                if length > MOST_CHARACTERS:
                    raise PromptError(
                        f"{place}: the text is longer than {MOST_CHARACTERS} characters",
                        hint="shorten what goes into it, for example with `items[:10]` or `| truncate(1000)`",
                    )
        except _TEMPLATE_ERRORS as problem:
            raise explained(problem, place, variables, self.names()) from problem
        return "".join(pieces)

    def _found(self, name: str) -> Traversable:
        file = self._loader.find(name)
        if file is None:
            raise explained(TemplateNotFound(name), "", {}, self.names())
        return file


class _PromptLoader(BaseLoader):
    """Finds a template by name, with or without `.jinja`, in a fixed set of folders: names are no paths."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders: tuple[Traversable, ...] = (*folders, importlib.resources.files(_PACKAGE))

    def names(self) -> tuple[str, ...]:
        files = (file for folder in self._folders if folder.is_dir() for file in folder.iterdir())
        return tuple(
            sorted({file.name.removesuffix(_SUFFIX) for file in files if file.name.endswith(_SUFFIX)})
        )

    def find(self, name: str) -> Traversable | None:
        wanted = name.removesuffix(_SUFFIX) + _SUFFIX
        if "/" in name or "\\" in name:
            return None
        candidates = (folder / wanted for folder in self._folders)
        return next((file for file in candidates if file.is_file()), None)

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        file = self.find(template)
        if file is None:
            raise TemplateNotFound(template)
        text = _read(file)
        return text, str(file), lambda: file.is_file() and _read(file) == text


def _read(file: Traversable) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise PromptError(
            f"{file}: cannot be read: {problem}", hint="a template is a UTF-8 text file that you may read"
        ) from problem
