"""Every kind of document becomes passages under headings, or a message with file and line."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.errors import BotFileError
from agentkit.knowledge.decoding import decode, read_bytes
from agentkit.knowledge.documents import SourceDocument, cut, files_of, read_content
from agentkit.knowledge.html_text import declared_encoding, html_blocks
from tests.knowledge.pdf_files import pdf

Reader = Callable[[str, bytes], SourceDocument]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    def read(name: str, content: bytes) -> SourceDocument:
        path = tmp_path / name
        path.write_bytes(content)
        return cut(name, path, read_content(path))

    return read


def passages(document: SourceDocument) -> list[tuple[str, str]]:
    return [(chunk.heading, chunk.text) for chunk in document.chunks]


def html(text: str) -> list[tuple[tuple[str, ...], str]]:
    whole, blocks = html_blocks(text)
    return [(block.headings, whole[block.start : block.end].strip()) for block in blocks]


def test_plain_text_has_paragraphs_and_no_headings(read: Reader) -> None:
    long = "word " * 50
    found = passages(read("notes.txt", f"# no heading\n{long}\n\n{long}\n".encode()))
    assert [heading for heading, _ in found] == ["", ""]
    assert found[0][1].startswith("# no heading")


def test_html_has_the_headings_that_a_reader_sees(read: Reader) -> None:
    page = b"""<!doctype html><title>Returns - Shop</title><script>alert("x")</script><style>p {}</style>
    <nav><a href="/">Home</a></nav><p>Within <b>30</b> days.
    <h2>What does it&nbsp;cost?</h2><div>Nothing<br>at all.</div><h3>Large items</h3><p>19 EUR.<p hidden>secret"""
    assert passages(read("returns.html", page)) == [
        ("Returns - Shop", "Within 30 days."),
        ("Returns - Shop › What does it cost?", "Nothing\nat all."),
        ("Returns - Shop › What does it cost? › Large items", "19 EUR."),
    ]


def test_the_first_heading_of_a_page_takes_the_place_of_its_title() -> None:
    assert html("<title>T</title><p>a</p><h1>H <i>one</i></h1><p>b</p>") == [(("T",), "a"), (("H one",), "b")]


def test_lists_and_tables_of_html_stay_whole() -> None:
    assert html("<ul><li>one<li>two</ul><table><tr><th>size<th>price<tr><td>M<td>5</table>") == [
        ((), "- one\n- two"),
        ((), "| size | price\n| M | 5"),
    ]


def test_preformatted_text_keeps_its_lines() -> None:
    assert html("<p>a</p><pre>x\n  y</pre>")[1][1] == "x\n  y"


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<",
        "<p",
        "</div></div>",
        "<script>never closed",
        "<table><table><table>",
        "<div>" * 5000 + "deep",
        "<svg><script>x</script></svg>",
        "<!-- <p>no</p>",
        "<template><p>no</p></template>",
    ],
)
def test_no_script_and_no_broken_page_gets_in_the_way(page: str) -> None:
    assert [text for _, text in html(page)] in ([], ["deep"], ["<"])


@given(st.text())
def test_any_text_is_a_page(text: str) -> None:
    whole, blocks = html_blocks(text)
    assert all(0 <= block.start < block.end <= len(whole) for block in blocks)


def test_a_page_says_itself_how_it_is_encoded(read: Reader) -> None:
    page = '<meta charset="iso-8859-1"><p>Café – 5 €'.encode("cp1252")
    assert declared_encoding(page) == "cp1252"
    assert passages(read("cafe.html", page)) == [("", "Café – 5 €")]


def test_a_pdf_has_pages_below_its_chapters(read: Reader) -> None:
    content = pdf(["Sofas are returned\nwithin 30 days.", "Lamps too."], chapters=["Returns"])
    assert passages(read("manual.pdf", content)) == [
        ("Returns › page 1", "Sofas are returned\nwithin 30 days."),
        ("Returns › page 2", "Lamps too."),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pdf(["", ""]), "holds no text on its 2 pages"),
        (pdf(["secret"], password="sesame"), "is encrypted"),
        (pdf(["some text here"])[:200], "is no PDF that can be read"),
        (b"%PDF-1.7\n", "is no PDF that can be read"),
        (b"", "is no PDF that can be read"),
        (os.urandom(1000), "is no PDF that can be read"),
    ],
)
def test_a_pdf_that_cannot_be_read_is_named(read: Reader, content: bytes, message: str) -> None:
    with pytest.raises(BotFileError, match=message) as caught:
        read("manual.pdf", content)
    assert caught.value.path.name == "manual.pdf"
    assert caught.value.hint


_WITHOUT_AES = """
import sys
sys.modules["cryptography"] = sys.modules["Crypto"] = None
from pathlib import Path
from agentkit.errors import BotFileError
from agentkit.knowledge.pdf_text import pdf_blocks
try:
    pdf_blocks(sys.stdin.buffer.read(), Path("manual.pdf"))
except BotFileError as problem:
    print(problem)
"""


def test_an_encrypted_pdf_is_named_where_the_package_that_could_open_it_is_missing() -> None:
    content = pdf(["secret"], password="", algorithm="AES-256")
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_AES], input=content, capture_output=True, check=True
    )
    assert b"is encrypted" in done.stdout


@pytest.mark.parametrize("name", ["utf-16", "utf-16le", "UTF-16BE"])
def test_a_page_that_can_be_read_in_ascii_is_not_in_utf_16_whatever_it_says(read: Reader, name: str) -> None:
    page = f'<meta charset="{name}"><p>Café – 5 €'.encode()
    assert passages(read("page.html", page)) == [("", "Café – 5 €")]


def test_a_pdf_without_a_password_to_read_it_is_read(read: Reader) -> None:
    assert passages(read("manual.pdf", pdf(["open"], password=""))) == [("page 1", "open")]


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=20))
def test_a_damaged_pdf_is_an_error_of_ours_or_read(place: int, damage: bytes) -> None:
    content = bytearray(pdf(["some text here", "and more"], chapters=["One"]))
    content[place : place + len(damage)] = damage
    with contextlib.suppress(BotFileError):  # anything else fails the test
        assert cut("m.pdf", Path("m.pdf"), bytes(content)).chunks


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_pairs_come_from_a_table(read: Reader, encoding: str, delimiter: str) -> None:
    rows = [("Id", "Answer", " Question "), ("1", '"Yes, €5;\nor ""free""."', "Is it free?"), ("", "", "")]
    document = read("faq.csv", "\r\n".join(delimiter.join(row) for row in rows).encode(encoding))
    assert document.kind == "pairs"
    assert passages(document) == [("Is it free?", 'Yes, €5;\nor "free".')]


@pytest.mark.parametrize(
    ("table", "line", "message"),
    [
        ("", 1, "no column 'question'"),
        ("question;reply\na;b\n", 1, "no column 'answer'"),
        ("question,answer\n", None, "holds no question"),
        ("question,answer\nWhy?,Because.\nWhen?\n", 3, "is empty"),
        ("question,answer\nWhy?,Because.\n\nwhy?,No.\n", 4, "line 2 asks the same"),
        ('question,answer\n"Why?,Because.\n', None, "is no CSV"),
    ],
)
def test_a_table_that_is_wrong_is_named_with_its_line(
    read: Reader, table: str, line: int | None, message: str
) -> None:
    with pytest.raises(BotFileError, match=message) as caught:
        read("faq.csv", table.encode())
    assert caught.value.line == line or line is None


def test_sixteen_bit_text_with_a_mark_is_read_and_without_one_is_asked_about(read: Reader) -> None:
    assert passages(read("a.md", "# Größe\n\n5 €\n".encode("utf-16"))) == [("Größe", "5 €")]
    with pytest.raises(BotFileError, match="NUL") as caught:
        read("b.md", "first\nsecond".encode("utf-16-le"))
    assert "--encoding utf-16-le" in caught.value.hint
    assert decode("5 €".encode("utf-16-le"), Path("b.md"), "utf-16-le") == "5 €"


def test_bytes_of_another_encoding_are_named_with_their_line() -> None:
    content = "one\ntwo\ncafé".encode("cp1252")
    with pytest.raises(BotFileError, match=r"UTF-8 text \(byte 11\)") as caught:
        decode(content, Path("menu.txt"))
    assert caught.value.line == 3
    assert decode(content, Path("menu.txt"), "cp1252").endswith("café")
    with pytest.raises(BotFileError, match="no encoding 'klingon'"):
        decode(content, Path("menu.txt"), "klingon")


def test_a_file_of_200_megabytes_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    with path.open("wb") as stream:
        stream.truncate(200 * 2**20)
    with pytest.raises(BotFileError, match="has 200 MB, which is more than 16 MB"):
        read_content(path)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "growing.txt"
    path.write_text("x" * 1000)
    stop = threading.Event()

    def grow() -> None:
        with path.open("a") as stream:
            while not stop.is_set():
                stream.write("y" * 200_000)
                stream.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        with pytest.raises(BotFileError, match=r"changed each|more than"):
            read_often(path)
    finally:
        stop.set()
        writer.join()
    path.write_text("done")
    assert read_bytes(path, 100) == b"done"


def read_often(path: Path) -> None:
    for _ in range(10_000):
        read_bytes(path, 2**28)


def test_known_endings_are_taken_from_a_folder_and_any_file_by_name(tmp_path: Path) -> None:
    for name in ("a.md", "b.HTML", "c.pdf", "d.csv", "e.png", ".f.md", "README"):
        (tmp_path / name).write_text("x")
    assert list(files_of([tmp_path])) == ["a.md", "b.HTML", "c.pdf", "d.csv"]
    assert list(files_of([tmp_path / "README"])) == ["README"]
