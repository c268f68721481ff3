"""How trained intents, their figures and what is wrong with examples look in a terminal."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table
from rich.text import Text

from agentkit.cli.terminal import out
from agentkit.intents import IntentModel, IntentScores, Prediction
from agentkit.intents.checking import Checks

_WORST = 15  # intents that the table shows
_CURVE = 6  # rows of the risk-coverage curve


def show_training(model: IntentModel, folder: Path) -> None:
    """What was trained, and what it achieved on messages that were held out."""
    figures = model.figures
    table = _pairs(f"{len(model.labels)} intents in {folder}")
    table.add_row("examples, out of scope", f"{figures.examples:,}, {figures.out_of_scope:,}")
    tuned = f"upper layers, best after {figures.tuned_epochs} epochs" if figures.tuned_epochs else "as it was"
    table.add_row("encoder", f"{model.encoder_id}, {tuned}")
    table.add_row("letters", "help" if model.features.lexicon else "do not help")
    table.add_row("out of scope is told by", " and ".join(model.gate.measures).replace("_", " "))
    table.add_row("threshold", f"{model.threshold:.3f}{_for_risk(figures.max_wrong)}")
    table.add_row("seconds", f"{figures.seconds or 0:.1f}")
    out.print(table)
    table = _pairs("On messages that were held out")
    table.add_row("intent comes first", _percent(figures.accuracy))
    table.add_row("accepted with the right intent", _percent(figures.accepted_and_right))
    table.add_row("out of scope, declined", _percent(figures.out_of_scope_declined))
    table.add_row("of an intent that was left out, declined", _percent(figures.left_out_declined))
    out.print(table)
    if figures.curve:
        table = Table(title="Risk and coverage", title_justify="left", box=None, header_style="dim")
        for name in ("threshold", "accepted", "wrong among them"):
            table.add_column(name, justify="right")
        step = max(1, len(figures.curve) // _CURVE)
        for threshold, coverage, risk in figures.curve[::-step][::-1]:
            table.add_row(f"{threshold:.3f}", f"{100 * coverage:.1f} %", f"{100 * risk:.1f} %")
        out.print(table)


def show_scores(scores: IntentScores, title: str) -> None:
    """The figures, the intents that fare worst, and the worst confusions with their texts."""
    table = _pairs(title)
    table.add_row("messages in scope, out of scope", f"{scores.in_scope:,}, {scores.out_of_scope:,}")
    table.add_row("in scope: accepted with the right intent", _percent(scores.accuracy))
    table.add_row("in scope: right intent first", _percent(scores.accuracy_of_ranking))
    table.add_row("out of scope: declined", _percent(scores.out_of_scope_recall))
    table.add_row("declined: out of scope", _percent(scores.out_of_scope_precision))
    table.add_row("AUROC of in scope against out of scope", _number(scores.auroc))
    table.add_row("Matthews correlation", _number(scores.mcc))
    table.add_row("expected calibration error", _number(scores.calibration_error))
    table.add_row("two intents fit: the bot asks", f"{scores.ambiguous:,}")
    if scores.milliseconds_p50 is not None and scores.milliseconds_p95 is not None:
        taken = f"{scores.milliseconds_p50:.1f}, {scores.milliseconds_p95:.1f}"
        table.add_row("milliseconds a message: median, 95 %", taken)
    out.print(table)
    table = Table(title="Intents that fare worst", title_justify="left", box=None, header_style="dim")
    for name in ("intent", "messages", "recall", "precision"):
        table.add_column(name, justify="left" if name == "intent" else "right")
    for each in scores.intents[:_WORST]:
        table.add_row(Text(each.intent), str(each.count), _percent(each.recall), _percent(each.precision))
    out.print(table)
    for confusion in scores.confusions[:_WORST]:
        pair = f"{_name(confusion.expected)} taken for {_name(confusion.predicted)}"
        out.print(Text(f"{confusion.count:4}  {pair}"))
        for text in confusion.texts:
            out.print(Text(f"        {_short(text)}", style="dim"))


def show_prediction(text: str, prediction: Prediction) -> None:
    """One message, its intent and the runners-up."""
    said = _name(prediction.intent)
    if prediction.ambiguous:
        said = f"{prediction.ambiguous[0]} or {prediction.ambiguous[1]}"
    out.print(Text.assemble((f"{said}  {prediction.probability:.2f}", "bold"), f"  {_short(text)}"))
    for name, probability in prediction.ranking:
        out.print(Text(f"  {probability:.3f}  {name}", style="dim"))


def show_checks(checks: Checks) -> None:
    """What to look at, the most important first, each with what to do."""
    for title, lines in checks.sections():
        out.print(Text(title, style="bold"))
        for line in lines:
            out.print(Text(f"  {line}"), soft_wrap=True)
    if not checks.found:
        out.print(Text("Nothing stands out.", style="green"))


def _pairs(title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right", overflow="fold")
    return table


def _for_risk(share: float | None) -> str:
    return "" if share is None else f", for at most {100 * share:g} % wrong"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _name(intent: str | None) -> str:
    return "out of scope" if intent is None else intent


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 90 else line[:89] + "…"
