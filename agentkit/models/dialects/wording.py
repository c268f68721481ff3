"""The few sentences that a dialect itself has to say: templates beside this module, rendered in a sandbox.

They are part of a model's published format (Qwen's `# Tools` section, for instance), which is why they lie
here and not with the prompts that a bot may override.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment


def fill(template: str, /, **variables: Any) -> str:
    """Render `templates/TEMPLATE.jinja`; a variable that is missing is an error."""
    return _template(template).render(**variables)


@lru_cache(maxsize=32)
def _template(name: str) -> Template:
    source = files("agentkit.models.dialects").joinpath("templates", f"{name}.jinja").read_text("utf-8")
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    return environment.from_string(source)
