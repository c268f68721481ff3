"""How amounts and days are written in a language."""

from __future__ import annotations

import importlib.resources
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final

from agentkit.messages import Value
from agentkit.yaml_files import load_yaml

_DEFAULT: Final = "en"


class Words(Value):
    """How a language writes amounts and days.

    Args:
        months: Their names.
        day: A day, with `{day}`, `{month}` and `{year}`.
        thousands: Between thousands.
        decimal: Before the cents.
    """

    months: tuple[str, ...]
    day: str
    thousands: str
    decimal: str

    @staticmethod
    def of(language: str) -> Words:
        """Those of a language; one that is not known writes as English does."""
        known = _known().languages
        return known.get(language.partition("-")[0], known[_DEFAULT])

    def money(self, amount: float) -> str:
        """An amount with two decimals: 1,234.50."""
        whole, _, cents = f"{float(amount):,.2f}".partition(".")
        return whole.replace(",", self.thousands) + self.decimal + cents

    def spoken_day(self, iso: str) -> str:
        """A day as people write it: 4 December 2026."""
        found = date.fromisoformat(iso)
        return self.day.format(day=found.day, month=self.months[found.month - 1], year=found.year)


class _Languages(Value):
    languages: dict[str, Words]


@cache
def _known() -> _Languages:
    with importlib.resources.as_file(importlib.resources.files("agentkit.service") / "wording.yaml") as path:
        return load_yaml(Path(path), _Languages)
