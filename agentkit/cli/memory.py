"""`agentkit memory`."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from agentkit.bot import load_config
from agentkit.cli.options import BotArgument, DatabaseOption, JsonOption, UserOption
from agentkit.cli.progress import BarProgress
from agentkit.cli.store import open_database
from agentkit.cli.terminal import err, out
from agentkit.errors import ConfigurationError, InputRejected, RecordNotFound
from agentkit.memory import Recall
from agentkit.memory.export import as_markdown, export_user
from agentkit.models import load_encoder
from agentkit.models.paths import cache_folder
from agentkit.store.erasure_records import ErasedKinds, ErasureReceipt
from agentkit.store.protocol import UserStore
from agentkit.store.records import MemoryRecord
from agentkit.store.sqlite_store import SqliteStore

app = typer.Typer(
    help="What a bot remembers of a user: look at it, change it, hand it out, erase it.", no_args_is_help=True
)

_SHORT_ID = 8  # the end of an id is random, its beginning is the time
_WaitOption = Annotated[float, typer.Option(min=0, help="Seconds to wait for programs that still read.")]


@app.command()
def show(
    bot: BotArgument,
    user: UserOption = "guest",
    database: DatabaseOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Messages, too, not only facts.")] = False,
    history: Annotated[bool, typer.Option("--history", help="Facts that were replaced, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What is remembered of a user, oldest first."""
    with _opened(bot, database) as store:
        records = store.for_user("default", user).memories(None if everything else "fact", replaced=history)
    if as_json:
        out.print_json(json.dumps([record.model_dump(mode="json") for record in records]))
        return
    if not records:
        out.print(Text(f"Nothing is remembered of {user}.", style="dim"))
        return
    table = Table(box=None, header_style="bold")
    for column in ("id", "since", "kind", "trust", "text"):
        table.add_column(column, overflow="fold")
    for record in records:
        style = "dim strike" if record.replaced_by else ""
        table.add_row(
            record.id[-_SHORT_ID:],
            f"{record.created_at:%Y-%m-%d %H:%M}",
            record.kind,
            record.trust,
            Text(record.text, style=style),
        )
    out.print(table)


@app.command()
def search(
    bot: BotArgument,
    query: Annotated[str, typer.Argument(help="What to look for, in any words.")],
    user: UserOption = "guest",
    database: DatabaseOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Most memories to show.")] = 5,
) -> None:
    """Find memories of a user by meaning and words, as the bot does, with score and similarity."""
    with _recall(bot, database, user) as recall:
        found = recall.search(query, limit=limit, min_similarity=-1.0)
        stale = recall.stale()
    if not found and not stale:
        out.print(Text(f"Nothing is remembered of {user}.", style="dim"))
    for each in found:
        out.print(Text(f"  {each.score:5.2f}  {each.similarity:5.2f}  {each.kind:7}  {each.text}"))
    if stale:
        out.print(
            Text(f"{stale} more have no vector of this encoder. agentkit memory embed {bot}", style="yellow")
        )


@app.command()
def add(
    bot: BotArgument,
    text: Annotated[str, typer.Argument(help="One statement, in the user's words.")],
    user: UserOption = "guest",
    database: DatabaseOption = None,
) -> None:
    """Remember a fact about a user. A fact that says otherwise stays as history."""
    if not text.strip():
        raise InputRejected("There is nothing to remember.", hint="Give a sentence.")
    with _recall(bot, database, user, create=True) as recall:
        memory_id = recall.remember(text.strip())
    out.print(Text(f"Remembered of {user} as {memory_id[-_SHORT_ID:]}."))


@app.command()
def forget(
    bot: BotArgument,
    memory_id: Annotated[str, typer.Argument(help="The id that `memory show` prints, or the whole id.")],
    user: UserOption = "guest",
    database: DatabaseOption = None,
    wait: _WaitOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Forget one memory and search the raw bytes for it. The conversation in which it was said is kept.

    `memory erase` removes everything. Exits with 1 if something is left.
    """
    with _opened(bot, database) as store:
        mine = store.for_user("default", user)
        record = _named(mine, memory_id)
        receipt = mine.remove_memory(record.id, wait=wait, beside=_cache_files())
    if not as_json:
        out.print(Text(f"Forgotten: {record.text}"))
    _print_receipt(receipt, as_json=as_json)


@app.command()
def embed(
    bot: BotArgument,
    user: Annotated[
        str | None, typer.Option("--user", "-u", help="Only memories of this user; else of all.")
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """Embed what the bot's encoder has no vectors of: after a change of `encoder` in agent.yaml.

    Until then those memories are kept and shown, but not recalled.
    """
    with _opened(bot, database) as store:
        encoder = load_encoder(load_config(bot).encoder, progress=BarProgress(err))
        owners = store.remembered_users() if user is None else [("default", user)]
        done = {owner: Recall(store.for_user(*owner), encoder).embed_again() for owner in owners}
    for (_, name), count in done.items():
        if count:
            out.print(Text(f"  {count:6}  {name}"))
    out.print(Text(f"Embedded {sum(done.values())} memories with {encoder.id}."))


@app.command()
def export(
    bot: BotArgument,
    user: UserOption = "guest",
    database: DatabaseOption = None,
    folder: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path(),
) -> None:
    """Write everything that is kept of a user as JSON and as Markdown, and files that tools made as they are."""
    with _opened(bot, database) as store:
        mine = store.for_user("default", user)
        exported, kept = export_user(mine, datetime.now(UTC)), mine.files()
    name = _as_file_name(user) or "user"
    written = {
        folder / f"{name}.json": exported.model_dump_json(indent=2).encode(),
        folder / f"{name}.md": as_markdown(exported).encode(),
    } | {
        folder / f"{name}-files" / f"{each.hash[:12]}-{_as_file_name(each.name)}": each.content
        for each in kept
    }
    for path, content in written.items():
        _write_private(path, content)
        out.print(Text(f"Wrote {path}"))


@app.command()
def erase(
    bot: BotArgument,
    user: Annotated[str, typer.Option("--user", "-u", help="Whose data.")],
    database: DatabaseOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: _WaitOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Erase everything of a user and search the raw bytes of database, log and cache for what was erased.

    Exits with 1 if something is left.
    """
    with _opened(bot, database) as store:
        mine = store.for_user("default", user)
        if not yes:
            count = (
                f"{len(mine.conversations())} conversations and {len(mine.memories(replaced=True))} memories"
            )
            typer.confirm(f"Erase {count} of {user} for good?", abort=True)
        receipt = mine.erase(wait=wait, beside=_cache_files())
    _print_receipt(receipt, as_json=as_json)


@app.command()
def expire(
    bot: BotArgument,
    database: DatabaseOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be erased.")] = False,
    wait: _WaitOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Erase what is older than `retention` in agent.yaml allows, of all users."""
    retention = load_config(bot).retention
    if all(days is None for days in retention.model_dump().values()):
        raise ConfigurationError(
            f"{bot / 'agent.yaml'} says nothing about how long something is kept.",
            hint="Add `retention:` with days for conversations, events, messages, facts, replaced or files.",
        )
    with _opened(bot, database) as store:
        if not dry_run:
            _print_receipt(store.expire(retention, wait=wait, beside=_cache_files()), as_json=as_json)
            return
        counts = store.expired(retention)
    if as_json:
        out.print_json(counts.model_dump_json())
    else:
        out.print(Text(f"Would erase {_counted(counts)}."))


@app.command()
def stats(
    bot: BotArgument, user: UserOption = "guest", database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """How much is kept of a user."""
    with _opened(bot, database) as store:
        mine = store.for_user("default", user)
        records = mine.memories(replaced=True)
        turns = [turn for each in mine.conversations() for turn in mine.turns(each.id)]
        conversations = len(mine.conversations())
    kinds = Counter("replaced" if record.replaced_by else record.kind for record in records)
    figures = {
        "conversations": conversations,
        "turns": len(turns),
        "open turns": sum(turn.status == "open" for turn in turns),
        "facts": kinds["fact"],
        "replaced facts": kinds["replaced"],
        "messages": kinds["message"],
        "without a vector": sum(not record.encoder_id for record in records),
        "oldest memory": f"{records[0].created_at:%Y-%m-%d}" if records else "",
        "newest memory": f"{records[-1].created_at:%Y-%m-%d}" if records else "",
    }
    if as_json:
        out.print_json(json.dumps(figures))
        return
    table = Table(box=None, show_header=False)
    for name, figure in figures.items():
        table.add_row(name, str(figure))
    out.print(table)


def _print_receipt(receipt: ErasureReceipt, *, as_json: bool) -> None:
    if as_json:
        out.print_json(receipt.model_dump_json())
    else:
        out.print(Text(f"Erased {_counted(receipt.erased)}."))
        searched = f"{len(receipt.searched)} files, {receipt.bytes_searched / 1e6:.1f} MB"
        again = "; every page was written anew" if receipt.rewritten else ""
        out.print(
            Text(f"Searched {searched}, for {receipt.pieces} pieces in {receipt.seconds:.1f} s{again}.")
        )
        for remnant in receipt.remnants:
            out.print(Text(f"Still in {remnant.path}: {remnant.pieces} pieces.", style="red"))
        if not receipt.remnants:
            out.print(Text("Nothing of it is left in them."))
        for path in receipt.not_reached:
            out.print(Text(f"Not reached: {path} looks like a copy of the database.", style="yellow"))
        out.print(
            Text(
                "Not reached: backups, exported files, logs of other programs, what running programs hold in "
                "memory, and blocks that a disk keeps by itself.",
                style="dim",
            )
        )
    if receipt.remnants:
        raise typer.Exit(1)


def _counted(counts: ErasedKinds) -> str:
    parts = [f"{count} {kind}" for kind, count in counts.model_dump().items() if count]
    return ", ".join(parts) if parts else "nothing: there was nothing"


def _cache_files() -> list[Path]:
    """What lies in the cache folder, except weights: those were there before anybody said anything."""
    folder = cache_folder()
    weights = folder / "models"
    files = (file for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else iter(())
    return [file for file in files if weights not in file.parents and not file.name.startswith("int8.")]


def _named(store: UserStore, memory_id: str) -> MemoryRecord:
    """The one memory with this id or this end of an id."""
    found = [record for record in store.memories(replaced=True) if record.id.endswith(memory_id)]
    if len(found) != 1 or not memory_id:
        how_many = (
            f"{len(found)} memories have ids that end"
            if found and memory_id
            else "No memory has an id that ends"
        )
        raise RecordNotFound(
            f"{how_many} in {memory_id!r}.",
            hint="`agentkit memory show BOT --all --history` lists them with ids.",
        )
    return found[0]


def _as_file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only this user can read."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
    except OSError as problem:
        raise ConfigurationError(
            f"{path} cannot be written: {problem.strerror}.", hint="Choose another folder with --out."
        ) from problem


@contextmanager
def _recall(bot: Path, database: Path | None, user: str, *, create: bool = False) -> Iterator[Recall]:
    with _opened(bot, database, create=create) as store:
        encoder = load_encoder(load_config(bot).encoder, progress=BarProgress(err))
        yield Recall(store.for_user("default", user), encoder)


@contextmanager
def _opened(bot: Path, database: Path | None, *, create: bool = False) -> Iterator[SqliteStore]:
    with open_database(bot, database, create=create) as store:
        yield store
