"""JSON Lines with messages: what is read, and how mistakes are named."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from agentkit.errors import BotFileError
from agentkit.intents import IntentExample, read_rows

GOOD = b'{"text": "hello", "intent": "greet"}\n'


def test_messages_are_read_with_their_intents(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD + b"\n" + '{"text": "🥨", "intent": null}'.encode())
    assert read_rows(path) == [IntentExample("hello", "greet"), IntentExample("🥨", None)]


def test_long_texts_and_half_surrogates_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"text": "{"a" * 10_000}", "intent": "x"}}\n{{"text": "\\ud83d", "intent": null}}\n')
    assert len(read_rows(path)[0].text) == 10_000


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"", None, "holds no message"),
        (b"\n \n", None, "holds no message"),
        (GOOD + b"{", 2, "is no JSON"),
        (GOOD + b"[1]\n", 2, "valid dictionary"),
        (GOOD + b'{"text": 5, "intent": "a"}', 2, "field `text`"),
        (GOOD + b'{"text": "a"}', 2, "field `intent`"),
        (GOOD + b'{"text": " ", "intent": "a"}', 2, "field `text`: is empty"),
        (GOOD + b'{"text": "a", "intent": " "}', 2, "field `intent`: is blank"),
        (GOOD + b'{"text": "a", "intent": "Greet"}', 2, r"`Greet` differs from `greet` \(line 1\)"),
        (GOOD + b"\xff\xfe", 2, "is not UTF-8"),
        (GOOD.decode().encode("utf-16"), 1, "UTF-16"),
        (GOOD.decode().encode("utf-16-le"), 1, "UTF-16"),
        (GOOD + b'{"text": "' + b"a" * 1_100_000 + b'", "intent": "a"}', 2, "is longer than"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, content: bytes, line: int | None, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(BotFileError, match=message) as caught:
        read_rows(path)
    assert caught.value.line == line
    assert caught.value.hint


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(BotFileError, match="cannot be read"):
            read_rows(path)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(GOOD * 20_000)

    def append(_signal: int, _frame: object) -> None:
        with path.open("ab") as stream:
            stream.write(GOOD)

    # A timer of processor time: however busy the machine is, it fires in the middle of the reading.
    before = signal.signal(signal.SIGVTALRM, append)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.002, 0.002)
    try:
        with pytest.raises(BotFileError, match="was changed while it was read") as caught:
            read_rows(path)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    assert caught.value.path == path


@pytest.mark.slow
def test_a_hundred_thousand_messages_are_read_and_more_than_half_a_million_are_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(GOOD * 100_000)
    assert len(read_rows(path)) == 100_000
    path.write_bytes(GOOD * 500_001)
    with pytest.raises(BotFileError, match="holds more than 500,000 messages") as caught:
        read_rows(path)
    assert caught.value.line == 500_001


@pytest.mark.parametrize("line", [b"", b"\n" * 4096, b"a" * 4096, GOOD * 100])
def test_a_file_of_200_megabytes_is_refused_in_time(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as stream:
        stream.write(line)
        stream.truncate(200 * 2**20)  # zeros that take no room on the disk
    started = os.times()
    with pytest.raises(BotFileError) as caught:
        read_rows(path)
    assert os.times().user - started.user < 20
    assert str(path) in str(caught.value)
