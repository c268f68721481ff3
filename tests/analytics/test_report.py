"""The figures of a report, counted by hand; its page; its command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agentkit.analytics import Report, as_html, measure
from agentkit.analytics.questions import Asked, grouped
from agentkit.analytics.report import Counted, FlowFigures, Share, SlotFigures
from agentkit.cli.report import since_when
from agentkit.errors import ConfigurationError
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing import HashingEncoder
from tests.analytics.history import MONDAY, Clock, a_week


@pytest.fixture
def week(tmp_path: Path) -> Iterator[tuple[SqliteStore, Clock]]:
    """A week of a shop."""
    store, clock = a_week(tmp_path)
    with store:
        yield store, clock


@pytest.fixture
def report(week: tuple[SqliteStore, Clock]) -> Report:
    """Its report."""
    store, clock = week
    return measure(store, bot="shop", now=clock.now, encoder=HashingEncoder(256))


def test_the_figures_are_those_that_a_person_counts(report: Report) -> None:
    assert (report.conversations, report.customers, report.turns) == (3, 3, 11)
    assert report.contained == Share(count=1, of=3)
    assert report.handed_off == Share(count=2, of=3)
    assert report.fallbacks == Share(count=3, of=11)
    assert report.without_generation == Share(count=10, of=11)
    assert (report.answered_by_people, report.waiting, report.callbacks) == (1, 1, 1)
    assert report.reasons == (Counted(name="person", count=2),)
    assert {each.name: each.count for each in report.fallback_kinds} == {
        "no evidence": 1,
        "not answered": 1,
        "not understood": 1,
    }
    assert report.policies == (Counted(name="too_late", count=1),)


def test_times_are_medians_of_what_was_measured(report: Report) -> None:
    assert (report.answer_time.count, report.answer_time.median) == (11, 0.02)
    assert report.answer_time_without_generation.ninth_decile == 0.02
    assert (report.wait_for_a_person.count, report.wait_for_a_person.median) == (1, 600.0)


def test_slots_that_fail_and_flows_that_end_are_named(report: Report) -> None:
    assert report.slots == (
        SlotFigures(
            flow="cancel_order", slot="order_id", asked=1, asked_again=1, refused=1, corrected=1, given=2
        ),
    )
    assert report.flows == (
        FlowFigures(
            flow="cancel_order", started=1, completed=0, cancelled=0, refused=1, failed=0, handed_off=0
        ),
    )


def test_intents_are_counted_for_every_day_those_without_a_message_too(report: Report) -> None:
    assert [(each.begins.day, each.turns) for each in report.periods] == [(23, 1), (24, 3), (25, 0), (26, 1)]
    assert report.intents == (
        Counted(name="out of scope", count=2),
        Counted(name="person", count=2),
        Counted(name="cancel_order", count=1),
    )


def test_what_was_not_answered_is_grouped_by_meaning(report: Report) -> None:
    first = report.unanswered[0]
    assert first.count == 2
    assert set(first.questions) == {"do you sell gift cards", "do you sell gift cards please"}
    assert [group.count for group in report.unanswered] == [2, 1]


def test_only_what_was_said_since_counts(week: tuple[SqliteStore, Clock]) -> None:
    store, clock = week
    later = measure(store, bot="shop", now=clock.now, since=MONDAY + timedelta(days=3))
    assert (later.conversations, later.turns, later.contained.count) == (1, 3, 0)
    nothing = measure(store, bot="shop", now=clock.now, since=clock.now + timedelta(days=1))
    assert (nothing.turns, nothing.contained.value, nothing.answer_time.median) == (0, None, None)
    assert "–" in as_html(nothing)


def test_a_long_time_is_shown_by_weeks(tmp_path: Path) -> None:
    store, clock = a_week(tmp_path)
    clock.pass_by(days=100)
    with store:
        from agentkit.events import IntentRecognised
        from tests.analytics.history import said

        ada = store.for_user("default", "ada")
        said(ada, ada.new_conversation(), "hello", [IntentRecognised(intent="greeting", probability=1)])
        found = measure(store, bot="shop", now=clock.now)
    assert all(each.begins.weekday() == 0 for each in found.periods)
    assert sum(each.turns for each in found.periods) == 6
    assert len(found.periods) == 15


def test_no_question_is_in_two_groups_and_none_is_lost() -> None:
    words = ["where", "order", "gift", "card", "sofa", "blue", "when", "open", "pay", "cash"]
    texts = [f"{words[i % 10]} {words[(i * 7) % 10]} {words[(i * 3) % 10]}" for i in range(200)]
    groups = grouped([Asked(text, MONDAY) for text in texts], HashingEncoder(256))
    assert sum(group.count for group in groups) == 200
    shown = [text for group in groups for text in group.questions]
    assert len(shown) == len(set(shown))
    assert grouped([Asked(" ", MONDAY)], HashingEncoder(256)) == []


class _Tags(HTMLParser):
    """Collects tags and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_needs_nothing_else_and_escapes_what_customers_say(report: Report) -> None:
    page = as_html(report)
    tags = _Tags()
    tags.feed(page)
    assert tags.tags.count("svg") == 4
    assert "script" not in tags.tags
    assert tags.addresses == []
    assert "blah &lt;script&gt;" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("text", ["yesterday", "7 months", "2026-13-01", ""])
def test_a_time_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        since_when(text, MONDAY)


def test_a_span_counts_back_from_now() -> None:
    assert since_when("2w", MONDAY) == MONDAY - timedelta(days=14)
    assert since_when("2026-11-22", MONDAY) == MONDAY.replace(day=22, hour=0)


def test_the_command_writes_page_and_json(tmp_path: Path) -> None:
    store, _ = a_week(tmp_path)
    store.close()
    bot = tmp_path / "bot"
    bot.mkdir()
    (bot / "agent.yaml").write_text("name: shop\n")
    page = tmp_path / "report.html"
    command = [sys.executable, "-m", "agentkit", "report", str(bot), "--no-meaning", "--json"]
    where = ["--database", str(tmp_path / "agentkit.db"), "--html", str(page)]
    done = subprocess.run([*command, *where], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["turns"] == 11
    assert page.read_text().startswith("<!doctype html>")
    bad = [*command, "--database", str(tmp_path / "agentkit.db"), "--html", str(tmp_path / "no" / "x.html")]
    assert subprocess.run(bad, capture_output=True, check=False).returncode == 2
