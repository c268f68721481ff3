"""A run: engines take turns, failures are named, what takes too long is not repeated."""

from __future__ import annotations

import pytest

from agentkit.errors import ConfigurationError, ModelError
from agentkit.models.bench import Engine, LeftOut, Plan, Report, measure
from tests.models.bench.scripted_engine import ScriptedEngine


def test_each_round_begins_with_another_engine() -> None:
    asked: list[str] = []
    engines = {name: lambda _, name=name: ScriptedEngine(name, asked=asked) for name in ("agentkit", "peer")}
    measure(Plan(["m"], ["a"], rounds=2), engines)
    assert asked == ["agentkit", "peer", "peer", "agentkit"]


def test_the_report_has_values_spreads_and_ratios() -> None:
    engines = {
        "agentkit": lambda _: ScriptedEngine("agentkit", 0.25),
        "peer": lambda _: ScriptedEngine("peer", 0.5),
    }
    (model,) = measure(Plan(["m"], ["a"], rounds=3), engines).models
    compared = model.ratio("peer", "turn")
    assert compared is not None
    assert (compared.median, compared.count) == (0.5, 3)
    assert model.names()[0] == "turn"
    assert model.names()[-1] == "memory"


def test_an_engine_that_does_not_start_is_left_out_and_named() -> None:
    def start(model: str) -> Engine:
        raise ModelError(f"{model} is not for me", hint="Take another.")

    engines = {"agentkit": lambda _: ScriptedEngine(), "peer": start}
    (model,) = measure(Plan(["m"], ["a"], rounds=1), engines).models
    assert model.left_out == (LeftOut(engine="peer", why="m is not for me"),)
    assert list(model.engines) == ["agentkit"]


def test_an_engine_that_fails_in_one_case_is_measured_in_the_others_and_ended() -> None:
    engine = ScriptedEngine("peer", fails_calls=True)
    (model,) = measure(Plan(["m"], ["a", "f"], rounds=2), {"peer": lambda _: engine}).models
    assert model.left_out == (LeftOut(engine="peer", case="a support turn", why="it cannot call"),)
    assert model.spread("peer", "decode") is not None
    assert engine.closed


def test_a_peer_that_takes_too_long_is_measured_once() -> None:
    engines = {"agentkit": lambda _: ScriptedEngine(), "peer": lambda _: ScriptedEngine("peer")}
    (model,) = measure(Plan(["m"], ["a"], rounds=3, patience=0), engines).models
    assert len(model.rounds("agentkit", "turn")) == 3
    assert len(model.rounds("peer", "turn")) == 1


def test_what_was_found_is_kept_after_every_round() -> None:
    kept: list[Report] = []
    measure(Plan(["m"], ["a"], rounds=2), {"agentkit": lambda _: ScriptedEngine()}, keep=kept.append)
    assert [len(report.models[0].rounds("agentkit", "turn")) for report in kept] == [1, 2]


def test_peers_that_are_not_installed_are_in_the_report() -> None:
    missing = LeftOut(engine="peer", why="not installed")
    report = measure(
        Plan(["m"], ["a"], rounds=1), {"agentkit": lambda _: ScriptedEngine()}, not_installed=[missing]
    )
    assert Report.model_validate_json(report.model_dump_json()).not_installed == (missing,)


def test_a_case_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no case x"):
        Plan(["m"], ["a", "x"])
