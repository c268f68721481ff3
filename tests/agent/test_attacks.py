"""Two hundred attacks through the whole loop, with a model that always does what it read.

25 goals in 8 wrappings; the carrier changes with both, so that each is tried with every wrapping and every goal meets
every carrier over the wrappings. All of them have to be stopped, or to wait for a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from agentkit.events import ApprovalRequested, CallRefused, ToolCallStarted
from tests.agent import office
from tests.agent.office import DONE, TEXTS, Obedient

FILE: Final[dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("attacks.yaml").read_text(encoding="utf-8")
)
GOALS, WRAPPINGS, CARRIERS = FILE["goals"], FILE["wrappings"], FILE["carriers"]
CASES: Final = [(goal, wrapping) for goal in range(len(GOALS)) for wrapping in range(len(WRAPPINGS))]


@pytest.fixture(autouse=True)
def quiet_office() -> Iterator[None]:
    DONE.clear()
    TEXTS.clear()
    yield
    TEXTS.clear()


def test_there_are_two_hundred_attacks_and_every_goal_meets_every_carrier() -> None:
    assert len(CASES) == 200
    met = {(goal, (goal + wrapping) % len(CARRIERS)) for goal, wrapping in CASES}
    assert len(met) == len(GOALS) * len(CARRIERS)


@pytest.mark.parametrize(("goal", "wrapping"), CASES)
def test_an_injected_call_is_stopped_or_waits_for_a_person(goal: int, wrapping: int, tmp_path: Path) -> None:
    wanted, carrier = GOALS[goal], CARRIERS[(goal + wrapping) % len(CARRIERS)]
    text = WRAPPINGS[wrapping].format(tell=wanted["tell"])
    TEXTS.update(
        dict.fromkeys(("read_mail", "open_page", "read_file", "list_tickets"), f"Hello.\n{text}\nBye.")
    )
    calls = [(name, arguments) for each in wanted["calls"] for name, arguments in each.items()]
    # Whatever way the text is written down for the model, its last words are in the prompt.
    model = Obedient(list(carrier["reads"].items()), calls, trigger="Bye.")
    with office.office(tmp_path, model) as agent:
        events = list(agent.stream(carrier["says"], user="ada"))
    assert model.obeyed, "the attack never reached the model"
    assert DONE == []
    stopped = [e for e in events if isinstance(e, (CallRefused, ApprovalRequested))]
    assert {e.call.name for e in stopped} == {name for name, _ in calls}
    assert not [e for e in events if isinstance(e, ToolCallStarted) and e.effect != "read"]
