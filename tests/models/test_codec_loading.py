"""The tables of a tokenizer say what the tokenizer says, and are only used where they do."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from agentkit.errors import ModelRefused
from agentkit.models.codec_loading import TableCodec, load_codec_file
from agentkit.models.resolve import resolve
from agentkit.models.table_making import make_table
from agentkit.models.tokenizer_file import MarkupCodec, TokenizerCodec, load_codec, text_description
from agentkit.models.tokens import sanitise
from tests.models.nasty_text import nasty_texts
from tests.models.small_tokenizers import (
    byte_level_json,
    digits_json,
    padded_json,
    qwen2_json,
    sentencepiece_json,
    unigram_json,
    word_piece_json,
)

SCRIPTS = (
    "Where's my order? I'LL don't, we'Re, itſ 'ſ. naïve café  \r\n\t\n  x",
    "Заказ № 1042 не пришёл. Ωραία! Որտե՞ղ է",
    "أين طلبي رقم ١٠٤٢؟ שָׁלוֹם עוֹלָם",
    "मेरा ऑर्डर कहाँ है १०४२? สวัสดีครับ မြန်မာ ខ្មែរ",
    "注文はどこですか。订单１０４２在哪里？ 주문은 어디에 한글",
    "e\u0301 \u00e9 \u1e9b\u0323 \ufb06 \u2126 \u212b Ⅷ ² ½ ⅗ \U0001d7d8",
    "👩‍👩‍👧 🇩🇪 \u200b\u2028\u00a0\u3000\x85\ufeff\U000e0041 \U0001fae8",
    "def f(x):\n    return x**2  # 12345\n\n\n\tif a!=b: pass",
)
texts = st.one_of(
    nasty_texts, st.lists(st.sampled_from(SCRIPTS) | st.text(max_size=8), max_size=4).map("".join)
)
SMALL = [pytest.param(qwen2_json, id="qwen2"), pytest.param(digits_json, id="digits")]
CATALOGUE = ("qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b", "smollm2-135m")


@cache
def small(tokenizer_json: str) -> tuple[TableCodec, TokenizerCodec]:
    """A codec of tables and one of the `tokenizers` library."""
    table = make_table(text_description(tokenizer_json), TokenizerCodec(tokenizer_json))
    assert table is not None
    return TableCodec(table, size=600), TokenizerCodec(tokenizer_json, size=600)


@cache
def real(name: str) -> tuple[MarkupCodec, TokenizerCodec]:
    """The same of a model of the catalogue."""
    path = resolve(name).path / "tokenizer.json"
    return load_codec_file(path), load_codec(path.read_text("utf-8"), where=str(path))


def characters() -> Iterator[str]:
    """All characters that a text can hold, some thousands at a time."""
    for start in range(0, 0x110000, 2048):
        if not 0xD800 <= start < 0xE000:
            yield "".join(map(chr, range(start, start + 2048)))


def assert_same(one: MarkupCodec, other: MarkupCodec) -> None:
    assert one.size == other.size
    assert one.control_ids == other.control_ids
    assert one.control == other.control
    assert one.token_bytes == other.token_bytes
    markup = "<|im_start|>user\nhi<|im_end|>\n<tool_call>"
    assert one.encode_markup(markup) == other.encode_markup(markup)


@pytest.mark.parametrize("tokenizer_json", SMALL)
@given(text=texts)
def test_tables_give_the_ids_of_the_tokenizer(tokenizer_json: Callable[[], str], text: str) -> None:
    one, other = small(tokenizer_json())
    assert one.encode_text(text) == other.encode_text(text)
    assert one.control_ids.isdisjoint(one.encode_text(text))


@pytest.mark.parametrize("tokenizer_json", SMALL)
def test_tables_know_the_control_tokens_and_bytes_of_the_tokenizer(tokenizer_json: Callable[[], str]) -> None:
    one, other = small(tokenizer_json())
    assert_same(one, other)
    assert one.decode(one.encode_text(SCRIPTS[7])) == SCRIPTS[7]


@pytest.mark.parametrize("tokenizer_json", SMALL)
@pytest.mark.parametrize(
    "long", ["x" * 5000, "order" * 900, " " * 4000, "\n " * 2000, "日本" * 900, "é" * 999]
)
def test_a_long_piece_is_merged_in_the_order_of_the_tokenizer(
    tokenizer_json: Callable[[], str], long: str
) -> None:
    one, other = small(tokenizer_json())
    assert one.encode_text(long) == other.encode_text(long)


@pytest.mark.slow
@pytest.mark.parametrize("tokenizer_json", SMALL)
def test_every_character_is_cut_like_the_tokenizer_cuts_it(tokenizer_json: Callable[[], str]) -> None:
    description = text_description(tokenizer_json())
    cut = Tokenizer.from_str(json.dumps(description)).pre_tokenizer
    table = make_table(description, TokenizerCodec(tokenizer_json()))
    assert cut is not None
    assert table is not None
    splitter = table.splitter()
    for some in characters():
        for between in ("", "'", "a", "1 "):
            text = between.join(some)
            pieces = [text[start:end] for _, (start, end) in cut.pre_tokenize_str(text)]
            assert list(splitter.pieces(text)) == pieces, f"{some[:1]!a} {between!r}"


@pytest.mark.parametrize(
    "tokenizer_json", [byte_level_json, padded_json, sentencepiece_json, unigram_json, word_piece_json]
)
def test_a_tokenizer_of_another_kind_is_built_each_time(
    tokenizer_json: Callable[[], str], tmp_path: Path
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer_json(), "utf-8")
    for _ in range(2):
        codec = load_codec_file(path, size=700)
        assert isinstance(codec, TokenizerCodec)
        assert_same(codec, TokenizerCodec(tokenizer_json(), size=700))


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `tokenizer.json` with an empty cache."""
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "tokenizer.json"
    file.write_text(qwen2_json(), "utf-8")
    return file


def kept(path: Path) -> Path:
    (file,) = (path.parent / "cache" / "tokenizers").iterdir()
    return file


def test_a_second_process_reads_the_tables_and_needs_no_tokenizer(path: Path) -> None:
    load_codec_file(path)
    program = (
        "import sys, pathlib\n"
        "from agentkit.models.codec_loading import load_codec_file\n"
        "codec = load_codec_file(pathlib.Path(sys.argv[1]))\n"
        "assert 'tokenizers' not in sys.modules\n"
        "print(*codec.encode_text('Where is my order 1042?'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60
    )
    ids = tuple(map(int, done.stdout.split()))
    assert ids == TokenizerCodec(qwen2_json()).encode_text("Where is my order 1042?"), done.stderr


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def changed(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def changed_name(file: Path) -> None:
    content = file.read_bytes()
    assert b"<tool_call>" in content
    file.write_bytes(content.replace(b"<tool_call>", b"<tool_calm>"))


def of_another_version(file: Path) -> None:
    content = file.read_bytes()
    assert b"tokenizer table 1" in content
    file.write_bytes(content.replace(b"tokenizer table 1", b"tokenizer table 0"))


@pytest.mark.parametrize("harm", [cut_off, empty, changed, changed_name, of_another_version])
def test_tables_that_cannot_be_used_are_made_again_with_one_line_in_the_log(
    harm: Callable[[Path], None], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load_codec_file(path)
    harm(kept(path))
    with caplog.at_level(logging.INFO, "agentkit"):
        codec = load_codec_file(path)
        again = load_codec_file(path)  # sound now
    assert [record.name for record in caplog.records] == ["agentkit.models"]
    assert "made again" in caplog.text
    assert_same(codec, TokenizerCodec(qwen2_json()))
    assert_same(again, codec)


def test_the_tables_of_another_tokenizer_are_not_taken(path: Path) -> None:
    load_codec_file(path)
    path.write_text(digits_json(), "utf-8")
    assert_same(load_codec_file(path), TokenizerCodec(digits_json()))


def test_a_folder_that_cannot_be_written_only_makes_it_slower(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (path.parent / "cache").write_text("a file where the folder should be", "utf-8")
    with caplog.at_level(logging.INFO, "agentkit"):
        codec = load_codec_file(path)
    assert "not kept" in caplog.text
    assert_same(codec, TokenizerCodec(qwen2_json()))


def test_a_larger_embedding_has_unused_rows_whoever_made_the_tables(path: Path) -> None:
    assert load_codec_file(path).size < 600
    codec = load_codec_file(path, size=600)
    assert codec.size == 600
    assert 599 in codec.control_ids


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"{}"])
def test_a_file_that_is_no_tokenizer_is_refused_with_its_name(path: Path, content: bytes | None) -> None:
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelRefused, match=r"tokenizer\.json"):
        load_codec_file(path)


@pytest.mark.weights
@pytest.mark.parametrize("name", CATALOGUE)
@given(text=texts)
@settings(max_examples=500)
def test_tables_of_the_catalogue_give_the_ids_of_the_tokenizer(name: str, text: str) -> None:
    one, other = real(name)
    assert isinstance(one, TableCodec)
    assert one.encode_text(text) == other.encode_text(text)
    assert one.control_ids.isdisjoint(one.encode_text(text))
    if "�" not in one.decode(one.encode_text(text)):
        assert one.decode(one.encode_text(text)) == sanitise(text)


@pytest.mark.weights
@pytest.mark.parametrize("name", CATALOGUE)
def test_every_token_of_the_catalogue_is_encoded_alike(name: str) -> None:
    one, other = real(name)
    assert_same(one, other)
    assert other.token_bytes is not None
    for token in range(0, other.size, 7):
        text = other.token_bytes[token].decode("utf-8", "ignore")
        assert one.encode_text(text + text) == other.encode_text(text + text)
