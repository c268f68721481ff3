"""`agentkit flows` on the support bot and on a bot with a mistake."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from agentkit.cli.main import app

BOT: Final = Path(__file__).resolve().parents[2] / "examples" / "support_bot"


def test_the_flows_of_the_support_bot_have_nothing_wrong() -> None:
    done = CliRunner().invoke(app, ["flows", "check", str(BOT)])
    assert done.exit_code == 0, done.output
    assert "nothing found" in done.output


def test_a_mistake_is_told_with_file_and_line_and_the_command_fails(tmp_path: Path) -> None:
    bot = tmp_path / "bot"
    shutil.copytree(BOT, bot, ignore=shutil.ignore_patterns("*.sqlite*", "__pycache__"))
    path = bot / "flows" / "newsletter.yaml"
    path.write_text(
        path.read_text().replace("  - collect: subscribed", "  - say: Round.\n    id: r\n  - goto: r", 1)
    )
    done = CliRunner().invoke(app, ["flows", "check", str(bot)])
    assert done.exit_code == 1
    line = path.read_text().splitlines().index("  - say: Round.") + 1
    assert f"{path}:{line}: a loop without exit" in done.output.replace("\n", "")


@pytest.mark.parametrize(("kind", "ending"), [("svg", "svg"), ("mermaid", "mmd")])
def test_flows_are_drawn_into_a_folder(kind: str, ending: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["flows", "graph", str(BOT), "--format", kind, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    names = {path.stem for path in (BOT / "flows").glob("*.yaml")} - {"policies"}
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.{ending}" for name in names}


def test_one_flow_goes_to_the_terminal_as_mermaid() -> None:
    done = CliRunner().invoke(
        app, ["flows", "graph", str(BOT), "--flow", "cancel_order", "--format", "mermaid"]
    )
    assert done.output.startswith("flowchart TD\n")
    assert done.output.count("flowchart") == 1
