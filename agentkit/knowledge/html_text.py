"""HTML as its reader sees it: text in blocks under headings, without scripts, styles and menus.

lexbor (through selectolax) makes of any text the tree that a browser would make, so that missing end tags, stray ones
and scripts inside of scripts are nobody's concern here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from selectolax.lexbor import LexborHTMLParser

from agentkit.knowledge.chunking import Block

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_UNSEEN_TAGS: Final = """
    script style template noscript head svg math nav iframe object canvas audio video button select datalist dialog
    input textarea"""
_UNSEEN: Final = frozenset(_UNSEEN_TAGS.split())
_INLINE_TAGS: Final = """
    a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark q ruby s samp small span strong sub
    sup time tt u var wbr img rt rp rb picture source strike nobr"""
_INLINE: Final = frozenset(_INLINE_TAGS.split())
_HEADING: Final = re.compile(r"h[1-6]$")
_SPACE: Final = re.compile(r"\s+")
# Joined to what stands before without an empty line, so that a list or table stays one block.
_LINES: Final = frozenset(["li", "tr", "dt", "dd", "option"])
_DECLARED: Final = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_LOOK_AT: Final = 4096  # bytes in which a browser looks for the encoding, and some more


class _Page:
    """Collects the text and its blocks while the tree is walked."""

    def __init__(self, title: str) -> None:
        self.text = ""
        self.blocks: list[Block] = []
        self._pieces: list[str] = []
        self._length = 0
        self._line: list[str] = []
        self._headings: list[tuple[int, str]] = [(1, title)] if title else []
        self._start = 0

    def write(self, text: str) -> None:
        """Words of the present line."""
        self._line.append(text)

    def end_line(self, before: str = "") -> None:
        """The present line is complete; `before` marks a list item or table row."""
        words = _SPACE.sub(" ", "".join(self._line)).strip(" |")
        self._line.clear()
        if words:
            self._append(f"{before}{words}\n")

    def end_block(self) -> None:
        """A paragraph, list or table is complete."""
        self.end_line()
        if self._length > self._start:
            path = tuple(heading for _, heading in self._headings)
            self.blocks.append(Block(path, self._start, self._length))
            self._append("\n")
        self._start = self._length

    def preformatted(self, text: str) -> None:
        """Lines that stay as they are."""
        self.end_block()
        self._append(text.strip("\n") + "\n")
        self.end_block()

    def heading(self, level: int, text: str) -> None:
        """What follows is below this heading."""
        self.end_block()
        words = _SPACE.sub(" ", text).strip()
        if words:
            # The title of the page stands for its first heading until there is one.
            self._headings = [each for each in self._headings if each[0] < level] + [(level, words)]

    def finish(self) -> None:
        """The page is complete."""
        self.end_block()
        self.text = "".join(self._pieces)

    def _append(self, text: str) -> None:
        self._pieces.append(text)
        self._length += len(text)


def html_blocks(text: str) -> tuple[str, list[Block]]:
    """The readable text of a page and its blocks; headings are `<h1>` … `<h6>`, at first the `<title>`.

    Args:
        text: HTML, sound or not.
    """
    parser = LexborHTMLParser(text)
    title = parser.css_first("title")
    page = _Page(_SPACE.sub(" ", title.text()).strip() if title is not None else "")
    if parser.body is not None:
        _walk(parser.body, page)
    page.finish()
    return page.text, page.blocks


def declared_encoding(content: bytes) -> str | None:
    """What a page says about its encoding in its first bytes; what browsers call Latin-1 is Windows-1252."""
    match = _DECLARED.search(content[:_LOOK_AT])
    if match is None:
        return None
    name = match[1].decode("ascii").lower()
    # A page whose `<meta>` can be read in ASCII is not in UTF-16, whatever it says.
    if name.startswith("utf-16"):
        return "utf-8"
    return {"iso-8859-1": "cp1252", "latin1": "cp1252", "us-ascii": "cp1252"}.get(name, name)


def _walk(root: LexborNode, page: _Page) -> None:
    """Visit the tree without recursion: pages nest deeper than Python's stack."""
    waiting: list[tuple[LexborNode, bool]] = [(root, False)]
    while waiting:
        node, is_end = waiting.pop()
        tag = str(node.tag)
        if is_end:
            _leave(tag, page)
        elif tag == "-text":
            page.write(node.text_content or "")
        elif _HEADING.match(tag):
            page.heading(int(tag[1]), node.text(deep=True))
        elif tag == "pre":
            page.preformatted(node.text(deep=True))
        elif tag == "br":
            page.end_line()
        elif not (tag.startswith("-") or tag in _UNSEEN or _is_hidden(node)):
            _enter(tag, page)
            waiting.append((node, True))
            waiting.extend((child, False) for child in _reversed(node))


def _enter(tag: str, page: _Page) -> None:
    if tag in _LINES:
        page.end_line()
    elif tag not in _INLINE and tag not in ("td", "th", "tbody", "thead", "tfoot"):
        page.end_block()


def _leave(tag: str, page: _Page) -> None:
    if tag in ("td", "th"):
        page.write(" | ")
    elif tag in _LINES:
        page.end_line({"li": "- ", "tr": "| "}.get(tag, ""))
    elif tag not in _INLINE and tag not in ("tbody", "thead", "tfoot"):
        page.end_block()


def _is_hidden(node: LexborNode) -> bool:
    return "hidden" in node.attributes or node.attributes.get("aria-hidden") == "true"


def _reversed(node: LexborNode) -> Iterator[LexborNode]:
    return reversed(list(node.iter(include_text=True)))
