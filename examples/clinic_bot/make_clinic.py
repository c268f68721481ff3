"""Make the database of the demo practice: the same on every machine, for a given day.

    python make_clinic.py [--today 2026-11-23]

Standard library only. Days are counted from "today", so a scenario that says which day it is meets the same facts.
"""

from __future__ import annotations

import argparse
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

DATABASE = Path(__file__).with_name("clinic.sqlite")
DEMO_TODAY = date(2026, 11, 23)
TIMES = ("08:30", "09:15", "10:00", "11:30", "14:00", "15:15")
DAYS_AHEAD = 28

SCHEMA = """
CREATE TABLE patients (id TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE doctors (id TEXT PRIMARY KEY, name TEXT NOT NULL, field TEXT NOT NULL UNIQUE);
CREATE TABLE slots (id INTEGER PRIMARY KEY, doctor TEXT NOT NULL REFERENCES doctors, day TEXT NOT NULL,
    time TEXT NOT NULL, UNIQUE (doctor, day, time));
CREATE TABLE appointments (reference TEXT PRIMARY KEY, patient TEXT NOT NULL REFERENCES patients,
    slot INTEGER NOT NULL REFERENCES slots, state TEXT NOT NULL CHECK (state IN ('booked', 'cancelled')),
    made_by_call TEXT UNIQUE);
CREATE UNIQUE INDEX one_patient_a_slot ON appointments (slot) WHERE state = 'booked';
CREATE TABLE medicines (patient TEXT NOT NULL REFERENCES patients, name TEXT NOT NULL, repeatable INTEGER NOT NULL,
    last_on TEXT, PRIMARY KEY (patient, name));
CREATE TABLE requests (call TEXT PRIMARY KEY, patient TEXT NOT NULL, medicine TEXT NOT NULL, asked_on TEXT NOT NULL);
"""
PATIENTS = (("nora", "Nora Quinn"), ("liam", "Liam Doyle"), ("mia", "Mia Farrell"))
DOCTORS = (
    ("byrne", "Dr Byrne", "family doctor"),
    ("walsh", "Dr Walsh", "skin doctor"),
    ("kelly", "Dr Kelly", "eye doctor"),
)
# patient, medicine, whether it may be repeated without a visit, days since it was last prescribed
MEDICINES = (
    ("nora", "ramipril", 1, 80),
    ("nora", "levothyroxine", 1, 5),
    ("nora", "zopiclone", 0, 60),
    ("liam", "ramipril", 1, 95),
)
# reference, patient, field, days ahead, time
APPOINTMENTS = (
    ("A2001", "nora", "skin doctor", 8, "10:00"),
    ("A2002", "nora", "family doctor", 0, "15:15"),
    ("A2003", "liam", "eye doctor", 9, "09:15"),
)


def reset(today: date | None = None, database: Path = DATABASE) -> None:
    """Make the database anew, as of a day."""
    today = today or DEMO_TODAY
    database.unlink(missing_ok=True)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executescript(SCHEMA)
        connection.executemany("INSERT INTO patients VALUES (?, ?)", PATIENTS)
        connection.executemany("INSERT INTO doctors VALUES (?, ?, ?)", DOCTORS)
        for doctor, _, _ in DOCTORS:
            for ahead in range(DAYS_AHEAD):
                day = today + timedelta(days=ahead)
                if day.weekday() < 5:
                    rows = [(doctor, day.isoformat(), time) for time in TIMES]
                    connection.executemany("INSERT INTO slots (doctor, day, time) VALUES (?, ?, ?)", rows)
        for name, medicine, repeatable, ago in MEDICINES:
            last = (today - timedelta(days=ago)).isoformat()
            connection.execute(
                "INSERT INTO medicines VALUES (?, ?, ?, ?)", (name, medicine, repeatable, last)
            )
        for reference, patient, field, ahead, time in APPOINTMENTS:
            connection.execute(
                "INSERT INTO appointments SELECT ?, ?, slots.id, 'booked', NULL FROM slots "
                "JOIN doctors ON doctors.id = slots.doctor WHERE field = ? AND day = ? AND time = ?",
                (reference, patient, field, (today + timedelta(days=ahead)).isoformat(), time),
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--today", type=date.fromisoformat, default=DEMO_TODAY)
    reset(parser.parse_args().today)
    print(f"{DATABASE} is made")
