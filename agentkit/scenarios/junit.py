"""Results in the XML form that CI services read (JUnit's, as pytest writes it)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from agentkit.scenarios.results import Result, explain

_NOT_XML: Final = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def write_junit(path: Path, bot: str, results: Sequence[Result]) -> None:
    """Write results as one test suite.

    Args:
        path: The file; it is replaced.
        bot: What the suite is called.
        results: One test case each.
    """
    failed = sum(not result.passed and not result.error for result in results)
    errors = sum(bool(result.error) for result in results)
    suite = ElementTree.Element(
        "testsuite",
        name=bot,
        tests=str(len(results)),
        failures=str(failed),
        errors=str(errors),
        skipped="0",
        time=f"{sum(result.seconds for result in results):.3f}",
    )
    for result in sorted(results, key=lambda each: each.name):
        case = ElementTree.SubElement(
            suite, "testcase", classname=bot, name=result.name, time=f"{result.seconds:.3f}"
        )
        if not result.passed:
            kind, message = ("error", result.error) if result.error else ("failure", _first(result))
            problem = ElementTree.SubElement(case, kind, message=_clean(message.splitlines()[0]))
            problem.text = _clean("\n".join(explain(result)))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _first(result: Result) -> str:
    return next(failure.what for turn in result.turns for failure in turn.failures)


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
