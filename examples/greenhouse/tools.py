"""Five tools over the measurements of a greenhouse; `reset()` makes the data, the same on every machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import Field

from agentkit import Authority, Content, ToolContext, ToolFailed, tool

DATABASE = Path(__file__).with_name("greenhouse.sqlite")
DAYS = ("2026-11-20", "2026-11-21", "2026-11-22")
SENSORS = {
    "G1": ("temperature in the north wing", "°C", (17.5, 18.0, 16.5)),
    "G2": ("temperature in the south wing", "°C", (23.5, 26.0, 24.0)),
    "H1": ("humidity", "%", (61.0, 58.0, 64.5)),
}
HOURS = ((6, -2.5), (12, 3.0), (18, -0.5))

Sensor: TypeAlias = Annotated[str, Field(pattern=r"^[A-Z]\d$", description="sensor such as G1"), Authority()]
Day: TypeAlias = Annotated[date, Field(description="ISO date"), Authority()]
Degrees: TypeAlias = Annotated[float, Field(description="degrees Celsius", ge=-60, le=120), Authority()]
Note: TypeAlias = Annotated[
    str, Field(description="what is written down", min_length=3, max_length=300), Content()
]


@tool(effect="read")
def list_sensors() -> list[dict[str, str]]:
    """All sensors with what they measure and in which unit."""
    with opened() as db:
        return [dict(row) for row in db.execute("SELECT id, measures, unit FROM sensors ORDER BY id")]


@tool(effect="read")
def read_sensor(sensor: Sensor, day: Day) -> dict[str, Any]:
    """What one sensor measured on one day, hour by hour."""
    with opened() as db:
        unit = unit_of(db, sensor)
        query = "SELECT hour, value FROM readings WHERE sensor = ? AND day = ? ORDER BY hour"
        rows = [dict(row) for row in db.execute(query, [sensor, day.isoformat()])]
    if not rows:
        raise ToolFailed(f"{sensor} measured nothing on {day}")
    return {"sensor": sensor, "day": day.isoformat(), "unit": unit, "readings": rows}


@tool(effect="read")
def sensor_statistics(sensor: Sensor, first: Day, last: Day) -> dict[str, Any]:
    """Mean, lowest and highest value of one sensor from a first to a last day."""
    with opened() as db:
        unit = unit_of(db, sensor)
        query = (
            "SELECT count(*) AS count, round(avg(value), 2) AS mean, min(value) AS lowest, max(value) AS highest "
            "FROM readings WHERE sensor = ? AND day BETWEEN ? AND ?"
        )
        row = dict(db.execute(query, [sensor, first.isoformat(), last.isoformat()]).fetchone())
    if not row["count"]:
        raise ToolFailed(f"{sensor} measured nothing from {first} to {last}")
    return {"sensor": sensor, "first": first.isoformat(), "last": last.isoformat(), "unit": unit, **row}


@tool(effect="read")
def to_fahrenheit(celsius: Degrees) -> dict[str, float]:
    """A temperature in degrees Fahrenheit."""
    return {"celsius": celsius, "fahrenheit": round(celsius * 9 / 5 + 32, 1)}


@tool(effect="write", idempotent=True)
def write_note(context: ToolContext, text: Note) -> dict[str, str]:
    """Write something into the log book of the greenhouse."""
    with opened() as db:
        db.execute(
            "INSERT OR IGNORE INTO notes VALUES (?, ?, ?)",
            [context.idempotency_key, context.now().date().isoformat(), text],
        )
    return {"text": text, "day": context.now().date().isoformat()}


def unit_of(db: sqlite3.Connection, sensor: str) -> str:
    """The unit of a sensor."""
    row = db.execute("SELECT unit FROM sensors WHERE id = ?", [sensor]).fetchone()
    if row is None:
        raise ToolFailed(f"there is no sensor {sensor}")
    return str(row["unit"])


@contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    """The database; what is done in it is kept unless something fails."""
    if not DATABASE.exists():
        reset()
    with closing(sqlite3.connect(DATABASE)) as db:
        db.row_factory = sqlite3.Row
        with db:
            yield db


def reset() -> None:
    """Make the data anew."""
    DATABASE.unlink(missing_ok=True)
    with closing(sqlite3.connect(DATABASE)) as db, db:
        db.execute("CREATE TABLE sensors (id TEXT PRIMARY KEY, measures TEXT, unit TEXT)")
        db.execute("CREATE TABLE readings (sensor TEXT, day TEXT, hour INTEGER, value REAL)")
        db.execute("CREATE TABLE notes (call TEXT PRIMARY KEY, day TEXT, text TEXT)")
        for sensor, (measures, unit, bases) in SENSORS.items():
            db.execute("INSERT INTO sensors VALUES (?, ?, ?)", [sensor, measures, unit])
            for day, base in zip(DAYS, bases, strict=True):
                rows = [(sensor, day, hour, base + offset) for hour, offset in HOURS]
                db.executemany("INSERT INTO readings VALUES (?, ?, ?, ?)", rows)
