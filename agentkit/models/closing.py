"""The shortest way to end a text that a grammar has begun, found by trying bytes.

When a reply comes near its token limit, what is still open (strings, brackets, required members) has to be closed
while there is room. Which text closes it depends on the grammar alone, so it is looked for on copies of the matcher,
which cost microseconds; the model is not asked:

    1. dive       from a place, always take the byte that usually ends things soonest: } ] " , digit … until complete
    2. compare    where several bytes may follow, dive once behind each kind of them and take the one that is shortest
                  in tokens ("pilot method", Duin and Voß 1999); bytes behind which the grammar goes on alike are one
    3. write      the bytes found become tokens of the model, and the matcher has the last word on them

Optional members are left out, of alternatives the shortest is taken, strings and numbers get their shortest form. The
search is bounded; what it gives always satisfies the grammar, and is the shortest in all but odd grammars.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agentkit.models.tokens import TokenCodec

if TYPE_CHECKING:
    from llguidance import LLMatcher

_MOST_BYTES: Final = 1_000
"""Longest ending that is looked for."""
_MOST_PLACES: Final = 3_000
"""Places with a choice that one search may look at: some 20 microseconds each."""
_ENDS: Final = b"}]"
_BRACKETS: Final = (b"}", b"]")
_OPENED: Final = (b"{", b"[")
_DIGITS: Final = frozenset(bytes([byte]) for byte in b"123456789")
_AFTER_VALUE: Final = b"}],.0123456789eE+-"
"""What can come where a value can end; if other bytes can, it may be inside an enumerated string."""
_UNUSUAL: Final = b" %@~"
"""Where all of these may come, anything may: inside a string or a text."""
_LETTERS_TRIED: Final = 4
"""Names and words that begin differently may go on alike for a while, so of letters several are tried."""
_FILLERS: Final = b" 0aA-.:/"
_ORDER: Final = bytes(
    dict.fromkeys(
        b'",:0987654321ntf'
        + bytes(range(ord("a"), ord("z") + 1))
        + bytes(range(ord("A"), ord("Z") + 1))
        + b"-.}]/_ +[{()<>=!?;'#$%&*@^`|~\n\t"
        + b"\\"
    )
)
"""Bytes in the order in which they tend to lead to the end: what ends a value before what goes on with it, digits
before words, words before lists, lists before objects, an escape last. Of numbers, 0 is the shortest, and from 901 on
it is 999."""
_AFTER_DIGIT: Final = _ORDER.replace(b"0987654321", b"9876543210")
"""The same after a digit other than 0."""
_OTHERS: Final = bytes(byte for byte in range(256) if byte not in _ORDER)
_CONTROL: Final = re.compile(rb"\xff\[(\d+)\]")
"""How llguidance writes a control token among forced bytes."""


@dataclass
class _Search:
    """What one search has spent and found.

    Args:
        places: How many places with a choice it may still look at.
        best: The shortest ending so far, in tokens of the model.
        most: Bytes beyond which an ending is not followed.
    """

    places: int = _MOST_PLACES
    best: list[int] | None = None
    most: int = _MOST_BYTES


@dataclass
class _Place:
    """A matcher and the ids that led to it from the beginning of a search.

    Args:
        state: Owned by this object.
        path: Tokens of one byte each, and control tokens.
    """

    state: LLMatcher
    path: list[int] = field(default_factory=list)

    def copy(self) -> _Place:
        return _Place(self.state.deep_copy(), list(self.path))

    def allows(self, token: int | None) -> bool:
        return token is not None and self.state.validate_tokens([token]) == 1

    def take(self, token: int) -> bool:
        self.path.append(token)
        return bool(self.state.consume_token(token))

    @property
    def complete(self) -> bool:
        return bool(self.state.is_accepting())


class EndingSearch:
    """Finds short endings for matchers of one tokenizer.

    Args:
        codec: The model's tokens; their bytes must be known.
    """

    def __init__(self, codec: TokenCodec) -> None:
        assert codec.token_bytes is not None
        self._codec = codec
        self._token_bytes = codec.token_bytes
        self._ids: dict[int, int] = {}
        for token, written in enumerate(codec.token_bytes):
            if len(written) == 1 and token not in codec.control_ids:
                self._ids.setdefault(written[0], token)

    def shortest(self, matcher: LLMatcher) -> list[int] | None:
        """Tokens that complete the text.

        Args:
            matcher: Where the text is now; it is left as it is.

        Returns:
            Few tokens that lead to a complete text, none if it is complete already; None if none were found within
            the bounds of the search, which proves nothing.
        """
        search = _Search()
        place = _Place(matcher.deep_copy())
        self._dive(place, search, matcher)
        while not place.complete and search.places > 0 and len(place.path) < _MOST_BYTES:
            moved = self._forced(place)
            if moved is None:
                break
            if moved:
                continue
            following = self._next(place, search, matcher)
            if following is None:
                break
            place = following
        return search.best

    def _next(self, place: _Place, search: _Search, matcher: LLMatcher) -> _Place | None:
        """One byte further, where the shortest ending is."""
        children = self._children(place, sure=search.best is not None)
        search.places -= len(children)
        if len(children) == 1:
            return children[0]
        ranked: list[tuple[int, int, int]] = []
        for index, child in enumerate(children):
            if (found := self._dive(child, search, matcher)) is not None:
                ranked.append((*found, index))
        return children[min(ranked)[-1]] if ranked else None

    def _dive(self, start: _Place, search: _Search, matcher: LLMatcher) -> tuple[int, int] | None:
        """Go to an end by the usual order; its length in tokens and bytes from where the search began."""
        place = start.copy()
        while not place.complete:
            if len(place.path) > search.most or search.places <= 0:
                return None
            moved = self._forced(place)
            if moved is None:
                return None
            if moved:
                continue
            search.places -= 1
            token = next(self._allowed(place, text=self._is_text(place)), None)
            if token is None or not place.take(token):
                return None
        written = self._written(place.path, matcher)
        if search.best is None or len(written) < len(search.best):
            search.best = written
            search.most = min(search.most, 4 * len(place.path) + 64)
        return len(written), len(place.path)

    def _forced(self, place: _Place) -> bool | None:
        """Take what can only come next; whether there was anything, None if it cannot be followed byte by byte."""
        text = place.state.compute_ff_bytes()
        at = 0
        while at < len(text):
            if control := _CONTROL.match(text, at):
                token, at = int(control[1]), control.end()
            elif (known := self._ids.get(text[at])) is not None:
                token, at = known, at + 1
            else:
                return None
            if not place.take(token):
                return None
        return bool(text)

    def _is_text(self, place: _Place) -> bool:
        """Whether nearly anything may come: the inside of a string."""
        return all(place.allows(self._ids.get(byte)) for byte in _UNUSUAL)

    def _allowed(self, place: _Place, *, text: bool, all_of_text: bool = True) -> Iterator[int]:
        """What may come, what tends to lead to the end first; of a text perhaps only what may fill it."""
        last = self._token_bytes[place.path[-1]] if place.path else b""
        if text:
            order = b'"' + _FILLERS + (_ORDER if all_of_text else b"")
        elif last in _OPENED:
            order = _ENDS + _ORDER
        else:
            order = b'"' + _ENDS + (_AFTER_DIGIT if last in _DIGITS else _ORDER)
        for byte in dict.fromkeys(order + _OTHERS if all_of_text else order):
            token = self._ids.get(byte)
            if token is not None and place.allows(token):
                yield token

    def _children(self, place: _Place, *, sure: bool) -> list[_Place]:
        """Places one byte further, one of each kind."""
        text = self._is_text(place)
        tokens = list(self._allowed(place, text=text, all_of_text=not (text and sure)))
        follows = b"".join(self._token_bytes[token] for token in tokens)
        after_value = follows[:1] in _BRACKETS and b"," in follows and not follows.strip(_AFTER_VALUE)
        if follows[:1] == b'"' if text else after_value:
            del tokens[1:]  # the end of a string, list or object is never worse than more of it
        kinds: dict[tuple[object, ...], list[_Place]] = {}
        for token in tokens:
            child = place.copy()
            if child.take(token):
                byte = self._token_bytes[token]
                sort = "letter" if byte.isalpha() else "digit" if byte.isdigit() else byte
                alike = kinds.setdefault((text or sort, *self._kind(child)), [])
                if len(alike) < (_LETTERS_TRIED if sort == "letter" and not text else 1):
                    alike.append(child)
        return [child for alike in kinds.values() for child in alike]

    def _kind(self, place: _Place) -> tuple[bytes, bool, tuple[bool, ...]]:
        """What tells places apart: what is forced, whether the text is complete, and which characters may follow."""
        state = place.state
        if place.complete and state.is_stopped():
            return b"", True, ()
        follows = tuple(place.allows(self._ids.get(byte)) for byte in _ORDER)
        return state.compute_ff_bytes(), place.complete, follows

    def _written(self, path: Sequence[int], matcher: LLMatcher) -> list[int]:
        """The path in tokens as the model writes them, if the matcher accepts those."""
        tokens: list[int] = []
        run = bytearray()

        def flush() -> None:
            # What is left of a character that was begun has no tokens but those of its bytes.
            half = next((n for n, byte in enumerate(run) if byte & 0xC0 != 0x80), len(run))
            tokens.extend(self._ids[byte] for byte in run[:half])
            tokens.extend(self._codec.encode_text(run[half:].decode("utf-8", "replace")))
            run.clear()

        for token in path:
            if token in self._codec.control_ids:
                flush()
                tokens.append(token)
            else:
                run += self._token_bytes[token]
        flush()
        copy = matcher.deep_copy()
        followed = copy.try_consume_tokens(tokens) == len(tokens) and copy.is_accepting()
        return tokens if followed and len(tokens) <= len(path) else list(path)
