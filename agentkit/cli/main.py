"""`agentkit`: the commands, each a thin layer over what Python programs use, too."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

import agentkit
from agentkit.bot.config import DEFAULT_GENERATOR
from agentkit.cli import (
    approvals,
    desk,
    evaluate,
    flows,
    intents,
    knowledge,
    memory,
    models,
    new,
    plugins,
    tools,
    trust,
)
from agentkit.cli import bench as bench_command
from agentkit.cli import chat as chat_command
from agentkit.cli import demo as demo_command
from agentkit.cli import doctor as doctor_command
from agentkit.cli import mcp as mcp_command
from agentkit.cli import report as report_command
from agentkit.cli import testing as test_command
from agentkit.cli.exports import Pace
from agentkit.cli.options import BotArgument, DatabaseOption, JsonOption, ModelOption, UserOption
from agentkit.cli.terminal import out, show_error
from agentkit.errors import AgentKitError, ScenarioFailed

app = typer.Typer(
    name="agentkit",
    help="A local-first agent framework: bots that reason, route, act and remember on your own machine, "
    "with no key, no network and no GPU.\n\n"
    "Start with:  agentkit new bot my_bot  and then  agentkit chat my_bot",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(new.app, name="new")
app.add_typer(tools.app, name="tools")
app.add_typer(plugins.app, name="plugins")
app.add_typer(models.app, name="models")
app.add_typer(memory.app, name="memory")
app.add_typer(knowledge.app, name="knowledge")
app.add_typer(intents.app, name="intents")
app.add_typer(flows.app, name="flows")
app.add_typer(approvals.app, name="approvals")
app.add_typer(desk.app, name="desk")
app.add_typer(trust.app, name="trust")
app.add_typer(evaluate.app, name="eval")


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"agentkit {agentkit.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options of the program itself."""


@app.command()
def chat(
    bot: BotArgument,
    user: UserOption = "guest",
    model: ModelOption = None,
    database: DatabaseOption = None,
    new: Annotated[bool, typer.Option("--new", help="Start a new conversation instead of going on.")] = False,
    steps: Annotated[bool, typer.Option(help="Show what happens between question and reply.")] = True,
) -> None:
    """Talk to a bot.

    Every message is stored before it is answered, and memories carry over to the next conversation. Type
    /help for what else you can type; Ctrl-C stops a reply, Ctrl-D ends the conversation.
    """
    chat_command.chat(bot, user=user, model=model, database=database, new=new, steps=steps)


@app.command()
def demo(
    bot: BotArgument,
    scenario: Annotated[str, typer.Argument(help="Name of a file in BOT/scenarios, or a path.")] = "demo",
    model: ModelOption = None,
    steps: Annotated[bool, typer.Option(help="Show what happens between question and reply.")] = True,
    typing: Annotated[
        float,
        typer.Option(min=0, help="Characters a second that the user types, with pauses to read; 0: at once."),
    ] = 0.0,
    step: Annotated[bool, typer.Option("--step", help="Wait for a key before every line.")] = False,
    replay: Annotated[
        bool, typer.Option("--replay", help="Take what models say from the recording; no weights are loaded.")
    ] = False,
    exports: Annotated[
        list[Path] | None,
        typer.Option(
            "--export",
            help="Also write the demo to this file: .cast (asciinema), .svg, .html or .md; may be given several times.",
        ),
    ] = None,
    then_chat: Annotated[bool, typer.Option("--then-chat", help="Go on chatting afterwards.")] = False,
) -> None:
    """Play a scripted conversation, and check what it expects.

    It plays on a copy of the bot folder with a fresh database, so it can be repeated. Exits with 1 if something that
    the scenario expects does not happen.
    """
    pace = Pace(typing=typing, pauses=1.0 if typing else 0.0)
    show = demo_command.Show(model, replay, steps, pace, step, then_chat, tuple(exports or ()))
    demo_command.demo(bot, scenario, show)


@app.command("test")
def run_scenarios(
    bot: BotArgument,
    scenarios: Annotated[
        list[str] | None, typer.Argument(help="Names of files in BOT/scenarios, or paths; by default all.")
    ] = None,
    model: ModelOption = None,
    workers: Annotated[
        int, typer.Option("--workers", "-n", min=1, help="Processes that play, each with its own models.")
    ] = 1,
    junit: Annotated[Path | None, typer.Option(help="Write the results there as JUnit XML.")] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Write the replies into the `bot:` lines of the scenarios.")
    ] = False,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Take what models say from the recordings; no weights are loaded."),
    ] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Also print how many turns needed the generator, and times.")
    ] = False,
    simulate: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Instead, let so many simulated users talk to the bot.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="With --simulate: where the random numbers begin.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Play the scenarios of a bot and compare what happens with what they expect.

    Each scenario has a copy of the bot folder, a database and a clock of its own. Exits with 1 if one fails, with 2 if
    one cannot be read. With --simulate, `--model random` takes a generator that writes whatever it may.
    """
    from agentkit.scenarios import Plan

    plan = Plan(bot, model, replay)
    if simulate is not None:
        test_command.simulate(plan, simulate, seed, as_json=as_json)
        return
    wishes = test_command.Wishes(junit, update, stats, as_json)
    test_command.run_scenarios(plan, scenarios or [], workers, wishes)


@app.command()
def record(
    bot: BotArgument,
    name: Annotated[str, typer.Argument(help="What the scenario is called: BOT/scenarios/NAME.yaml.")],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="SCENARIO", help="Play this scenario instead of talking."),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Make an existing recording anew and show what changed.")
    ] = False,
    user: UserOption = "guest",
    model: ModelOption = None,
) -> None:
    """Record a conversation as a scenario, with everything that the models say.

    `agentkit test --replay` and `agentkit demo --replay` then play it without weights, exactly. Where the bot asks its
    models for something else than what was recorded, they stop and show the nearest recording.
    """
    from agentkit.cli import recording

    recording.record_scenario(recording.Recorded(bot, name, source, live, user, model))


@app.command()
def report(
    bot: BotArgument,
    database: DatabaseOption = None,
    since: Annotated[
        str | None,
        typer.Option(help="Only what was said since: a day (2026-11-01), or 7d, 2w back from now."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with pictures to this file.")
    ] = None,
    as_json: JsonOption = False,
    meaning: Annotated[
        bool, typer.Option(help="Group unanswered questions by their meaning, which needs the encoder.")
    ] = True,
) -> None:
    """Say how a bot does: what it settles alone, where it fails, and what to write next."""
    report_command.report(bot, database=database, since=since, html=html, as_json=as_json, meaning=meaning)


@app.command()
def mcp(
    bot: BotArgument,
    user: UserOption = "guest",
    http: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Serve over HTTP on this port instead of standard input."),
    ] = None,
    host: Annotated[str, typer.Option(help="With --http: the address to listen at.")] = "127.0.0.1",
    effects: Annotated[
        bool, typer.Option("--effects", help="Also offer the tools that change or send something.")
    ] = False,
    ask: Annotated[bool, typer.Option(help="Offer the bot itself, as the tool `ask`.")] = True,
    model: ModelOption = None,
) -> None:
    """Offer a bot and its tools to MCP clients.

    The client's user decides about its calls: they do not pass the gate that the bot's own calls pass, so tools with
    an effect are left out unless you ask for them.
    """
    mcp_command.mcp(bot, user=user, http=http, host=host, effects=effects, ask=ask, model=model)


@app.command()
def doctor(
    bot: Annotated[Path | None, typer.Argument(help="A bot folder to look at, too.")] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Also compare the hash of every weight file.")] = False,
    recover: Annotated[
        Path | None,
        typer.Option(metavar="DATABASE", help="Save what is readable of a damaged database into a new file."),
    ] = None,
    new: Annotated[
        Path | None, typer.Option("--out", help="The new file; by default DATABASE with .recovered.db.")
    ] = None,
) -> None:
    """Look at this machine and say what works, what does not, and what to do about it."""
    if recover is not None:
        doctor_command.recover_database(recover, new)
        return
    doctor_command.doctor(bot, deep=deep)


@app.command()
def bench(
    models: Annotated[
        str, typer.Option("--models", help="Catalogue names, joined by commas.")
    ] = DEFAULT_GENERATOR,
    cases: Annotated[
        str,
        typer.Option(
            help="a: a support turn, b: a fresh process, c: eight conversations at once, d: long conversations, "
            "e: calls in a row, f: plain prefill and decode."
        ),
    ] = "a,b,c,d,e,f",
    rounds: Annotated[int, typer.Option(min=1, help="How often to measure; the table shows medians.")] = 3,
    calls: Annotated[str, typer.Option(help="Case e: after how many calls to look.")] = "64,256",
    output: Annotated[
        Path | None, typer.Option("--out", help="Folder for report.json, written after every round.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how quick the generator is on this machine.

    In a checkout, `make bench` compares it with other programs on the same weights.
    """
    plan = bench_command.plan_of(models=models, cases=cases, rounds=rounds, calls=calls)
    bench_command.bench(plan, output, as_json=as_json)


@app.command()
def soak(
    minutes: Annotated[float, typer.Option(min=0, help="How long messages are sent.")] = 1.0,
    kill_every: Annotated[
        float, typer.Option(min=0, help="Seconds between two kills, on average; 0: none.")
    ] = 2.0,
    seed: Annotated[int, typer.Option(help="Decides messages and kills.")] = 0,
    workers: Annotated[int, typer.Option(min=2, help="Processes; the first is never killed.")] = 3,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="An empty folder for database and ledgers.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Kill agents while they answer, and check that nothing was lost, torn, doubled or out of order.

    Several processes answer messages from one database on this machine's disk, without models, and are killed again
    and again. Exits with 1 if one of the six promises of the store was broken.
    """
    from agentkit.cli import soak as soak_command  # with the doubles that play the models

    soak_command.soak(minutes, kill_every, seed, workers, folder, as_json=as_json)


def main() -> None:
    """Run the program; an error that a user can cause ends it with a message, not with a traceback."""
    # Weights are fetched by agentkit itself; a library that asks a hub at start-up would only wait for it.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except AgentKitError as error:
        show_error(error)
        # 1: it ran and the answer is no; 2: it could not be run as asked.
        sys.exit(1 if isinstance(error, ScenarioFailed) else 2)
