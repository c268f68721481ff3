"""The support bot's configuration and scenarios speak of things that exist."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from agentkit.bot.config import load_config
from agentkit.intents.examples import load_examples
from agentkit.scenarios import load_scenario, scenario_paths
from tests.examples.shop_under_test import BOT, TODAY, Shop, load, tools_of

SCENARIOS: Final = scenario_paths(BOT)


def test_the_configuration_is_valid_and_names_what_there_is() -> None:
    config = load_config(BOT)
    names = [config.intents, config.replies, config.setup, *config.knowledge]
    assert all((BOT / str(name)).exists() for name in names)
    assert "help@thornbyvale.example" in config.contact


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_speaks_of_things_that_exist(path: Path, shop: Shop) -> None:
    scenario = load_scenario(path).scenario
    intents, tools = (
        load_examples(BOT / "intents.yaml").bindings,
        {**tools_of(load("tools.py")), **tools_of(load("service_tools.py"))},
    )
    assert scenario.today == TODAY.date()
    assert shop.rows("SELECT count(*) FROM customers WHERE id = ?", [scenario.user]) == [(1,)]
    for line in scenario.turns:
        assert line.expect.intent is None or line.expect.intent in intents
        for call in line.expect.tool_called:
            if isinstance(call, str):
                assert call in tools
            else:
                assert set(call.arguments) <= set(tools[call.name].spec.parameters["properties"])


def test_the_demo_shows_what_it_is_there_to_show() -> None:
    lines = load_scenario(BOT / "scenarios" / "demo.yaml").scenario.turns
    assert 8 <= len(lines) <= 14
    calls = [call for line in lines for call in line.expect.tool_called]
    assert len({call if isinstance(call, str) else call.name for call in calls}) >= 3
    declined = [line for line in lines if line.expect.declined]
    assert ["intent" in line.expect.model_fields_set for line in declined] == [True, False]
    assert any(line.expect.source == "question" for line in lines)
    recalling = [line for line in lines if line.expect.recalled]
    assert [line.conversation for line in recalling] == ["new"]


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_scenario_passes_on_the_real_models() -> None:
    assert len(SCENARIOS) >= 60
    done = subprocess.run(
        [sys.executable, "-m", "agentkit", "test", str(BOT)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
