"""Renders a model's chat template in a process of its own, because a chat template is third-party code.

`ImmutableSandboxedEnvironment` keeps it from reaching Python; the limits of the process keep it from
hanging or from eating the memory. Run as a script: a JSON object on standard input, a JSON object on
standard output.

    in:   {"template": text, "variables": {…}, "conversations": [[{"role", "content"}, …], …], "seconds": n}
    out:  {"rendered": [text or null, …], "errors": [text or null, …]}

It imports nothing of agentkit, so that it starts quickly.
"""

from __future__ import annotations

import json
import re
import sys
import time
from typing import Any, Final

import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

_MOST_CHARACTERS: Final = 200_000
_MOST_BYTES: Final = 1 << 30
_GENERATION_TAG: Final = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")


class TemplateRefused(Exception):
    """The template itself raised: it does not accept this sequence of roles, or it wrote too much."""


def limit_process(seconds: int) -> None:
    """Bound processor time and memory where the system can (not on Windows, where the parent's clock must
    do)."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))


def render(template: str, variables: dict[str, Any], messages: list[dict[str, str]]) -> str:
    """One conversation with the names and filters that chat templates expect (those of transformers)."""

    def raise_exception(message: str) -> None:
        raise TemplateRefused(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: time.strftime(form)
    compiled = environment.from_string(_GENERATION_TAG.sub("", template))
    pieces: list[str] = []
    length = 0
    for piece in compiled.generate(messages=messages, add_generation_prompt=True, **variables):
        pieces.append(piece)
        length += len(piece)
        if length > _MOST_CHARACTERS:
            raise TemplateRefused(f"it writes more than {_MOST_CHARACTERS} characters")
    return "".join(pieces)


def main() -> None:
    """Read the request, render every conversation, write the answer."""
    request = json.load(sys.stdin)
    limit_process(request["seconds"])
    rendered: list[str | None] = []
    errors: list[str | None] = []
    for messages in request["conversations"]:
        try:
            rendered.append(render(request["template"], request["variables"], messages))
            errors.append(None)
        except (
            jinja2.TemplateError,
            TemplateRefused,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            rendered.append(None)
            errors.append(f"{type(error).__name__}: {error}")
        except (MemoryError, RecursionError, AttributeError) as error:
            rendered.append(None)
            errors.append(type(error).__name__)
    json.dump({"rendered": rendered, "errors": errors}, sys.stdout)


if __name__ == "__main__":
    main()
