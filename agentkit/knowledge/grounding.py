"""Does the evidence support a reply? What a small generator writes is checked here before anybody reads it.

The check is made of rules that can be read, and it prefers to reject: a rejected sentence costs a second try
or a quotation, an accepted invention costs a customer. It compares meaning where the forms of writing are
finite (numbers, dates, units) and words elsewhere; it does not understand. A sentence passes when

1. it is a sentence of the evidence, word by word; or
2. everything countable or named in it (`agentkit.knowledge.claims`) is given by *one* passage, or by the
   user: taking a price from here and a product from there is how small models mislead; and
3. its other words are mostly words of that passage or of the user, at least half of them of the passage; and
4. it says neither more nor less "not" than the sentence of the passage that it resembles most.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Final

from agentkit.knowledge.claims import Offer, Reading, offer, read
from agentkit.knowledge.sentences import plain, sentences, stem, words
from agentkit.knowledge.vocabulary import FUNCTION_WORDS, NEGATORS, NUMBER_WORDS

_FOREIGN_SHARE: Final = 0.25
"""Largest share of content words that neither the evidence nor the user has said."""
_OWN_SHARE: Final = 0.5
"""Smallest share of content words that the evidence itself says."""
_LIGHT_WORDS: Final = FUNCTION_WORDS | NUMBER_WORDS.keys()
_CLAUSE: Final = re.compile(
    r"[;,:]\s+|\s-\s|\s+(?:but|however|otherwise|although|though|except|unless|whereas|while|if|because)\s+",
    re.IGNORECASE,
)
_OPENER: Final = re.compile(r"^(?:yes|no|sorry|sure|certainly)\b[\s,.!:-]*", re.IGNORECASE)


class _Text:
    """A text of the evidence, or what the user said; a reply that quotes it needs its sentences only."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def sentences(self) -> frozenset[str]:
        """Its sentences in the form in which they are compared."""
        return frozenset(_normal(part) for part in sentences(self._text))

    @cached_property
    def offer(self) -> Offer:
        """What it supports."""
        return offer(self._text)

    @cached_property
    def clauses(self) -> tuple[tuple[frozenset[str], bool], ...]:
        """The stems of its clauses, and whether each is negative."""
        parts = (clause for part in sentences(self._text) for clause in _CLAUSE.split(plain(part)))
        return tuple((_stems(clause), _negated(clause)) for clause in parts)


def unsupported(reply: str, evidence: Sequence[str], user_words: str = "") -> tuple[str, ...]:
    """The pieces of `reply` that its evidence does not support; empty when the reply may be sent.

    Args:
        reply: What the bot is about to say.
        evidence: The passages, facts and tool results that it was written from, each a text of its own.
        user_words: What the user has said; it supports numbers, names and words, but cannot carry a whole
            sentence.

    Returns:
        Each unsupported number, date, time, identifier, address or name as it is written, then words without
        support, then clauses that negate what the evidence affirms or the other way round. No duplicates.
    """
    passages, spoken = tuple(map(_Text, evidence)), _Text(user_words)
    found: list[str] = []
    for sentence in sentences(reply):
        if not any(_is_quoted(sentence, passage) for passage in passages):
            found.extend(_check(sentence, passages, spoken))
    return tuple(dict.fromkeys(found))


def resting_on(reply: str, evidence: Sequence[str], user_words: str = "") -> tuple[int, ...]:
    """Which texts of the evidence a supported reply rests on, so that no others are cited; arguments as above.

    Returns:
        Indices of the texts that bear out its sentences best, ascending; a sentence without a claim needs none.
    """
    passages, spoken = tuple(map(_Text, evidence)), _Text(user_words)
    used: set[int] = set()
    for sentence in sentences(reply):
        quoted = [index for index, passage in enumerate(passages) if _is_quoted(sentence, passage)]
        bare = _OPENER.sub("", sentence)
        if quoted:
            used.add(quoted[0])
        elif passages and (read(bare).claims or _content(read(bare).words)):
            used.add(_nearest(bare, passages, spoken)[0])
    return tuple(sorted(used))


def _normal(sentence: str) -> str:
    return " ".join(plain(sentence).casefold().split()).strip(" .!\"'-*•")


def _is_quoted(sentence: str, passage: _Text) -> bool:
    return _normal(sentence) in passage.sentences


def _check(sentence: str, passages: Sequence[_Text], spoken: _Text) -> list[str]:
    """What is wrong with one sentence of the reply, measured against the passage that supports it best."""
    bare = _OPENER.sub("", sentence)
    reading = read(bare)
    content = _content(reading.words)
    if not reading.claims and not content:
        return []
    if not passages:
        return [claim.text for claim in reading.claims if claim.needs] or content
    return _nearest(bare, passages, spoken)[1]


def _nearest(sentence: str, passages: Sequence[_Text], spoken: _Text) -> tuple[int, list[str]]:
    """The index of the passage that supports a sentence best, and what is wrong with the sentence all the same."""
    reading, stems = read(sentence), _stems(sentence)
    tried = [(index, _against(sentence, reading, passage, spoken)) for index, passage in enumerate(passages)]
    return min(tried, key=lambda each: (len(each[1]), -len(stems & passages[each[0]].offer.stems)))


def _against(sentence: str, reading: Reading, passage: _Text, spoken: _Text) -> list[str]:
    """What is wrong with a sentence if it was made from `passage` and the user's words."""
    lent = [claim for claim in reading.claims if claim.needs and not passage.offer.supports(claim)]
    wrong = [claim.text for claim in lent if not spoken.offer.supports(claim)]
    content = _content(reading.words)
    missing = [word for word in content if stem(word) not in passage.offer.stems]
    foreign = [word for word in missing if stem(word) not in spoken.offer.stems]
    total = len(content) + len(reading.claims)
    if len(foreign) > _FOREIGN_SHARE * total:
        wrong.extend(foreign)
    elif len(missing) + len(lent) > (1 - _OWN_SHARE) * total:
        wrong.extend([*(claim.text for claim in lent), *missing])
    return wrong + _flipped(sentence, passage)


def _flipped(sentence: str, passage: _Text) -> list[str]:
    """The clauses of `sentence` whose polarity differs from the clauses of the passage most like them."""
    flipped: list[str] = []
    for clause in _CLAUSE.split(plain(sentence)):
        content = _stems(clause)
        shared = max((len(content & other) for other, _ in passage.clauses), default=0)
        if shared == 0:
            continue
        polarities = {negated for other, negated in passage.clauses if len(content & other) == shared}
        if _negated(clause) not in polarities:
            flipped.append(clause.strip())
    return flipped


def _content(spoken: Sequence[str]) -> list[str]:
    """The words that carry meaning, in order."""
    return [word for word in spoken if word not in _LIGHT_WORDS and len(word) > 1]


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in _content(words(text)))


def _negated(clause: str) -> bool:
    """Whether the clause is negative: an odd number of negating words."""
    return sum(word in NEGATORS for word in words(clause)) % 2 == 1
