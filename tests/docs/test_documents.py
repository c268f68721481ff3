"""The documents hold what they say: every block of the README is done, every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pytest

from tests.architecture.source_tree import ROOT, files
from tests.docs.document_runner import Reader

FILES: Final = files()


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_block_of_the_readme_does_what_it_says(tmp_path: Path) -> None:
    with Reader(ROOT, FILES, tmp_path) as reader:
        count = reader.follow("README.md", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert count > 0, "the README shows nothing that can be done"


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_newcomer_who_follows_the_tutorial_has_a_flow_that_works(tmp_path: Path) -> None:
    with Reader(ROOT, FILES, tmp_path) as reader:
        name = "docs/tutorial-flow.md"
        assert reader.follow(name, (ROOT / name).read_text(encoding="utf-8")) > 8


def headings(markdown: str) -> set[str]:
    """The anchors that a heading gives: lower case, spaces as hyphens, no punctuation."""
    prose = re.sub(r"^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"^#+ +(.*)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in found}


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".md")])
def test_every_link_within_the_repository_leads_somewhere(name: str) -> None:
    path = ROOT / name
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / unquote(file)) if file else path
        if not linked.exists() or (anchor and anchor not in headings(linked.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []
