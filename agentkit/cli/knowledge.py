"""`agentkit knowledge`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from agentkit.bot import load_config
from agentkit.bot.data import data_folder, database_of
from agentkit.bot.load import knowledge_sources
from agentkit.cli.options import BotArgument, DatabaseOption, JsonOption
from agentkit.cli.progress import BarProgress
from agentkit.cli.terminal import err, out
from agentkit.knowledge import KnowledgeChanges, KnowledgeIndex
from agentkit.knowledge.vector_index import vector_search
from agentkit.models import Encoder, load_encoder
from agentkit.models.vector_cache import CachedEncoder
from agentkit.store.sqlite_store import SqliteStore

app = typer.Typer(help="Documents that a bot answers from.", no_args_is_help=True)

_TagOption = Annotated[
    list[str] | None, typer.Option("--tag", "-t", help="A word to find these documents by; may be repeated.")
]
_EncodingOption = Annotated[
    str | None,
    typer.Option(help="Encoding of text files that are not in UTF-8, for example cp1252."),
]


@app.command()
def add(
    bot: BotArgument,
    paths: Annotated[
        list[Path], typer.Argument(help="Files and folders: Markdown, text, HTML, PDF, CSV.", metavar="PATH…")
    ],
    tag: _TagOption = None,
    encoding: _EncodingOption = None,
    database: DatabaseOption = None,
) -> None:
    """Add documents, beside those in the bot's own folder.

    Each is cut at its headings and paragraphs and can be found as soon as it is stored. Adding it again takes what
    changed. A CSV file holds question/answer pairs: its first line names the columns question and answer. What cannot
    be read is named before anything is stored.
    """
    with _opened(bot, database) as (knowledge, _):
        _say(knowledge.add(paths, tags=tag or (), encoding=encoding))


@app.command("list")
def list_documents(bot: BotArgument, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """All documents: the bot's own and those that were added."""
    with _opened(bot, database) as (knowledge, _):
        records = knowledge.documents()
    if as_json:
        out.print_json(json.dumps([record.model_dump(mode="json") for record in records]))
        return
    table = Table(box=None, header_style="bold")
    for column in ("document", "passages", "tags", "from"):
        table.add_column(column, overflow="fold", justify="right" if column == "passages" else "left")
    for record in records:
        count = f"{record.chunks} pairs" if record.kind == "pairs" else str(record.chunks)
        table.add_row(
            Text(record.path), count, Text(", ".join(record.tags)), Text(record.origin or "the bot itself")
        )
    out.print(table)


@app.command()
def search(
    bot: BotArgument,
    query: Annotated[str, typer.Argument(help="A question, or words.")],
    limit: Annotated[int, typer.Option(min=1, help="Most passages to show.")] = 5,
    tag: _TagOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find passages by words and by meaning, with both scores."""
    with _opened(bot, database) as (knowledge, encoder):
        found = knowledge.search(encoder.encode([query])[0], query, limit, tags=tag or ())
    if as_json:
        out.print_json(json.dumps([passage.model_dump(mode="json") for passage in found]))
        return
    if not found:
        out.print(Text("Nothing was found.", style="dim"))
    for passage in found:
        place = f"{passage.document} › {passage.heading}" if passage.heading else passage.document
        out.print(
            Text.assemble(
                (place, "bold"),
                (f"  meaning {passage.similarity:.2f}, words {passage.words:.1f}", "dim"),
                (f"  [{passage.start}:{passage.end}]", "dim"),
            )
        )
        out.print(Text(f"  {' '.join(passage.text.split())}\n"))


@app.command()
def remove(
    bot: BotArgument,
    documents: Annotated[
        list[str], typer.Argument(help="Names, as `knowledge list` shows them.", metavar="DOCUMENT…")
    ],
    database: DatabaseOption = None,
) -> None:
    """Remove documents that were added."""
    with _opened(bot, database) as (knowledge, _):
        knowledge.remove(documents)
    out.print(f"Removed {_count(len(documents), 'document')}.")


@app.command()
def reindex(bot: BotArgument, encoding: _EncodingOption = None, database: DatabaseOption = None) -> None:
    """Read the files of all documents again, and embed what changed.

    After a change of the encoder in agent.yaml that is everything.
    """
    with _opened(bot, database) as (knowledge, _):
        changes = knowledge.reindex(encoding)
    _say(changes)
    for name in changes.missing:
        err.print(Text(f"The file of {name} is gone; the document was kept.", style="yellow"))


@contextmanager
def _opened(bot: Path, database: Path | None) -> Iterator[tuple[KnowledgeIndex, Encoder]]:
    """The bot's knowledge, with its own documents as they are now in its folder."""
    config = load_config(bot)
    sources = knowledge_sources(bot, config)
    progress = BarProgress(err)
    path = database or database_of(bot)
    with SqliteStore.open(path) as store:
        encoder = load_encoder(config.encoder, progress=progress)
        authored = CachedEncoder(encoder, data_folder() / "vectors.db")
        table = store.knowledge("default")
        vectors = vector_search(table, authored.id, path, progress)
        knowledge = KnowledgeIndex(table, authored, progress, vectors)
        knowledge.sync(sources)
        yield knowledge, encoder


def _say(changes: KnowledgeChanges) -> None:
    unchanged = f" {_count(changes.unchanged, 'other')} had not changed." if changes.unchanged else ""
    out.print(f"Stored {_count(len(changes.stored), 'document')}.{unchanged}")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
