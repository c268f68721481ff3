"""`agentkit intents`: train, measure and look at what users want."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from agentkit.bot.config import CONFIG_FILE, DEFAULT_ENCODER, load_config
from agentkit.cli.intents_view import show_checks, show_prediction, show_scores, show_training
from agentkit.cli.options import JsonOption
from agentkit.cli.progress import BarProgress
from agentkit.cli.terminal import err, out
from agentkit.errors import ConfigurationError
from agentkit.intents import (
    Evaluated,
    IntentExample,
    IntentModel,
    evaluate,
    load_examples,
    read_rows,
    score,
    train,
    train_tuned,
)
from agentkit.intents.checking import check_examples
from agentkit.intents.embedding import embed
from agentkit.intents.evaluation import prediction_line
from agentkit.intents.rows import without_repetitions
from agentkit.intents.storage import read_model_file
from agentkit.models import Encoder, load_encoder
from agentkit.models.progress import Progress, task

app = typer.Typer(help="Train, measure and look at what users want.", no_args_is_help=True)

_BLOCK = 256
_SourceArgument = Annotated[
    Path, typer.Argument(help='A bot folder, or JSON Lines: {"text", "intent": name or null}.', metavar="BOT")
]
_ModelArgument = Annotated[Path, typer.Argument(help="What `intents train` wrote.", metavar="DIR")]
_EncoderOption = Annotated[
    str | None,
    typer.Option(
        help="Catalogue name, folder or Hugging Face id; else the one of the bot or of the training."
    ),
]


@app.command("train")
def train_command(
    data: Annotated[
        Path, typer.Option(help='JSON Lines with {"text", "intent": name or null}, or a bot folder.')
    ],
    output: Annotated[Path, typer.Option("--out", help="Folder for the trained intents.")],
    validation: Annotated[
        Path | None,
        typer.Option("--val", help="Messages to choose and calibrate with; else some examples are held out."),
    ] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Tune the upper layers of the encoder, too: minutes, not seconds.")
    ] = False,
    max_wrong: Annotated[
        str | None,
        typer.Option(help="Accept as much as this share of wrong ones among the accepted allows: 5%."),
    ] = None,
    encoder: _EncoderOption = None,
) -> None:
    """Train intents from examples.

    The encoder stays as it is and a linear head learns in seconds; --tune also tunes its upper layers, which pays from
    some thousand examples on. One threshold decides what is out of scope.
    """
    started = time.perf_counter()
    risk = _share(max_wrong)
    examples = without_repetitions(_examples(data))
    held = read_rows(validation) if validation is not None else None
    reference = encoder or _encoder_of(data)
    progress = BarProgress(err)
    loaded = load_encoder(reference, progress=progress)
    if tune:
        model = train_tuned(examples, loaded, validation=held, max_wrong=risk, progress=progress)
    else:
        vectors = embed(loaded, examples, progress)
        kept_apart = (held, embed(loaded, held, progress)) if held is not None else None
        model = train(examples, vectors, loaded.id, validation=kept_apart, max_wrong=risk)
    figures = model.figures.model_copy(update={"seconds": round(time.perf_counter() - started, 1)})
    model = replace(model, encoder=reference, figures=figures)
    model.save(output)
    show_training(model, output)


@app.command("eval")
def eval_command(
    folder: _ModelArgument,
    data: Annotated[
        Path, typer.Option(help='JSON Lines with {"text", "intent": name or null}, or a bot folder.')
    ],
    as_json: JsonOption = False,
    output: Annotated[
        Path | None,
        typer.Option("--out", help='Write {"text", "intent", "probability", "ranking"} here, one a line.'),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(help="Folder for pictures: confusions, reliability, risk and coverage, map."),
    ] = None,
    encoder: _EncoderOption = None,
) -> None:
    """Measure trained intents on messages whose intent is known."""
    rows = _examples(data)
    progress = BarProgress(err)
    model, loaded = _model(folder, encoder, progress)
    with task(progress, "Evaluating", len(rows), "messages"):
        found = evaluate(model, loaded, rows, on_rows=progress.advance)
    if output is not None:
        _write(output, (each.to_json() for each in found))
    scores = score(found)
    if as_json:
        out.print_json(scores.to_json())
    else:
        show_scores(scores, f"{data.name}, intents of {folder.name}")
    if pictures is not None:
        _draw(pictures, found, model, loaded, rows)


@app.command("predict")
def predict_command(
    folder: _ModelArgument,
    texts: Annotated[
        list[str] | None,
        typer.Argument(help="Messages; none: one a line from standard input.", metavar="TEXT"),
    ] = None,
    as_json: JsonOption = False,
    encoder: _EncoderOption = None,
) -> None:
    """Say what messages want, with the five most probable intents."""
    lines = texts or [line.rstrip("\n") for line in sys.stdin if line.strip()]
    model, loaded = _model(folder, encoder, BarProgress(err))
    for at in range(0, len(lines), _BLOCK):
        block = lines[at : at + _BLOCK]
        for text, prediction in zip(block, model.predict_all(block, loaded.encode(block)), strict=True):
            if as_json:
                sys.stdout.write(prediction_line(text, prediction) + "\n")
            else:
                show_prediction(text, prediction)


@app.command("check")
def check_command(
    source: _SourceArgument, as_json: JsonOption = False, encoder: _EncoderOption = None
) -> None:
    """Find examples that are mislabelled, repeated or overlapping, and say what to add.

    Every example is judged by a head that was trained without it. Exits with 1 if there is something to look at.
    """
    examples = _examples(source)
    progress = BarProgress(err)
    loaded = load_encoder(encoder or _encoder_of(source), progress=progress)
    checks = check_examples(examples, embed(loaded, examples, progress))
    if as_json:
        out.print_json(checks.to_json())
    else:
        show_checks(checks)
    if checks.found:
        raise typer.Exit(1)


def _examples(source: Path) -> list[IntentExample]:
    """The examples of a bot folder or of a JSON Lines file."""
    if not source.is_dir():
        return read_rows(source)
    config = load_config(source)
    if config.intents is None:
        raise ConfigurationError(
            f"the bot {source} has no intents: there is no `intents` in its {CONFIG_FILE}",
            hint=f"Write intents.yaml and add `intents: intents.yaml` to {CONFIG_FILE}.",
        )
    return list(load_examples(source / config.intents).examples)


def _encoder_of(source: Path) -> str:
    return load_config(source).encoder if source.is_dir() else DEFAULT_ENCODER


def _model(folder: Path, encoder: str | None, progress: Progress) -> tuple[IntentModel, Encoder]:
    content = read_model_file(folder)
    reference = encoder or content.encoder or content.encoder_id.partition("@")[0]
    loaded = load_encoder(reference, progress=progress)
    return IntentModel.load(folder, loaded), loaded


def _share(text: str | None) -> float | None:
    """`5%` or `0.05` as a number between 0 and 1."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", text)
    value = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 < value < 1:
        raise ConfigurationError(
            f"`{text}` is no share for --max-wrong", hint="Write it as 5% or 0.05, above 0 and below 1."
        )
    return value


def _write(path: Path, lines: Iterable[str]) -> None:
    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror or error}", hint="Name another file with --out."
        ) from error


def _draw(
    folder: Path, found: list[Evaluated], model: IntentModel, encoder: Encoder, rows: list[IntentExample]
) -> None:
    from agentkit.intents.pictures import draw

    texts = [row.text for row in rows]
    _, space = model.features.read(texts, encoder.encode(texts))
    for path in draw(folder, found, space):
        err.print(Text(f"drew {path}"))
