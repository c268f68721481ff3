"""Expressions and texts of flow files: Jinja, sandboxed, strict about names, bounded in what they make.

Expressions are Jinja's, evaluated in the same sandbox as the texts: an author learns one language, `order.total` means
the same in a condition and in a sentence, and there is one place that has to be safe. What users, models and tools say
is only ever data in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from jinja2 import BaseLoader, Template, TemplateError, TemplateSyntaxError, Undefined, meta, nodes
from jinja2.environment import TemplateExpression
from jinja2.parser import Parser
from pydantic import JsonValue

from agentkit.errors import PromptError
from agentkit.prompts.explain import explained
from agentkit.prompts.sandbox import PromptEnvironment
from agentkit.service.wording import Words

MOST_CHARACTERS: Final = 8_000
"""Most characters of one text that a flow says."""

_MOST_CACHED: Final = 2_000
_ERRORS: Final = (
    TemplateError, ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
_WHOLE: Final = re.compile(r"\s*\{\{(?P<expression>(?:(?!\}\}).)*)\}\}\s*", re.DOTALL)


class _FlowEnvironment(PromptEnvironment):
    """A field of a value comes before a method of Python's dict: `order.items` is what the tool calls `items`.

    Two filters more: `money` (1234.5 is 1,234.50) and `spoken_day` (2026-12-04 is 4 December 2026), in the language of
    the bot.
    """

    def __init__(self, words: Words) -> None:
        super().__init__(BaseLoader())
        self.filters["money"] = words.money
        self.filters["spoken_day"] = words.spoken_day

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


class Expressions:
    """Evaluates expressions and renders texts. Thread-safe.

    Args:
        language: How amounts and days are written.
    """

    def __init__(self, language: str = "en") -> None:
        self._environment = _FlowEnvironment(Words.of(language))
        self._expression = lru_cache(_MOST_CACHED)(self._compile_expression)
        self._template = lru_cache(_MOST_CACHED)(self._compile_text)

    def value(self, expression: str, where: str, variables: Mapping[str, JsonValue]) -> JsonValue:
        """The value of an expression.

        Args:
            expression: Written by the author of a flow; never what a user said.
            where: Where it stands, for messages.
            variables: What it may read.

        Raises:
            PromptError: It is no expression, a name in it has no value, or it cannot be calculated.
        """
        try:
            found = self._expression(expression, where)(dict(variables))
            if isinstance(found, Undefined):
                str(found)  # raises, and names what is missing
            return _plain(found)
        except _ERRORS as problem:
            raise explained(problem, where, variables, ()) from problem

    def text(self, template: str, where: str, variables: Mapping[str, JsonValue]) -> str:
        """A text with its variables put in; see `value` for arguments and errors."""
        pieces: list[str] = []
        length = 0
        try:
            for piece in self._template(template, where).generate(dict(variables)):
                pieces.append(piece)
                length += len(piece)
                if length > MOST_CHARACTERS:
                    raise PromptError(
                        f"{where}: the text is longer than {MOST_CHARACTERS} characters",
                        hint="shorten what goes into it, for example with `items[:10]`",
                    )
        except _ERRORS as problem:
            raise explained(problem, where, variables, ()) from problem
        return "".join(pieces).strip()

    def argument(self, written: JsonValue, where: str, variables: Mapping[str, JsonValue]) -> JsonValue:
        """An argument of a call as the file has it: `"{{ expression }}"` gives its value, a text with expressions in
        it is rendered, anything else stands for itself."""
        if not isinstance(written, str) or "{" not in written:
            return written
        if (expression := expression_of(written)) is not None:
            return self.value(expression, where, variables)
        return self.text(written, where, variables)

    def names(self, text: str, where: str, *, is_expression: bool) -> frozenset[str]:
        """The variables that an expression or a text reads.

        Raises:
            PromptError: It is not valid; names the line.
        """
        try:
            tree = self._tree(text, where) if is_expression else self._environment.parse(text, filename=where)
        except TemplateError as problem:
            raise explained(problem, where, {}, ()) from problem
        return frozenset(meta.find_undeclared_variables(tree))

    def _tree(self, expression: str, where: str) -> nodes.Template:
        parser = Parser(self._environment, expression, filename=where, state="variable")
        found = parser.parse_expression()
        if not parser.stream.eos:
            raise TemplateSyntaxError("something follows the expression", 1, filename=where)
        assignment = nodes.Assign(nodes.Name("result", "store"), found, lineno=1)
        tree = nodes.Template([assignment], lineno=1)
        tree.set_environment(self._environment)
        return tree

    def _compile_expression(self, expression: str, where: str) -> TemplateExpression:
        code = self._environment.compile(self._tree(expression, where), filename=where)
        template = Template.from_code(self._environment, code, self._environment.make_globals(None))
        return TemplateExpression(template, undefined_to_none=False)

    def _compile_text(self, text: str, where: str) -> Template:
        code = self._environment.compile(text, filename=where)
        return Template.from_code(self._environment, code, self._environment.make_globals(None))


def expression_of(written: str) -> str | None:
    """The expression of `"{{ expression }}"`; None for a text that is more, or less, than that."""
    whole = _WHOLE.fullmatch(written)
    return whole["expression"].strip() if whole else None


def _plain(value: Any) -> JsonValue:
    """A value of Jinja as JSON has it: what only generates becomes a list."""
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple) or hasattr(value, "__next__"):
        return [_plain(each) for each in value]
    raise TypeError(f"{type(value).__name__} is no value that a flow can hold")
