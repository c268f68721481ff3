"""A whole turn with a generator on a model server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agentkit import Agent, tool
from agentkit.errors import ModelServerError
from agentkit.events import HandedOff, Replied
from agentkit.testing import HashingEncoder
from tests.models.model_server import Answer, ModelServer, calls, fails, says


@tool(effect="read")
def parcel_status(number: int) -> str:
    """Where a parcel is.

    Args:
        number: The parcel number.
    """
    return f"Parcel {number} is in Porto and arrives on Friday."


@contextmanager
def agent_on(server: ModelServer, folder: Path) -> Iterator[Agent]:
    with closing(server.generator()) as generator:
        tools, database = [parcel_status], folder / "shop.db"
        with Agent(generator=generator, encoder=HashingEncoder(), tools=tools, database=database) as agent:
            yield agent


FITS = calls(("parcel_status", '{"number": 77}'))
MISFIT = calls(("parcel_status", '{"number": "many"}'))


@pytest.mark.parametrize(
    "first", [(FITS,), (MISFIT, FITS)], ids=["a call that fits", "one that does not, and then one that does"]
)
def test_a_call_of_the_server_is_run_only_if_it_fits(first: Sequence[Answer], tmp_path: Path) -> None:
    with ModelServer(*first, says("Parcel 77 is in Porto.")) as server, agent_on(server, tmp_path) as agent:
        reply = agent.ask("Where is parcel 77 now?", user="ada")
    assert reply.text == "Parcel 77 is in Porto."


def test_a_server_that_keeps_writing_calls_that_do_not_fit_is_no_matter_of_time_but_of_a_person(
    tmp_path: Path,
) -> None:
    with ModelServer(MISFIT, MISFIT) as server, agent_on(server, tmp_path) as agent:
        events = list(agent.stream("Where is parcel 77 now?", user="ada"))
    (handed,) = (event for event in events if isinstance(event, HandedOff))
    assert "outside its schema" in handed.reason
    (replied,) = (event for event in events if isinstance(event, Replied))
    assert "pass this on to a person" in replied.text


def test_after_a_failure_of_the_server_the_conversation_goes_on(tmp_path: Path) -> None:
    gone, back = fails(401, {}), calls(("parcel_status", '{"number": 77}'))
    script = (gone, back, says("Parcel 77 is in Porto."))
    with ModelServer(*script) as server, agent_on(server, tmp_path) as agent:
        conversation = agent.new_conversation(user="ada")
        with pytest.raises(ModelServerError):
            agent.ask("Where is parcel 77 now?", user="ada", conversation=conversation)
        reply = agent.ask("Where is parcel 77 now?", user="ada", conversation=conversation)
    assert reply.text == "Parcel 77 is in Porto."
