"""Which tools enter a prompt when there are many."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agentkit.agent.ranking import ToolPool, shortlist
from agentkit.events import ToolsOffered
from agentkit.messages import ToolSpec
from agentkit.models.protocols import GenerationRequest
from agentkit.testing import Calls, HashingEncoder, Says, ScriptedGenerator, ScriptStep
from agentkit.tools import StaticToolset, Tool, ToolContext, tool
from tests.agent.desk import desk

ENCODER = HashingEncoder(256)
SUBJECTS = [
    f"{kind} {thing}"
    for kind in ("red", "blue", "old", "new")
    for thing in ("lamp", "table", "chair", "sofa")
]


def named(subject: str) -> Tool:
    @tool(effect="read", name=subject.replace(" ", "_"))
    def look(colour: str = "") -> str:
        """Look."""
        return f"the {subject} is there"

    spec = ToolSpec(name=look.name, description=f"Look at the {subject}.", parameters=look.spec.parameters)
    return replace(look, spec=spec)


TOOLS = [named(subject) for subject in SUBJECTS]


def test_words_tell_tools_apart_that_mean_the_same() -> None:
    ranking = ToolPool(StaticToolset(TOOLS), ENCODER).prepared(ToolContext(user_id="ada"))
    text = "what about the old chair"
    ranked = ranking.rank(ENCODER.encode(["something else"])[0], text)
    assert ranked[0].tool.name == "old_chair"


def test_the_prompt_holds_the_nearest_in_their_stable_order_and_what_was_used_stays() -> None:
    ranking = ToolPool(StaticToolset(TOOLS), ENCODER).prepared(ToolContext(user_id="ada"))
    text = "the blue sofa"
    ranked = ranking.rank(ENCODER.encode([text])[0], text, {"red_lamp", "old_lamp", "new_lamp", "red_table"})
    chosen = [tool.name for tool in ranking.for_prompt(ranked, 4)]
    assert "blue_sofa" in chosen
    assert len(chosen) <= 6
    assert any(name in ("red_lamp", "old_lamp", "new_lamp", "red_table") for name in chosen)
    assert chosen == [name for name in (each.name for each in TOOLS) if name in chosen]
    assert len(shortlist(ranked, 100)) == len(TOOLS)


def test_what_is_in_the_prompt_is_what_may_be_called(tmp_path: Path) -> None:
    steps: list[ScriptStep] = [
        Calls([("old_chair", {})]),
        Says("the old chair is there"),
        Calls([("blue_sofa", {})]),
        Says("the blue sofa is there"),
    ]
    with (
        ScriptedGenerator(steps) as generator,
        desk(tmp_path, generator=generator, tools=TOOLS, bound=False) as agent,
    ):
        agent.ask("look at the old chair", user="ada")
        events = list(agent.stream("look at the blue sofa", user="ada"))
    offered = next(event.names for event in events if isinstance(event, ToolsOffered))
    assert {"blue_sofa", "old_chair"} <= set(offered)
    request = generator.requests[2]
    assert isinstance(request, GenerationRequest)
    assert set(offered) == {spec.name for spec in request.tools}
    assert len(offered) < len(TOOLS)
