"""A shop for every test, made by the example's own script."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.examples.shop_under_test import TODAY, Shop, load


@pytest.fixture(scope="session")
def new_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo shop as of 23 November 2026, which nobody has used yet."""
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite"
    load("make_shop.py").make_shop(path, TODAY.date())
    return path


@pytest.fixture
def shop(new_shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The demo shop in a database of the test's own."""
    path = tmp_path / "shop.sqlite"
    shutil.copyfile(new_shop, path)
    monkeypatch.setenv("SUPPORT_BOT_DB", str(path))
    return Shop(path)
