"""Tools from the description that a real FastAPI service gives of itself, called over real HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agentkit.messages import ToolCall, ToolResult, text_of
from agentkit.models.schema_support import enforceable
from agentkit.remote.openapi import ServiceSettings, ServiceToolset
from agentkit.testing import ToolHarness
from agentkit.tools import ToolContext, get_tool, run_call
from tests.architecture.source_tree import ROOT

PROGRAM = Path(__file__).with_name("shop_service.py")
AUTH = {"shopKey": "SHOP_KEY", "staff": "SHOP_STAFF"}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The service, on a port of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, PROGRAM, str(port)])
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def folder(address: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the description that the service gives of itself."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.json").write_text(httpx2.get(f"{address}/openapi.json").text, encoding="utf-8")
    return folder


def service(folder: Path, address: str, **more: Any) -> ServiceToolset:
    values = {"openapi": "shop.json", "server": address, "auth": AUTH, "private": True, **more}
    return ServiceToolset("shop", ServiceSettings.model_validate(values), folder=folder)


@pytest.fixture
def shop(folder: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> ServiceToolset:
    monkeypatch.setenv("SHOP_KEY", "key-17")
    monkeypatch.setenv("SHOP_STAFF", "token-4")
    return service(folder, address)


def call(toolset: ServiceToolset, name: str, /, **arguments: Any) -> ToolResult:
    made = ToolCall(id="1", name=f"shop_{name}", arguments=arguments)
    return run_call(get_tool(toolset, made.name), made, ToolContext(user_id="ann"))


def test_every_operation_becomes_a_tool_that_a_model_can_be_held_to(shop: ServiceToolset) -> None:
    effects = {tool.name.removeprefix("shop_"): tool.effect for tool in shop.tools()}
    assert shop.problems == {}
    assert effects["get_order"] == effects["search"] == "read"
    assert effects["create_order"] == effects["delete_order"] == "write"
    for tool in shop.tools():
        enforceable(tool.spec.parameters, where=tool.name)
        assert "Key" not in json.dumps(tool.spec.parameters), "a key is no argument"


def test_operations_are_called_and_answer_in_json_or_text(shop: ServiceToolset) -> None:
    assert call(shop, "get_order", order_id=1042).data == {"id": 1042, "state": "sent", "items": ["lamp"]}
    assert text_of(call(shop, "get_article", name="a b?#%&", language="de")) == "a b?#%& in de"
    assert call(shop, "search", words=["oak", "table"], limit=2).data == ["oak 0", "table 0"]
    ToolHarness(get_tool(shop, "shop_get_order")).check_effect({"order_id": 1042}, connects=True)


def test_a_body_is_made_of_arguments(shop: ServiceToolset) -> None:
    made = call(shop, "create_order", items=["lamp"], address={"street": "Elm Street"}).data
    assert isinstance(made, dict)
    assert made["address"] == {"street": "Elm Street", "city": "Cork"}
    wrong_ones: tuple[dict[str, Any], ...] = (
        {"items": []},
        {"items": ["x"], "address": {"street": "E"}},
        {"items": ["x"], "address": 5},
    )
    for wrong in wrong_ones:
        assert call(shop, "create_order", **{"address": {"street": "Elm"}, **wrong}).status == "retry"


def test_keys_come_from_the_environment_and_reach_the_service(shop: ServiceToolset) -> None:
    assert text_of(call(shop, "whoami")) == "key-17"
    assert "token-4" in text_of(call(shop, "delete_order", order_id=1042))
    assert call(shop, "whoami", **{"X-Shop-Key": "mine"}).status == "retry"


def test_a_key_that_is_missing_is_named_and_never_asked_of_the_model(
    shop: ServiceToolset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_KEY")
    result = call(shop, "whoami")
    assert (result.status, text_of(result)) == (
        "failed",
        "the service shop is not set up: there is no SHOP_KEY",
    )


def test_operations_without_a_way_in_are_left_out_and_named(folder: Path, address: str) -> None:
    toolset = service(folder, address, auth={})
    assert set(toolset.problems) == {"create_order", "whoami", "delete_order"}
    assert "it needs shopKey" in toolset.problems["whoami"]


@pytest.mark.parametrize(
    ("name", "arguments", "status", "says"),
    [
        ("get_order", {"order_id": 7}, "failed", 'answers 404: {"detail":"there is no such order"}'),
        ("get_order", {"order_id": "7"}, "retry", "`order_id`"),
        ("search", {"words": ["x"], "limit": 10}, "retry", "out of range"),
        ("broken", {}, "failed", "answers 500"),
        ("get_article", {"name": ".."}, "retry", "cannot be '..'"),
        ("get_article", {"name": ""}, "retry", "cannot be ''"),
        ("large", {"size": 2_000_000}, "failed", "longer than 1000000 bytes"),
    ],
)
def test_what_cannot_be_is_told(
    shop: ServiceToolset, name: str, arguments: dict[str, Any], status: str, says: str
) -> None:
    result = call(shop, name, **arguments)
    assert result.status == status
    assert says in text_of(result)


def test_an_answer_that_drips_is_given_up(folder: Path, address: str) -> None:
    started = time.monotonic()
    result = call(service(folder, address, timeout=1), "slow")
    assert result.status in ("failed", "timeout")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost:1/",
        "http://127.0.0.1:1/",
        "http://[::ffff:169.254.169.254]/",
        "http://example.com/",
        "file:///etc/passwd",
        "//169.254.169.254/",
        "http://user@127.0.0.1/",
    ],
)
def test_a_redirect_leaves_neither_the_host_nor_the_public_network(shop: ServiceToolset, target: str) -> None:
    result = call(shop, "redirect", to=target)
    assert result.status == "retry"
    assert (
        "not allowed" in text_of(result) or "does not begin" in text_of(result) or "user" in text_of(result)
    )


def test_a_redirect_on_the_same_host_is_followed_but_not_for_ever(shop: ServiceToolset) -> None:
    assert call(shop, "redirect", to="/orders/1042").data == {"id": 1042, "state": "sent", "items": ["lamp"]}
    assert "more than 3 times" in text_of(call(shop, "loop"))


def test_what_changes_something_is_never_redirected(shop: ServiceToolset) -> None:
    result = call(shop, "post_redirect", to="/orders")
    assert (result.status, "only followed for reading" in text_of(result)) == ("failed", True)


def test_a_service_of_the_private_network_needs_to_be_declared(folder: Path) -> None:
    named = service(folder, "http://localhost:1", private=False)
    result = call(named, "get_order", order_id=1)
    assert result.status == "failed"
    assert "must not be reached" in text_of(result)


def test_what_the_service_says_is_untrusted_unless_declared(
    shop: ServiceToolset, folder: Path, address: str
) -> None:
    assert call(shop, "get_order", order_id=1042).parts[0].trust == "untrusted"
    ours = service(folder, address, trusted=True)
    assert call(ours, "get_order", order_id=1042).parts[0].trust == "tool"


def test_a_description_is_imported_into_a_bot_and_its_tools_work_at_once(
    folder: Path, address: str, tmp_path: Path
) -> None:
    bot = tmp_path / "bot"
    bot.mkdir()
    (bot / "agent.yaml").write_text("name: Desk\n", encoding="utf-8")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "SHOP_SHOPKEY": "key-1", "COLUMNS": "160"}
        command = [sys.executable, "-m", "agentkit", "tools", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=60, check=False
        )

    shown = run("import", str(folder / "shop.json"), "--server", address, "--private")
    assert "shop_get_order" in shown.stdout
    assert "services:" in shown.stdout
    added = run("import", str(folder / "shop.json"), "--server", address, "--private", "--bot", str(bot))
    assert added.returncode == 0, added.stderr
    assert "export SHOP_SHOPKEY=…" in added.stdout
    called = run("call", "shop_get_order", "order_id=1042", "--bot", str(bot))
    assert json.loads(called.stdout)["state"] == "sent"
    assert "key-1" in run("call", "shop_whoami", "--bot", str(bot)).stdout
    again = run("import", str(folder / "shop.json"), "--server", address, "--private", "--bot", str(bot))
    assert again.returncode == 2
    assert "has services already" in again.stderr
