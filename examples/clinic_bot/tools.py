"""What the bot of the practice can look up and do, always for the signed-in patient and nobody else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Any, Literal, TypeAlias

from make_clinic import DATABASE, reset
from pydantic import Field

from agentkit import Authority, ToolContext, ToolFailed, tool

MOST_OFFERED = 4
REPEAT_AFTER_DAYS = 21

Doctor: TypeAlias = Literal["family doctor", "skin doctor", "eye doctor"]
Day: TypeAlias = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="the day, ISO")]
Time: TypeAlias = Annotated[str, Field(pattern=r"^\d{2}:\d{2}$", description="the time, 24 hours")]
Reference: TypeAlias = Annotated[
    str, Field(pattern=r"^A\d{4}$", description="appointment such as A2001"), Authority()
]


@tool(effect="read")
def free_times(context: ToolContext, doctor: Doctor, day: Day) -> dict[str, Any]:
    """When a doctor is free on a day."""
    if date.fromisoformat(day) < context.now().date():
        raise ToolFailed("that day is over; which other day would suit you?")
    with _clinic(context) as clinic:
        rows = clinic.execute(
            "SELECT time, name FROM slots JOIN doctors ON doctors.id = slots.doctor WHERE field = ? AND day = ? "
            "AND NOT EXISTS (SELECT 1 FROM appointments WHERE slot = slots.id AND state = 'booked') ORDER BY time",
            (doctor, day),
        ).fetchall()
    if not rows:
        raise ToolFailed(f"the {doctor} has no free time on {_spoken(day)}; which other day would suit you?")
    return {
        "times": [time for time, _ in rows[:MOST_OFFERED]],
        "name": rows[0][1],
        "day": _spoken(day),
        "is_today": day == context.now().date().isoformat(),
    }


@tool(effect="write", idempotent=True)
def book_appointment(context: ToolContext, doctor: Doctor, day: Day, time: Time) -> dict[str, str]:
    """Book an appointment for the patient."""
    with _clinic(context) as clinic:
        known = clinic.execute(
            "SELECT reference FROM appointments WHERE made_by_call = ?", (context.call_id,)
        ).fetchone()
        if known is None:
            slot = clinic.execute(
                "SELECT slots.id FROM slots JOIN doctors ON doctors.id = slots.doctor "
                "WHERE field = ? AND day = ? AND time = ? AND NOT EXISTS "
                "(SELECT 1 FROM appointments WHERE slot = slots.id AND state = 'booked')",
                (doctor, day, time),
            ).fetchone()
            if slot is None:
                raise ToolFailed("somebody else has just taken that time")
            known = clinic.execute(
                "INSERT INTO appointments SELECT 'A' || (max(substr(reference, 2)) + 1), ?, ?, 'booked', ? "
                "FROM appointments RETURNING reference",
                (_patient(clinic, context), slot[0], context.call_id),
            ).fetchone()
    return {"reference": known[0], "doctor": doctor, "day": _spoken(day), "time": time}


@tool(effect="read")
def my_appointments(context: ToolContext) -> list[dict[str, str]]:
    """The appointments of the patient that are still to come."""
    with _clinic(context) as clinic:
        rows = _appointments(clinic, _patient(clinic, context), context.now().date())
    if not rows:
        raise ToolFailed("you have no appointment with us")
    return rows


@tool(effect="read")
def look_up_appointment(context: ToolContext, reference: Reference) -> dict[str, Any]:
    """One appointment of the patient."""
    today = context.now().date()
    with _clinic(context) as clinic:
        found = [
            each
            for each in _appointments(clinic, _patient(clinic, context), today)
            if each["reference"] == reference
        ]
    if not found:
        raise ToolFailed(f"you have no appointment {reference}")
    return {**found[0], "days_left": (date.fromisoformat(found[0]["on"]) - today).days}


@tool(effect="write", idempotent=True)
def cancel_appointment(context: ToolContext, reference: Reference) -> dict[str, str]:
    """Cancel an appointment of the patient."""
    with _clinic(context) as clinic:
        changed = clinic.execute(
            "UPDATE appointments SET state = 'cancelled' WHERE reference = ? AND patient = ?",
            (reference, _patient(clinic, context)),
        )
        if not changed.rowcount:
            raise ToolFailed(f"you have no appointment {reference}")
    return {"reference": reference}


@tool(effect="read")
def my_medicines(context: ToolContext) -> dict[str, Any]:
    """The medicines that the patient gets from us."""
    today = context.now().date()
    with _clinic(context) as clinic:
        rows = clinic.execute(
            "SELECT name, repeatable, last_on FROM medicines WHERE patient = ? ORDER BY name",
            (_patient(clinic, context),),
        ).fetchall()
    if not rows:
        raise ToolFailed("we have not prescribed you anything yet; please book an appointment")
    return {
        "names": [name for name, _, _ in rows],
        "repeatable": [name for name, repeatable, _ in rows if repeatable],
        "too_early": [
            name for name, _, last in rows if (today - date.fromisoformat(last)).days < REPEAT_AFTER_DAYS
        ],
    }


@tool(effect="write", idempotent=True)
def repeat_prescription(
    context: ToolContext, medicine: Annotated[str, Field(max_length=60), Authority()]
) -> dict[str, str]:
    """Ask a doctor to repeat a prescription of the patient."""
    with _clinic(context) as clinic:
        patient = _patient(clinic, context)
        row = (context.call_id, patient, medicine, context.now().date().isoformat())
        clinic.execute("INSERT OR IGNORE INTO requests VALUES (?, ?, ?, ?)", row)
    return {"medicine": medicine}


@contextmanager
def _clinic(context: ToolContext) -> Iterator[sqlite3.Connection]:
    if not DATABASE.exists():
        reset(context.now().date())
    connection = sqlite3.connect(DATABASE)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def _patient(clinic: sqlite3.Connection, context: ToolContext) -> str:
    if clinic.execute("SELECT 1 FROM patients WHERE id = ?", (context.user_id,)).fetchone() is None:
        raise ToolFailed("you are not signed in as one of our patients")
    return context.user_id


def _appointments(clinic: sqlite3.Connection, patient: str, today: date) -> list[dict[str, str]]:
    rows: Sequence[tuple[str, str, str, str, str]] = clinic.execute(
        "SELECT reference, field, name, day, time FROM appointments JOIN slots ON slots.id = slot "
        "JOIN doctors ON doctors.id = slots.doctor WHERE patient = ? AND state = 'booked' AND day >= ? "
        "ORDER BY day, time",
        (patient, today.isoformat()),
    ).fetchall()
    return [
        {"reference": reference, "doctor": field, "name": name, "on": day, "day": _spoken(day), "time": time}
        for reference, field, name, day, time in rows
    ]


def _spoken(day: str) -> str:
    parsed = date.fromisoformat(day)
    return f"{parsed:%A}, {parsed.day} {parsed:%B}"
