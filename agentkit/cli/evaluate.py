"""`agentkit eval`: measure a model on your own files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

import typer
from rich.progress import track
from rich.table import Table
from rich.text import Text

from agentkit.agent import Settings
from agentkit.bot.config import DEFAULT_ENCODER, DEFAULT_GENERATOR
from agentkit.cli.evaluate_retrieval import retrieval
from agentkit.cli.evaluate_slots import slots
from agentkit.cli.options import JsonOption
from agentkit.cli.progress import BarProgress
from agentkit.cli.terminal import err, out
from agentkit.errors import ConfigurationError
from agentkit.knowledge.answerability import Judge
from agentkit.knowledge.evaluation import (
    evaluate_grounding,
    read_grounding_cases,
    summarise_grounding,
)
from agentkit.memory.evaluation import evaluate_recall, mean_recall, read_dialogues
from agentkit.models import load_encoder, load_generator
from agentkit.models.evaluation import (
    ToolChoice,
    evaluate_calls,
    passes_a_token,
    read_call_rows,
    score_calls,
)
from agentkit.models.schema_evaluation import (
    SchemaScores,
    evaluate_schemas,
    load_compiler,
    percentiles,
    read_schema_rows,
)
from agentkit.prompts import PromptLibrary
from agentkit.store.sqlite_store import SqliteStore

app = typer.Typer(
    help="Measure tool calls, grounded answers, retrieval, schemas, recall and slots on your own files.",
    no_args_is_help=True,
)
app.command()(retrieval)
app.command()(slots)


class _Line(Protocol):
    def to_json(self) -> str: ...


LineT = TypeVar("LineT", bound=_Line)

_FileArgument = Annotated[Path, typer.Argument(help="JSON Lines file with one case a line.")]
_ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="Catalogue name, folder, Hugging Face id or server.")
]
_OutOption = Annotated[Path | None, typer.Option("--out", help="Write the predictions here, one a line.")]
_FirstOption = Annotated[int | None, typer.Option("--first", min=1, help="Only so many cases.")]


@app.command()
def calls(
    file: _FileArgument,
    model: _ModelOption = DEFAULT_GENERATOR,
    output: _OutOption = None,
    first: _FirstOption = None,
    tool_choice: Annotated[
        ToolChoice, typer.Option(help="required: every case is answered by a call; auto: text is allowed.")
    ] = "auto",
    dtype: Annotated[
        str,
        typer.Option(help="int8, bfloat16, float32, or auto: what is best on this machine. To compare them."),
    ] = "auto",
) -> None:
    """Tool calls: {"id", "messages", "tools", "expected"} a line.

    Calls are written under the constraint of each case's tools. Prints how many are right (by the rules of
    the Berkeley Function Calling Leaderboard), and how many cases that want no call got none.
    """
    rows = read_call_rows(file)[:first]
    generator = load_generator(model, progress=BarProgress(err), dtype=dtype)
    found = list(_kept(evaluate_calls(rows, generator, tool_choice=tool_choice), len(rows), output))
    scores = score_calls(found, rows)
    for prediction in found:
        if prediction.note:
            err.print(Text(f"{prediction.id} was not run: {prediction.note}", style="yellow"))
    wanting = scores.rows - scores.wanting_none
    table = _table(f"{file.name}, {model}")
    table.add_row("right", _share(scores.right, scores.rows))
    table.add_row("right where a call is wanted", _share(scores.right - scores.right_none, wanting))
    table.add_row("nothing called where none is wanted", _share(scores.right_none, scores.wanting_none))
    table.add_row("calls that do not fit their schema", str(len(scores.schema_failures)))
    table.add_row("not run", str(scores.not_run))
    if (passes := passes_a_token(found)) is not None:
        table.add_row("forward passes a token of the calls", f"{passes:.3f}")
    out.print(table)


@app.command()
def memory(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder with corpus.jsonl, queries.jsonl and qrels.tsv, or of such folders."),
    ],
    encoder: Annotated[
        str, typer.Option("--encoder", help="Catalogue name, folder or Hugging Face id.")
    ] = DEFAULT_ENCODER,
    limit: Annotated[
        int, typer.Option(min=1, help="How many memories are looked at for each question.")
    ] = 10,
    as_json: JsonOption = False,
) -> None:
    """Recall: a user says every turn of a conversation, then questions about it are asked.

    The turns go through a bot's store and the questions through its recall. Prints the share of the turns with the
    answer that are among the first, and what a search takes.
    """
    dialogues = read_dialogues(folder)
    loaded = load_encoder(encoder, progress=BarProgress(err))
    scores = []
    for dialogue in track(dialogues, console=err, description="Recalling", transient=True):
        with tempfile.TemporaryDirectory() as place, SqliteStore.open(Path(place) / "agent.db") as store:
            mine = store.for_user("default", "user")
            least = Settings().recall_similarity
            scores.append(evaluate_recall(dialogue, loaded, mine, limit=limit, min_similarity=least))
    if as_json:
        rows = [{"name": each.name, "questions": each.questions, "recall": each.recall} for each in scores]
        out.print_json(json.dumps({"limit": limit, "recall": mean_recall(scores), "dialogues": rows}))
        return
    table = Table("", "questions", f"recall@{limit}", "ms p50", "ms p95", box=None)
    for each in scores:
        taken = [f"{each.slowest(percent):.1f}" for percent in (50, 95)]
        table.add_row(each.name, str(each.questions), f"{each.recall:.3f}", *taken)
    table.add_row("all", str(sum(each.questions for each in scores)), f"{mean_recall(scores):.3f}", "", "")
    out.print(table)


@app.command()
def grounding(
    file: _FileArgument,
    model: _ModelOption = DEFAULT_GENERATOR,
    encoder: Annotated[
        str, typer.Option(help="Catalogue name, folder or Hugging Face id.")
    ] = DEFAULT_ENCODER,
    output: _OutOption = None,
    first: _FirstOption = None,
) -> None:
    """Grounded answers: {"id", "evidence", "question", "answerable", "must"} a line.

    Every case takes the path that a conversation takes once its evidence is found.
    """
    cases = read_grounding_cases(file)[:first]
    progress = BarProgress(err)
    loaded_encoder = load_encoder(encoder, progress=progress)
    generator = load_generator(model, progress=progress)
    prompts = PromptLibrary()
    judge = Judge.for_models(generator, loaded_encoder, prompts)
    replies = evaluate_grounding(
        cases, generator=generator, encoder=loaded_encoder, judge=judge, prompts=prompts
    )
    found = list(_kept(replies, len(cases), output))
    summary = summarise_grounding(found, cases)
    table = _table(f"{file.name}, {model}")
    table.add_row("answerable: answered rightly", _share(summary.right, summary.answerable))
    table.add_row("answerable: declined", _share(summary.wrongly_declined, summary.answerable))
    table.add_row("unanswerable: declined", _share(summary.declined, summary.unanswerable))
    table.add_row("replies that say what the evidence lacks", str(summary.invented))
    if summary.area is not None:
        table.add_row("answerable or not: area under the ROC curve", f"{summary.area:.3f}")
    table.add_row("cases in which the generator judged", _share(summary.asked, len(found)))
    table.add_row("milliseconds a case, median", f"{summary.median_milliseconds:,.0f}")
    out.print(table)


@app.command()
def schemas(
    file: _FileArgument,
    model: Annotated[
        str, typer.Option("--model", "-m", help="Whose tokenizer: catalogue name, folder or Hugging Face id.")
    ] = DEFAULT_GENERATOR,
    first: _FirstOption = None,
    as_json: JsonOption = False,
) -> None:
    """JSON Schemas: {"id", "schema", "instances": [{"data", "valid"}]} a line.

    Puts the instances through the constraint itself; no model writes anything. Prints how many valid and invalid
    ones it would let through, which schemas it refuses and why, and how long a mask takes.
    """
    rows = read_schema_rows(file)[:first]
    progress = BarProgress(err)
    compiler, codec = load_compiler(model, progress)
    progress.start("Evaluating", len(rows), "schemas")
    try:
        scores = evaluate_schemas(rows, compiler, codec, on_row=lambda: progress.advance(1))
    finally:
        progress.finish()
    if as_json:
        out.print_json(scores.to_json())
    else:
        _show_schema_scores(scores, f"{file.name}, tokenizer of {model}")


def _show_schema_scores(scores: SchemaScores, title: str) -> None:
    table = _table(title)
    table.add_row("schemas refused", _share(scores.refused, scores.schemas))
    for feature, count in scores.refused_by_feature.most_common():
        table.add_row(Text(f"  {feature}"), str(count))
    table.add_row("valid instances accepted", _share(scores.valid_accepted, scores.valid))
    table.add_row("invalid instances accepted", _share(scores.invalid_accepted, scores.invalid))
    for name, times in (
        ("a mask", scores.mask_milliseconds),
        ("a mask, processor time", scores.mask_processor_milliseconds),
        ("a schema, until the first mask", scores.compile_milliseconds),
    ):
        found = percentiles(times)
        table.add_row(f"milliseconds of {name}: median, 99 %", f"{found['p50']:.3f}, {found['p99']:.3f}")
    out.print(table)
    for failure in scores.failures:
        kind = "valid, but rejected" if failure.valid else "invalid, but accepted"
        place = f"{failure.id}, instance {failure.instance}: {kind} after {failure.after!r} {failure.reason}"
        err.print(Text(place.rstrip(), style="yellow"))


def _kept(found: Iterable[LineT], total: int, path: Path | None) -> Iterator[LineT]:
    """Write each prediction as it comes, so that an interrupted run keeps what it has."""
    progress = BarProgress(err)
    progress.start("Evaluating", total, "cases")
    try:
        stream = path.open("w", encoding="utf-8") if path is not None else None
    except OSError as problem:
        raise ConfigurationError(
            f"{path} cannot be written: {problem.strerror}.", hint="Name another file with --out."
        ) from problem
    try:
        for each in found:
            if stream is not None:
                stream.write(each.to_json() + "\n")
                stream.flush()
            progress.advance(1)
            yield each
    finally:
        progress.finish()
        if stream is not None:
            stream.close()


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    return table


def _share(count: int, of: int) -> str:
    return f"{count} of {of}" + (f"  {100 * count / of:.1f} %" if of else "")
