"""A whole turn with a generator on a model server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agentkit import Agent, tool
from agentkit.errors import ModelServerError
from agentkit.testing import HashingEncoder
from tests.models.model_server import Answer, ModelServer, calls, fails, says


@tool
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


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (calls(("parcel_status", '{"number": 77}')), "Parcel 77 is in Porto."),
        (calls(("parcel_status", '{"number": "many"}')), "I'm sorry"),
    ],
    ids=["a call that fits", "a call that does not fit its schema"],
)
def test_a_call_of_the_server_is_run_only_if_it_fits(first: Answer, said: str, tmp_path: Path) -> None:
    with ModelServer(first, says("Parcel 77 is in Porto.")) as server, agent_on(server, tmp_path) as agent:
        reply = agent.ask("Where is parcel 77 now?", user="ada")
    assert said in reply.text


def test_after_a_failure_of_the_server_the_conversation_goes_on(tmp_path: Path) -> None:
    gone, back = fails(401, {}), calls(("parcel_status", '{"number": 77}'))
    script = (gone, back, says("Parcel 77 is in Porto."))
    with ModelServer(*script) as server, agent_on(server, tmp_path) as agent:
        conversation = agent.new_conversation(user="ada")
        with pytest.raises(ModelServerError):
            agent.ask("Where is parcel 77 now?", user="ada", conversation=conversation)
        reply = agent.ask("Where is parcel 77 now?", user="ada", conversation=conversation)
    assert reply.text == "Parcel 77 is in Porto."
