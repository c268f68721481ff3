"""JSON Lines with messages: what is read, and how mistakes are named."""

from __future__ import annotations

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
