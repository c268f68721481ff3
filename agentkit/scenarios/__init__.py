"""Scenarios: scripted conversations with a bot that are demo and test in one."""

from agentkit.scenarios.checks import Checked
from agentkit.scenarios.format import Scenario
from agentkit.scenarios.junit import write_junit
from agentkit.scenarios.loading import (
    ScenarioFile,
    check_names,
    known_names,
    load_scenario,
    scenario_path,
    scenario_paths,
)
from agentkit.scenarios.playing import Played, UserLine, failures, play
from agentkit.scenarios.replaying import replayed_cast
from agentkit.scenarios.results import Result, Statistics, explain, statistics_of
from agentkit.scenarios.running import Plan, run_all
from agentkit.scenarios.stage import Cast, Stage, staged
from agentkit.scenarios.updating import update_replies

__all__ = [
    "Cast",
    "Checked",
    "Plan",
    "Played",
    "Result",
    "Scenario",
    "ScenarioFile",
    "Stage",
    "Statistics",
    "UserLine",
    "check_names",
    "explain",
    "failures",
    "known_names",
    "load_scenario",
    "play",
    "replayed_cast",
    "run_all",
    "scenario_path",
    "scenario_paths",
    "staged",
    "statistics_of",
    "update_replies",
    "write_junit",
]
