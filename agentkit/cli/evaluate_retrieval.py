"""`agentkit eval retrieval`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from agentkit.bot.config import DEFAULT_ENCODER
from agentkit.cli.options import JsonOption
from agentkit.cli.progress import BarProgress
from agentkit.cli.terminal import err, out
from agentkit.knowledge.retrieval_evaluation import (
    READ,
    RetrievalScores,
    evaluate_retrieval,
    read_retrieval_rows,
    write_run,
)
from agentkit.models import load_encoder
from agentkit.store.sqlite_store import SqliteStore


def retrieval(
    corpus: Annotated[Path, typer.Option(help='JSON Lines: {"_id", "title", "text"}.')],
    queries: Annotated[Path, typer.Option(help='JSON Lines: {"_id", "text"}.')],
    qrels: Annotated[Path, typer.Option(help="Query, document and score, separated by tabs.")],
    encoder: Annotated[
        str, typer.Option(help="Catalogue name, folder or Hugging Face id.")
    ] = DEFAULT_ENCODER,
    run: Annotated[
        Path | None, typer.Option(help="Write the hybrid rankings here, as a TREC run file.")
    ] = None,
    words: Annotated[
        int, typer.Option(min=0, help="How many words of each text the encoder reads, besides the title.")
    ] = READ,
    as_json: JsonOption = False,
) -> None:
    """Search in a collection in BEIR form: by words, by meaning and by both, side by side.

    The documents are stored and searched as the knowledge of a bot is, in a database that is thrown away afterwards.
    """
    rows = read_retrieval_rows(corpus, queries, qrels)
    progress = BarProgress(err)
    loaded = load_encoder(encoder, progress=progress)
    with (
        tempfile.TemporaryDirectory(prefix="agentkit-") as folder,
        SqliteStore.open(Path(folder) / "retrieval.db") as store,
    ):
        scores = evaluate_retrieval(rows, store.knowledge("default"), loaded, progress, words=words)
    if run is not None:
        write_run(run, scores)
    if as_json:
        out.print_json(scores.to_json())
    else:
        _show(scores)


def _show(scores: RetrievalScores) -> None:
    table = Table(
        title=f"{scores.queries:,} queries over {scores.documents:,} documents, stored in "
        f"{scores.indexing_seconds:,.1f} s",
        title_justify="left",
        box=None,
        header_style="bold",
    )
    table.add_column("")
    for name in ("nDCG@10", "recall@10", "recall@100", "MRR@10", "ms, median", "ms, 95 %"):
        table.add_column(name, justify="right")
    for way, found in scores.ways.items():
        table.add_row(
            Text(way),
            *(f"{value:.4f}" for value in (found.ndcg_10, found.recall_10, found.recall_100, found.mrr_10)),
            f"{found.milliseconds_p50:.1f}",
            f"{found.milliseconds_p95:.1f}",
        )
    out.print(table)
