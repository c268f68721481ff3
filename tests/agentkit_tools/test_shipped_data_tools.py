"""The shipped tools that touch files, databases and the web, and everything that a model may try with them."""

from __future__ import annotations

import http.server
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentkit import KnowledgeService, Toolset, text_of
from agentkit.messages import ToolResult
from agentkit.testing import ToolHarness
from agentkit.tools import KnowledgeHit, get_tool
from agentkit_tools import file_tools, query_tools, web_tools
from agentkit_tools.knowledge import search_knowledge


def call(toolset: Toolset, name: str, /, **arguments: Any) -> ToolResult:
    return ToolHarness(get_tool(toolset, name)).call(arguments)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to serve, beside a secret."""
    (tmp_path / "secret.txt").write_text("the secret", encoding="utf-8")
    inside = tmp_path / "inside"
    (inside / "reports").mkdir(parents=True)
    (inside / "notes.md").write_text("one\ntwo\nthree\n", encoding="utf-8")
    (inside / "reports" / "may.md").write_text("May was warm.", encoding="utf-8")
    (inside / "image.bin").write_bytes(b"\xff\xfe\x00")
    (inside / "out").symlink_to(tmp_path)
    (inside / "link.txt").symlink_to(tmp_path / "secret.txt")
    (inside / "within.md").symlink_to(inside / "notes.md")
    os.mkfifo(inside / "pipe")
    return inside


def test_files_are_listed_and_read(folder: Path) -> None:
    files = file_tools(folder)
    assert call(files, "list_files").data == ["image.bin", "notes.md", "reports/may.md"]
    assert call(files, "list_files", pattern="*.md").data == ["notes.md", "reports/may.md"]
    assert text_of(call(files, "read_file", path="reports/may.md")) == "May was warm."
    assert text_of(call(files, "read_file", path="notes.md", first_line=2, lines=1)) == "two\n"
    assert [tool.name for tool in files.tools()] == ["list_files", "read_file"]


PATHS = [
    "../secret.txt", "reports/../../secret.txt", "/etc/passwd", "link.txt", "out/secret.txt", "within.md", "pipe",
    "reports", ".", "", "..\\secret.txt", "C:\\secret.txt", "reports//may.md", "./notes.md", "notes.md/", "a\x00b",
    "image.bin", "nothing.md", "notes.md/x", "~/secret.txt", "file:///etc/passwd", "%2e%2e/secret.txt",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out_and_no_trick_reads_anything(folder: Path, path: str) -> None:
    started = time.monotonic()
    result = call(file_tools(folder, writable=True), "read_file", path=path)
    assert result.status in ("failed", "retry")
    assert "secret\n" not in text_of(result)
    assert "the secret" not in text_of(result)
    assert time.monotonic() - started < 5, "a pipe is not waited for"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=200)
@given(
    st.lists(
        st.sampled_from(["..", ".", "out", "link.txt", "reports", "/", "secret.txt", "\\", "inside"]),
        max_size=6,
    )
)
def test_no_combination_of_steps_reads_the_secret(folder: Path, steps: list[str]) -> None:
    result = call(file_tools(folder), "read_file", path="/".join(steps) or "x")
    assert "the secret" not in text_of(result)


@pytest.mark.parametrize(
    "path", ["../new.txt", "/tmp/agentkit-new.txt", "link.txt", "out/new.txt", "pipe", "reports", "no/x"]
)
def test_nothing_is_written_outside(folder: Path, path: str) -> None:
    before = sorted(folder.parent.rglob("*"))
    result = call(file_tools(folder, writable=True), "write_file", path=path, text="x")
    assert result.status in ("failed", "retry")
    assert sorted(folder.parent.rglob("*")) == before
    assert (folder.parent / "secret.txt").read_text(encoding="utf-8") == "the secret"


def test_a_file_is_written_and_replaced(folder: Path) -> None:
    files = file_tools(folder, writable=True)
    for text in ("a longer text", "short"):
        result = ToolHarness(get_tool(files, "write_file")).check_effect(
            {"path": "reports/june.md", "text": text}
        )
        assert result.data == {"path": "reports/june.md", "bytes": len(text)}
    assert text_of(call(files, "read_file", path="reports/june.md")) == "short"
    assert get_tool(files, "write_file").authority == {"path"}


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    with (folder / "large.txt").open("wb") as file:
        file.truncate(6_000_000)
    assert "at most 5000000" in text_of(call(file_tools(folder), "read_file", path="large.txt"))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER, article TEXT, price REAL)")
        rows = [(number, f"article {number}", number * 1.5) for number in range(500)]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    connection.close()
    return path


def test_a_database_is_asked(shop: Path) -> None:
    data = query_tools(database=shop)
    described = call(data, "describe_data").data
    assert described == [
        {"table": "orders", "made_by": "CREATE TABLE orders (id INTEGER, article TEXT, price REAL)"}
    ]
    answer = call(data, "query_data", sql="SELECT count(*) AS n, max(price) FROM orders WHERE id < 10").data
    assert answer == {"columns": ["n", "max(price)"], "rows": [[10, 13.5]]}
    for tool in data.tools():
        ToolHarness(tool).check_schema() if tool.spec.parameters["properties"] else None
    ToolHarness(get_tool(data, "query_data")).check_effect({"sql": "SELECT 1"})


def test_rows_and_cells_are_bounded(shop: Path) -> None:
    data = query_tools(database=shop, rows=10)
    answer = call(data, "query_data", sql="SELECT id, hex(zeroblob(1)) FROM orders")
    assert answer.status == "retry"
    answer = call(
        data, "query_data", sql="SELECT id, replace(printf('%900s', ''), ' ', 'x'), x'00ff' FROM orders"
    )
    assert isinstance(answer.data, dict)
    rows = answer.data["rows"]
    assert isinstance(rows, list)
    assert len(rows) == 10
    assert rows[3] == [3, "x" * 500 + "…", "[2 bytes]"]
    assert answer.data["more"] == "only the first 10 rows are here"


WRITES = [
    "DELETE FROM orders", "UPDATE orders SET price = 0", "INSERT INTO orders VALUES (1, 'x', 1)", "DROP TABLE orders",
    "CREATE TABLE x (a)", "CREATE TEMP TABLE x (a)", "CREATE VIRTUAL TABLE x USING fts5(a)", "VACUUM", "REINDEX",
    "VACUUM INTO '{outside}'", "ATTACH DATABASE '{outside}' AS other", "ATTACH '/etc/passwd' AS p", "BEGIN", "COMMIT",
    "PRAGMA writable_schema = ON", "PRAGMA query_only = OFF", "PRAGMA database_list",
    "SELECT * FROM pragma_database_list",
    "SELECT load_extension('x')", "SELECT writefile('{outside}', 'x')", "SELECT readfile('/etc/passwd')",
    "SELECT * FROM sqlite_dbpage", "SELECT 1; DELETE FROM orders", "WITH x AS (SELECT 1) DELETE FROM orders",
    "EXPLAIN DELETE FROM orders", "ANALYZE", "DETACH main", "SELECT randomblob(900000000)", "", "   ", "-- nothing",
    "SELECT zeroblob(900000000)", "not sql at all", "SELECT * FROM nowhere", "REPLACE INTO orders VALUES (1, 'x', 1)",
]  # fmt: skip


@pytest.mark.parametrize("sql", WRITES)
def test_a_query_that_is_no_question_changes_nothing(shop: Path, tmp_path: Path, sql: str) -> None:
    before = shop.read_bytes()
    outside = tmp_path / "outside.db"
    result = call(query_tools(database=shop), "query_data", sql=sql.format(outside=outside))
    assert result.status in ("retry", "failed"), text_of(result)
    assert shop.read_bytes() == before
    assert not outside.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop.db"]


ENDLESS = [
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
    "SELECT count(*) FROM orders a, orders b, orders c, orders d",
    "SELECT count(*) FROM orders a, orders b, orders c WHERE a.article || b.article LIKE '%' || c.article || '%z'",
]


@pytest.mark.parametrize("sql", ENDLESS)
def test_a_query_that_never_ends_is_stopped(shop: Path, sql: str) -> None:
    started = time.monotonic()
    result = call(query_tools(database=shop, seconds=0.5), "query_data", sql=sql)
    assert (result.status, text_of(result)) == ("failed", "the query took longer than 0.5 seconds")
    assert time.monotonic() - started < 5


def test_csv_files_are_tables_and_read_again_when_they_change(tmp_path: Path) -> None:
    prices, empty = tmp_path / "price list.csv", tmp_path / "empty.csv"
    prices.write_text("\ufeffarticle,price\nlamp,19.5\nsofa,300\n", encoding="utf-8")
    empty.write_text("", encoding="utf-8")
    data = query_tools(csv_files=[prices, empty])
    question = "SELECT article FROM price_list WHERE price > 100"
    assert call(data, "query_data", sql=question).data == {"columns": ["article"], "rows": [["sofa"]]}
    prices.write_text("article,price\nbed,500\n", encoding="utf-8")
    assert call(data, "query_data", sql=question).data == {"columns": ["article"], "rows": [["bed"]]}
    prices.unlink()
    assert call(data, "query_data", sql=question).status == "failed"


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    result = call(query_tools(database=tmp_path / "none.db"), "query_data", sql="SELECT 1")
    assert (result.status, text_of(result)) == ("failed", "the data is not there")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "bad.db").write_text("no database", encoding="utf-8")
    assert (
        call(query_tools(database=tmp_path / "bad.db"), "query_data", sql="SELECT * FROM x").status == "retry"
    )


@pytest.mark.parametrize("arguments", [{}, {"database": "a.db", "csv_files": ["a.csv"]}])
def test_either_a_database_or_files_must_be_named(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="either a `database` or `csv_files`"):
        query_tools(**arguments)


class Pages(http.server.BaseHTTPRequestHandler):
    """Some pages, one of them a way out."""

    def do_GET(self) -> None:
        if self.path == "/out":
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
            self.end_headers()
            return
        found = {"/json": ("application/json", b'{"a": 1}'), "/text": ("text/html", b"<p>hello</p>")}.get(
            self.path
        )
        kind, body = found or ("text/plain", b"not here")
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def host() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_pages_of_listed_hosts_are_read(host: str) -> None:
    web = web_tools([host], private=True)
    assert call(web, "http_get", url=f"http://{host}/json").data == {"a": 1}
    page = call(web, "http_get", url=f"http://{host}/text")
    assert (text_of(page), page.parts[0].trust) == ("<p>hello</p>", "untrusted")
    assert call(web, "http_get", url=f"http://{host}/none").status == "failed"
    ToolHarness(get_tool(web, "http_get")).check_effect({"url": f"http://{host}/json"}, connects=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "http://169.254.169.254/",
        "ftp://x/",
        "x",
        "",
        "http://127.0.0.1/",
        "http://[::1]/",
    ],
)
def test_other_hosts_are_not_reached(host: str, url: str) -> None:
    assert call(web_tools([host], private=True), "http_get", url=url).status == "retry"


def test_a_redirect_to_the_inside_of_a_cloud_is_not_followed(host: str) -> None:
    result = call(web_tools([host, "169.254.169.254"], private=True), "http_get", url=f"http://{host}/out")
    assert (result.status, "must not be reached" in text_of(result)) == ("failed", True)


def test_a_private_host_needs_to_be_declared(host: str) -> None:
    assert "must not be reached" in text_of(call(web_tools([host]), "http_get", url=f"http://{host}/json"))


class Documents:
    """A knowledge service with one passage."""

    def search(self, query: str, limit: int) -> list[KnowledgeHit]:
        hits = [KnowledgeHit("returns.md", "Returns", "Within 30 days.", 0.9)]
        return hits[:limit] if "return" in query else []


def test_the_documents_of_the_bot_are_searched() -> None:
    assert isinstance(Documents(), KnowledgeService)
    harness = ToolHarness(search_knowledge, services={"knowledge": Documents()})
    harness.check_schema()
    found = harness.check_effect({"query": "how do I return a table"})
    assert found.data == [{"document": "returns.md", "heading": "Returns", "text": "Within 30 days."}]
    assert harness.call({"query": "gift cards"}).status == "failed"
    assert text_of(ToolHarness(search_knowledge).call({"query": "x"})) == "this agent has no documents"
