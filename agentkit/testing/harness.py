"""For authors of tools: call one as a model would, check what it promises, talk to a bot that has it."""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import JsonValue

from agentkit.messages import ToolCall, ToolResult, text_of
from agentkit.testing.clock import FixedClock
from agentkit.testing.effects import Effects, watched
from agentkit.testing.encoder import HashingEncoder
from agentkit.testing.scripted_generator import ScriptedGenerator, ScriptStep

if TYPE_CHECKING:
    from agentkit.agent import Reply
    from agentkit.tools import Tool, Toolset

# Of all harnesses together: what two tools have written down must not look like one call that is repeated.
_CALL_IDS: Final = map("call-{}".format, itertools.count(1))


class ToolHarness:
    """Calls one tool the way the agent does: raw arguments, checked, with a time limit, never raising.

    Args:
        tool: The tool.
        user: Who is signed in.
        services: What the agent lends to tools, by name.
        profile: What the application knows about the user.
        now: The clock.
    """

    def __init__(
        self,
        tool: Tool,
        *,
        user: str = "tester",
        services: Mapping[str, object] | None = None,
        profile: Mapping[str, JsonValue] | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        from agentkit.tools import ToolContext

        self._tool = tool
        self._context = ToolContext(
            user_id=user,
            tenant="default",
            conversation_id="test",
            turn_id="test",
            now=now or FixedClock(),
            services=dict(services or {}),
            profile=dict(profile or {}),
        )

    def call(self, arguments: Mapping[str, Any] | None = None) -> ToolResult:
        """Call the tool with arguments as a model writes them, right or wrong; see `run_call`."""
        return self._run(next(_CALL_IDS), arguments)

    def check_schema(self) -> None:
        """Check that a model can be held to the schema, that it says what each argument is, and that defaults fit.

        Raises:
            AssertionError: It does not; says what is missing.
        """
        from agentkit.errors import ConstraintUnsupported
        from agentkit.models.schema_check import violations
        from agentkit.models.schema_support import enforceable

        schema = self._tool.spec.parameters
        try:
            enforceable(schema, where=f"tool {self._tool.name}")
        except ConstraintUnsupported as problem:
            raise AssertionError(f"no model can be held to the schema: {problem}") from problem
        for name, own in schema["properties"].items():
            assert own.get("description"), (
                f"nothing says what the argument `{name}` is: describe it in the docstring"
            )
            if "default" in own:
                problems = list(violations(own["default"], own, root=schema))
                assert not problems, f"the default of `{name}` does not fit its own schema: {problems[0]}"

    def check_effect(
        self, arguments: Mapping[str, Any] | None = None, *, connects: bool = False
    ) -> ToolResult:
        """Call the tool, which must succeed, and check that it does no more than it declares.

        A tool with the effect `read` changes no file or database, starts no process, and makes no connection. An
        idempotent one says the same when its call is repeated with the same id. See `agentkit.testing.effects`
        for what is not seen.

        Args:
            arguments: As a model writes them.
            connects: It may connect to something although it only looks, as one that asks a web service does.

        Raises:
            AssertionError: It fails, or does more than it declares.
        """
        call_id = next(_CALL_IDS)
        with watched() as effects:
            result = self._run(call_id, arguments)
        assert result.status == "ok", f"the call ended with {result.status}: {text_of(result)}"
        seen = _beyond(self._tool.effect, effects, connects)
        assert not seen, f"{self._tool.name} is declared as `{self._tool.effect}`, but it {'; '.join(seen)}"
        if self._tool.idempotent:
            again = self._run(call_id, arguments)
            assert again == result, (
                f"{self._tool.name} is declared idempotent, but repeated it says {text_of(again)!r} "
                f"instead of {text_of(result)!r}"
            )
        return result

    def _run(self, call_id: str, arguments: Mapping[str, Any] | None) -> ToolResult:
        from agentkit.tools import run_call

        call = ToolCall(id=call_id, name=self._tool.name, arguments=dict(arguments or {}))
        context = replace(self._context, call_id=call_id, cancelled=threading.Event())
        return run_call(self._tool, call, context)


def _beyond(effect: str, effects: Effects, connects: bool) -> list[str]:
    if effect != "read":
        return []
    seen = effects.changes + [f"starts a process: {each}" for each in effects.processes]
    return seen if connects else seen + [f"connects to {each}" for each in effects.connections]


class Conversation:
    """A conversation with an agent that has these tools; a script says what its generator writes.

    ::

        steps = [Calls([("track_parcel", {"number": 77})]), Says("It is in Porto.")]
        with Conversation([track_parcel], steps) as conversation:
            assert "Porto" in conversation.say("Where is parcel 77?").text

    Everything else is real: the loop, the gate, the checks of what is said, the database. At the end every step
    of the script must have been used.

    Args:
        tools: The tools, or a toolset.
        steps: What the generator writes; see `ScriptedGenerator`.
        user: Who is signed in.
        replies: Folder of reply templates, `<tool>.jinja`.
        profile: What the application knows about the user.
    """

    def __init__(
        self,
        tools: Sequence[Tool] | Toolset,
        steps: Sequence[ScriptStep],
        *,
        user: str = "tester",
        replies: Path | None = None,
        profile: Mapping[str, JsonValue] | None = None,
    ) -> None:
        from agentkit.agent import Agent, Settings

        self._user = user
        self._profile = profile
        self._folder = tempfile.TemporaryDirectory(prefix="agentkit-test-")
        self._generator = ScriptedGenerator(steps)
        self._agent = Agent(
            generator=self._generator,
            encoder=HashingEncoder(64),
            tools=tools,
            database=Path(self._folder.name) / "agent.db",
            settings=Settings(tool_similarity=-1.0),  # whatever is said, every tool is worth a thought
            reply_folder=replies,
            now=FixedClock(),
        )
        self.results: list[ToolResult] = []
        """The results of all calls so far."""

    def say(self, text: str) -> Reply:
        """Say something and return the reply."""
        from agentkit.agent.reply import fold
        from agentkit.events import ToolCallFinished

        events = list(self._agent.stream(text, user=self._user, profile=self._profile))
        self.results += [event.result for event in events if isinstance(event, ToolCallFinished)]
        return fold(event for event in events)

    def close(self) -> None:
        """Close the database and remove it."""
        self._agent.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if kind is None:
            self._generator.assert_finished()


def play_scenario(bot: Path, scenario: str, steps: Sequence[ScriptStep]) -> None:
    """Play a scenario of a bot folder with a script in place of its generator, and check what it expects.

    Args:
        bot: The bot folder.
        scenario: Name of a file in its `scenarios`.
        steps: What the generator writes.

    Raises:
        AssertionError: An expectation does not hold, or the script does not fit; lists what was said.
    """
    from agentkit.events import Replied
    from agentkit.scenarios import Cast, UserLine, failures, load_scenario, play, scenario_path, staged

    script = load_scenario(scenario_path(bot, scenario)).scenario
    with ScriptedGenerator(steps) as generator:
        cast = Cast(generator=generator, encoder=HashingEncoder(256))
        with staged(bot, script, cast) as stage:
            played = list(play(script, stage))
    said = "\n".join(
        f"{'user' if isinstance(each, UserLine) else 'bot'}: {each.text}"
        for each in played
        if isinstance(each, UserLine | Replied)
    )
    failed = "; ".join(f"{each.what} (found: {each.found})" for each in failures(played))
    assert not failed, f"does not hold: {failed}\n{said}"
