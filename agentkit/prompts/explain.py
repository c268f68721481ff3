"""Errors of templates, said with file, line and variable."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import Final

from jinja2 import TemplateNotFound, TemplateSyntaxError
from jinja2.exceptions import SecurityError

from agentkit.errors import PromptError
from agentkit.prompts.sandbox import NameNotFound

_MOST_NAMES: Final = 12


def explained(
    problem: BaseException, place: str, variables: Mapping[str, object], templates: Sequence[str]
) -> PromptError:
    """The error of a template as a PromptError.

    Args:
        problem: What Jinja or the code of the template raised.
        place: The template's file or origin.
        variables: What was given to the template.
        templates: Names of all templates.
    """
    match problem:
        case TemplateSyntaxError():
            where = f"{problem.filename or place}:{problem.lineno}"
            return PromptError(f"{where}: not valid Jinja: {problem.message}", hint="mend the template")
        case TemplateNotFound():
            where = f"{_where(problem, place)}: " if place else ""
            name = str(problem.name).removesuffix(".jinja")
            return PromptError(
                f"{where}there is no prompt `{name}`", hint=_nearest(name, templates, "prompts")
            )
        case NameNotFound():
            return _name_not_found(problem, _where(problem, place), variables)
        case SecurityError():
            return PromptError(
                f"{_where(problem, place)}: not allowed in a template: {problem}",
                hint="templates may read what they are given; anything more belongs into Python",
            )
        case RecursionError():
            return PromptError(
                f"{_where(problem, place)}: the template includes itself without end",
                hint="look for a circle in its {% include %} or {% extends %}",
            )
    return PromptError(
        f"{_where(problem, place)}: cannot be rendered: {type(problem).__name__}: {problem}",
        hint="look at what the template does with the values it is given",
    )


def _name_not_found(problem: NameNotFound, where: str, variables: Mapping[str, object]) -> PromptError:
    name = str(problem.name)
    if problem.owner is None:
        return PromptError(
            f"{where}: the variable `{name}` is not given", hint=_nearest(name, variables, "variables")
        )
    owner = problem.owner
    if isinstance(problem.name, int) and isinstance(owner, Sized):
        return PromptError(
            f"{where}: there is no item {name} in a {type(owner).__name__} of {len(owner)}",
            hint="items are counted from 0; check the length first, for example with `{% if items %}`",
        )
    known = owner if isinstance(owner, Mapping) else [each for each in dir(owner) if not each.startswith("_")]
    return PromptError(
        f"{where}: there is no `{name}` in a value of type {type(owner).__name__}",
        hint=_nearest(name, [str(each) for each in known], "names in it"),
    )


def _nearest(name: str, known: Iterable[str], what: str) -> str:
    names = list(known)
    if near := difflib.get_close_matches(name, names, 1):
        return f"did you mean `{near[0]}`?"
    more = ", …" if len(names) > _MOST_NAMES else ""
    return f"the {what} are: {', '.join(names[:_MOST_NAMES]) or 'none'}{more}"


def _where(problem: BaseException, place: str) -> str:
    """File and line of the innermost template: Jinja puts frames of its own, marked, into the traceback."""
    where = place
    step = problem.__traceback__
    while step is not None:
        if "__jinja_exception__" in step.tb_frame.f_globals:
            where = f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}"
        step = step.tb_next
    return where
