"""A generator that writes what a scenario says, where a demo has to be exact."""

from __future__ import annotations

from collections.abc import Sequence

from agentkit.models import Generator
from agentkit.scenarios.format import ScriptedReply
from agentkit.testing import Calls, Chooses, RandomGenerator, Says, ScriptedGenerator, ScriptStep


def scripted(replies: Sequence[ScriptedReply]) -> Generator:
    """A generator that plays these replies in order and fails where they do not fit what is asked."""
    return ScriptedGenerator([_step(reply) for reply in replies])


def random_generator(seed: int) -> Generator:
    """A generator that writes whatever its constraint allows: what holds with it holds with every model."""
    return RandomGenerator(seed)


def _step(reply: ScriptedReply) -> ScriptStep:
    if reply.says is not None:
        return Says(reply.says, expect=reply.after)
    if reply.calls is not None:
        calls = [(name, arguments) for call in reply.calls for name, arguments in call.items()]
        return Calls(calls, expect=reply.after)
    return Chooses(reply.chooses or {}, expect=reply.after)
