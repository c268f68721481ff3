"""The bot of the practice: its files fit together, its data are safe, its scenarios pass on the real models."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Final

import pytest

from agentkit.bot.config import load_config
from agentkit.intents.examples import load_examples

BOT: Final = Path("examples/clinic_bot")


def test_the_configuration_names_what_there_is() -> None:
    config = load_config(BOT)
    names = [config.intents, config.flows, config.setup, *config.knowledge]
    assert all((BOT / str(name)).exists() for name in names)
    assert config.desk is not None
    counts = Counter(example.intent for example in load_examples(BOT / "intents.yaml").examples)
    assert min(counts.values()) >= 12


def test_flows_have_no_mistakes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agentkit", "flows", "check", str(BOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "nothing found" in done.stdout) == (0, True), done.stdout + done.stderr


def test_the_database_is_the_same_for_the_same_day(tmp_path: Path) -> None:
    copy = tmp_path / "clinic"
    shutil.copytree(BOT, copy, ignore=shutil.ignore_patterns("*.sqlite", "__pycache__"))
    program = [sys.executable, str(copy / "make_clinic.py"), "--today", "2026-11-23"]
    contents = []
    for _ in range(2):
        subprocess.run(program, check=True, capture_output=True)
        with closing(sqlite3.connect(copy / "clinic.sqlite")) as clinic:
            contents.append(list(clinic.iterdump()))
            (weekend,) = clinic.execute(
                "SELECT count(*) FROM slots WHERE strftime('%w', day) IN ('0', '6')"
            ).fetchone()
            assert weekend == 0
            with pytest.raises(sqlite3.IntegrityError):
                clinic.execute(
                    "INSERT INTO appointments SELECT 'A9', 'mia', slot, 'booked', NULL FROM appointments "
                    "WHERE reference = 'A2001'"
                )
    assert contents[0] == contents[1]
    assert date.fromisoformat("2026-11-23").weekday() == 0


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_scenario_passes_on_the_real_models() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agentkit", "test", str(BOT)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
