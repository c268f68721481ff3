"""Dialects: how model families write roles, tools and tool calls.

`choose_dialect` picks one; `Dialect` says what one does; `encode` turns its segments into token ids.
"""

from agentkit.models.dialects.choose import DIALECTS, choose_dialect
from agentkit.models.dialects.hermes import HermesDialect
from agentkit.models.dialects.plain import PlainDialect
from agentkit.models.dialects.protocol import CallFrame, Dialect, Segment, control, encode, text, written
from agentkit.models.dialects.smollm import smollm_dialect

__all__ = [
    "DIALECTS",
    "CallFrame",
    "Dialect",
    "HermesDialect",
    "PlainDialect",
    "Segment",
    "choose_dialect",
    "control",
    "encode",
    "smollm_dialect",
    "text",
    "written",
]
