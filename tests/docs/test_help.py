"""The help of every command is kept as a golden file: a change of it is read by a reviewer.

`UPDATE_GOLDEN=1 .venv/bin/pytest tests/docs/test_help.py` writes the files anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
import typer

from tests.docs.help_pages import differences, help_pages

GOLDEN = Path(__file__).with_name("golden_help")


def test_the_help_of_agentkit_is_the_golden_one() -> None:
    from agentkit.cli.main import app

    found = differences(help_pages(app, "agentkit"), GOLDEN)
    assert not found, "\n".join(
        [*found, "If this is meant: UPDATE_GOLDEN=1 .venv/bin/pytest tests/docs/test_help.py"]
    )


def test_every_command_of_agentkit_says_what_it_does() -> None:
    from agentkit.cli.main import app

    for command, page in help_pages(app, "agentkit").items():
        sentence = page.split("\n\n")[1]
        assert not sentence.startswith("╭"), f"{command} --help has no description:\n{page}"


@pytest.fixture
def shop() -> typer.Typer:
    app = typer.Typer(help="A shop.")
    orders = typer.Typer(help="Look after orders.")
    app.add_typer(orders, name="orders")

    @app.command()
    def open_shop(hour: Annotated[int, typer.Option(help="When to open.")] = 9) -> None:
        """Open the shop."""

    @orders.command(name="show")
    def show(order: Annotated[str, typer.Argument(help="Four digits.")]) -> None:
        """Show one order."""

    @orders.command(hidden=True)
    def burn() -> None:
        """Nobody needs to know."""

    return app


def test_every_command_has_a_page(shop: typer.Typer) -> None:
    pages = help_pages(shop, "shop")
    assert list(pages) == ["shop", "shop open-shop", "shop orders", "shop orders show"]
    assert pages["shop orders show"].startswith(
        "Usage: shop orders show [OPTIONS] {order}\n\n Show one order.\n"
    )
    assert "Four digits." in pages["shop orders show"]
    assert "\x1b" not in "".join(pages.values())


def test_a_changed_a_missing_and_a_needless_page_are_found(
    shop: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = help_pages(shop, "shop")
    assert [line.partition(":")[0] for line in differences(pages, tmp_path)] == [
        "shop-open-shop.txt",
        "shop-orders-show.txt",
        "shop-orders.txt",
        "shop.txt",
    ]
    monkeypatch.setenv("UPDATE_GOLDEN", "1")
    assert differences(pages, tmp_path) == []
    monkeypatch.delenv("UPDATE_GOLDEN")
    assert differences(pages, tmp_path) == []
    (tmp_path / "shop.txt").write_text("A shop that was.\n")
    (tmp_path / "shop-close.txt").write_text("Close the shop.\n")
    changed, needless = sorted(differences(pages, tmp_path), reverse=True)
    assert changed == f"shop.txt: the help is now\n{pages['shop']}"
    assert needless == "shop-close.txt: there is no such command any more"
