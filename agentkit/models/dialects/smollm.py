"""SmolLM2: ChatML whose template knows no tools; Hermes tags are written as ordinary text."""

from __future__ import annotations

from typing import Final

from agentkit.models.dialects.hermes import HermesDialect
from agentkit.models.dialects.wording import fill

NAME: Final = "smollm"


def smollm_dialect() -> HermesDialect:
    """The dialect of SmolLM2-Instruct, with the system text of its own template as the default."""
    return HermesDialect(name=NAME, call_tokens=False, default_system=fill("smollm_default_system"))
