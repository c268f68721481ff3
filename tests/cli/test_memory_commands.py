"""`agentkit memory`, run as a user runs it, where no model is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentkit.store.protocol import NewMemory
from agentkit.store.sqlite_store import SqliteStore
from tests.cli.test_commands import run
from tests.store.samples import say


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    """A folder with a bot and a database in which ada and ben have said something."""
    run("new", "bot", "my_bot", folder=tmp_path)
    with SqliteStore.open(tmp_path / "shop.db") as store:
        for name in ("ada", "ben"):
            mine = store.for_user("default", name)
            say(mine, mine.new_conversation(), f"this was said by {name} in the shop")
            old = mine.add_memory(NewMemory("fact", f"{name} lives in Leeds", "user", 0.8, "", None))
            mine.add_memory(
                NewMemory("fact", f"{name} lives in York", "user", 0.8, "", None, replaces=(old,))
            )
    return tmp_path


def memory(bot: Path, command: str, *arguments: str, typed: str = "") -> tuple[int, str, str]:
    done = run("memory", command, "my_bot", *arguments, "--database", "shop.db", folder=bot, typed=typed)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_facts_are_shown_and_replaced_ones_on_demand(bot: Path) -> None:
    _, shown, _ = memory(bot, "show", "-u", "ada")
    assert "ada lives in York" in shown
    assert "Leeds" not in shown
    _, shown, _ = memory(bot, "show", "-u", "ada", "--history", "--all")
    assert "ada lives in Leeds" in shown
    assert "this was said by ada" in shown
    assert "ben" not in shown


def test_a_fact_is_forgotten_by_the_end_of_its_id(bot: Path) -> None:
    listed = json.loads(memory(bot, "show", "-u", "ada", "--json")[1])
    status, said, _ = memory(bot, "forget", listed[0]["id"][-8:], "-u", "ada")
    assert status == 0
    assert "Forgotten: ada lives in York" in said
    assert "Erased 1 facts." in said
    assert "Nothing of it is left" in said
    assert b"ada lives in York" not in (bot / "shop.db").read_bytes()
    assert not (bot / "shop.db-wal").exists() or b"in York" not in (bot / "shop.db-wal").read_bytes()
    assert "Nothing is remembered" in memory(bot, "show", "-u", "ada")[1]
    for wrong in ("no-such-id", listed[0]["id"]):
        status, _, error = memory(bot, "forget", wrong, "-u", "ada")
        assert status == 2
        assert "No memory has an id" in error


def test_the_figures_of_a_user(bot: Path) -> None:
    figures = json.loads(memory(bot, "stats", "-u", "ada", "--json")[1])
    assert (figures["conversations"], figures["turns"], figures["open turns"]) == (1, 1, 0)
    assert (figures["facts"], figures["replaced facts"], figures["messages"]) == (1, 1, 1)
    assert "replaced facts" in memory(bot, "stats", "-u", "ada")[1]


def test_a_persons_data_is_written_as_json_and_markdown(bot: Path) -> None:
    with SqliteStore.open(bot / "shop.db") as store:
        made = store.for_user("default", "ada").save_file(b"%PDF", name="../a bill.pdf", media_type="a/pdf")
        store.for_user("default", "ben").save_file(b"his", name="his.txt", media_type="text/plain")
    status, said, _ = memory(bot, "export", "-u", "ada", "--out", "out")
    file = f"out/ada-files/{made[:12]}-a-bill.pdf"
    assert (status, said.replace("Wrote", "").split()) == (0, ["out/ada.json", "out/ada.md", file])
    assert (bot / file).read_bytes() == b"%PDF"
    assert "a bill.pdf" in (bot / "out" / "ada.md").read_text()
    exported = json.loads((bot / "out" / "ada.json").read_text())
    assert exported["user"] == "ada"
    assert "ben" not in (bot / "out" / "ada.json").read_text()
    assert "- ada lives in York" in (bot / "out" / "ada.md").read_text()
    assert (bot / "out" / "ada.json").stat().st_mode & 0o077 == 0
    (bot / "file").write_text("")
    status, _, error = memory(bot, "export", "-u", "ada", "--out", "file")
    assert (status, "cannot be written" in error) == (2, True)


def test_an_erased_user_is_gone_and_the_receipt_says_so(bot: Path) -> None:
    status, said, _ = memory(bot, "erase", "-u", "ada", typed="n\n")
    assert status == 1  # asked first
    assert b"ada" in (bot / "shop.db").read_bytes()
    (bot / "shop.db.bak").write_bytes(b"an old copy")
    status, said, _ = memory(bot, "erase", "-u", "ada", "--yes")
    assert status == 0
    assert "Erased 1 conversations, 1 turns" in said
    assert "Nothing of it is left" in said
    assert "shop.db.bak looks like a copy" in said
    assert "lives in York" not in said
    content = (bot / "shop.db").read_bytes()
    assert b"ada lives" not in content
    assert b"said by ada" not in content
    assert b"ben lives in York" in content
    receipt = json.loads(memory(bot, "erase", "-u", "ada", "--yes", "--json")[1])
    assert set(receipt["erased"].values()) == {0}


def test_a_remnant_in_the_cache_is_named_and_the_status_is_one(
    bot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "stray.log").write_text("once this was said by ada in the shop, it stayed")
    status, said, _ = memory(bot, "erase", "-u", "ada", "--yes")
    assert status == 1
    assert "stray.log" in said.replace("\n", "")


def test_what_is_too_old_is_counted_first_and_then_erased(bot: Path) -> None:
    status, _, error = memory(bot, "expire")
    assert (status, "says nothing about how long" in error) == (2, True)
    config = bot / "my_bot" / "agent.yaml"
    config.write_text(config.read_text() + "\nretention: {replaced: 0, events: 0, messages: 30}\n")
    status, said, _ = memory(bot, "expire", "--dry-run")
    assert (status, said.strip()) == (0, "Would erase 4 events, 2 facts.")
    assert "Erased 4 events, 2 facts." in memory(bot, "expire")[1]
    assert "Would erase nothing" in memory(bot, "expire", "--dry-run")[1]
    config.write_text(config.read_text().replace("events: 0", "events: -1"))
    status, _, error = memory(bot, "expire")
    assert status == 2
    assert "retention" in error


def test_an_empty_fact_is_refused(bot: Path) -> None:
    done = run("memory", "add", "my_bot", "  ", "--database", "shop.db", folder=bot)
    assert (done.returncode, "nothing to remember" in done.stderr) == (2, True)


@pytest.mark.weights
def test_what_another_encoder_embedded_is_found_again_after_embed(bot: Path) -> None:
    status, said, _ = memory(bot, "search", "where does ada live?", "-u", "ada")
    assert status == 0
    assert "3 more have no vector" in said
    assert "York" not in said
    status, said, _ = memory(bot, "embed")
    assert status == 0
    assert said.splitlines()[-1].startswith("Embedded 6 memories with ")
    assert "ada" in said
    status, said, _ = memory(bot, "search", "where does ada live?", "-u", "ada")
    assert "ada lives in York" in said
    assert "more have no vector" not in said
    assert memory(bot, "embed", "-u", "ada")[1].startswith("Embedded 0 memories")
