"""Which sentences of a user state something that is worth knowing later. English, by rules that can be read.

A sentence is a statement when it tells something about the user or the user's case: "I live on the third
floor without a lift", "my sofa is the grey one", "please call me Ms. Okafor". Questions, commands, wishes of
the moment ("I want to return it") and small talk are not. The rules would rather miss a statement than keep a
wrong one: the whole message is remembered as well. Passwords and card numbers are never remembered.

Each rule is a list of words below; a sentence of more than 40 words is not looked at.
"""

from __future__ import annotations

import re
from typing import Final

_FEWEST_WORDS: Final = 3
_MOST_WORDS: Final = 40
_MOST_CHARACTERS: Final = 10_000  # of a message; what comes behind is not looked at


def _one_of(words: str) -> str:
    """A regular expression for any of some phrases, which bars separate."""
    return "(?:" + "|".join(re.escape(word.strip()).replace(r"\ ", r"\s+") for word in words.split("|")) + ")"


def _rule(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)?")

# A sentence ends at . ! ? or at a line end; the full stop of a title or an abbreviation ends none.
_SENTENCE_END: Final = _rule(
    r"(?<!\bMr\.)(?<!\bMs\.)(?<!\bMrs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bno\.)(?<=[.!?])\s+", r"\s*\n\s*"
)

_GREETING_WORDS: Final = _one_of(
    "hi|hello|hey|good morning|good afternoon|good evening|good day|thank you|thanks|ok|okay|yes|no|well|so|"
    "also|and|but|oh|sorry|by the way|btw|fyi"
)
_GREETING: Final = _rule(rf"^(?:{_GREETING_WORDS}\b(?:\s+(?:there|all|everyone)\b)?[\s,.!:;–-]*)+")

_QUESTION_WORDS: Final = _one_of(
    "who|whose|what|what's|when|where|where's|why|how|which|can|could|would|will|shall|should|may|might|must|do|"
    "does|did|don't|doesn't|didn't|is|isn't|are|aren't|was|were|am|has|any"
)
_QUESTION: Final = _rule(rf"{_QUESTION_WORDS}\b")
# "There is no lift in my house, can you still deliver?": what comes before the question stands for itself.
_TURN_TO_QUESTION: Final = _rule(
    rf"\s*[,;:–-]+\s*(?:{_one_of('and|but|so|then')}\s+)?(?={_QUESTION_WORDS}\b)",
    rf"\s+{_one_of('and|but|so')}\s+(?={_QUESTION_WORDS}\b)",
)
_CONDITION: Final = _rule(_one_of("if|when|whenever|unless|suppose|imagine|whether|in case") + r"\b")

_COMMANDS: Final = _one_of(
    "tell|show|give|find|get|track|cancel|change|update|return|refund|send|ship|deliver|check|help|look|let|"
    "explain|list|search|start|stop|open|close|make|put|write|add|remove|delete|forget|ignore|pretend|repeat|translate|"
    "calculate|book|order|buy|connect|transfer|wait|say|answer|speak|act|use"
)
_COMMAND: Final = _rule(rf"(?:{_one_of('please|just|kindly|then')}\s+)*{_COMMANDS}\b")

# Two commands that state something. "Call me back" and "call me when it is ready" name nobody.
_NO_NAMES: Final = _one_of(
    "back|at|on|later|when|if|tomorrow|today|now|again|before|after|about|as soon|a|an|the|please|any"
)
_NAMING: Final = _rule(rf"\b{_one_of('call|address')}\s+me\s+(?!{_NO_NAMES}\b)\w")
_ASKED_TO_REMEMBER: Final = _rule(
    rf"(?:please\s+)?{_one_of('remember|note|keep in mind|be aware')}\s+(?:that\s+)?\w+\s+\w+\s+\w"
)

_ADVERBS: Final = rf"(?:(?:\w+ly|{_one_of('always|never|also|still|now|just|so|not|often|both|all|do')})\s+)*"
_I: Final = r"\b(?:I|we)\s+"
_I_AM: Final = r"\b(?:I|we)(?:'m|'re|\s+am|\s+are|\s+was|\s+were)\s+"
_FAMILY: Final = (
    r"\bmy\s+"
    + _one_of("wife|husband|partner|son|daughter|mother|father|mum|mom|dad|family|kids|children")
    + r"\s+"
)

# What passes: a mood, an activity or a wish of this moment.
_PASSING: Final = _rule(
    _I_AM
    + _ADVERBS
    + _one_of(
        "looking|calling|writing|trying|going|waiting|wondering|asking|sorry|sure|afraid|glad|happy|unhappy|fine|"
        "good|well|ok|okay|done|back|here|confused|interested|having|getting|thinking|hoping|about|ready|"
        "in a hurry|angry|annoyed|disappointed|pleased|curious|talking"
    )
    + r"\b",
    r"\b(?:I|we)(?:'d|\s+would)\s",
    _I
    + _ADVERBS
    + _one_of(
        "want|wish|hope|think|guess|mean|wonder|wanted|need to|need help|see|understand|know|don't know|"
        "don't understand|appreciate|thank|apologise|apologize|have to|had to"
    )
    + r"\b",
    r"\b(?:I|we)\s*(?:have|'ve\s+got)\s+(?:\w+\s+){1,2}"
    + _one_of("question|questions|request|query|idea|favour"),
)

_LASTING: Final = _one_of(
    "live|lives|lived|have|has|had|own|owns|work|works|prefer|prefers|like|likes|love|loves|hate|hates|dislike|"
    "speak|speaks|study|studies|drive|drives|share|rent|rents|need|needs|use|uses|wear|wears|eat|eats|bought|"
    "ordered|paid|received|got|chose|picked|moved|returned|sent|signed|joined|lost|broke|is|are|was|were|has"
)
_UNABLE: Final = (
    _one_of("can't|cannot|can not|don't|do not|doesn't|does not|won't|will not")
    + r"\s+"
    + _ADVERBS
    + _one_of("have|own|eat|drink|drive|walk|climb|lift|carry|speak|read|hear|see|like|live|work|use|wear")
)
_OWN_THING_DOES: Final = _one_of(
    "is|are|was|were|isn't|aren't|wasn't|has|have|had|hasn't|came|comes|arrived|arrives|broke|needs|weighs|"
    "measures|lives|works|does|doesn't|starts|begins|ends|stands|fits"
)

_ABOUT_SELF: Final = _rule(
    _I_AM + r"\w",
    r"\b(?:I|we)(?:'ve|\s+have)\s+\w",
    rf"(?:{_I}|{_FAMILY}){_ADVERBS}{_LASTING}\b",
    rf"(?:{_I}|{_FAMILY}){_ADVERBS}{_UNABLE}\b",
    # "my sofa is …", "our flat in the old town has …"
    rf"\b(?:my|our)\s+(?:[\w'-]+\s+){{1,6}}?{_ADVERBS}{_OWN_THING_DOES}\s+\w",
    r"\bmy\s+[\w-]+'s\s+\w",
    r"\bthere(?:'s|\s+is|\s+are|\s+isn't|\s+aren't)\s.*\b(?:my|our|here)\b",
)

_SECRET: Final = _rule(
    r"\b"
    + _one_of(
        "password|passcode|passphrase|pin|pin code|cvv|cvc|card number|security code|account number|iban|"
        "social security"
    )
    + r"\b"
)
_LONG_NUMBER: Final = re.compile(r"\d(?:[ -]?\d){12,18}")

_SMALL_TALK: Final = frozenset(
    _WORD.findall(
        "hi hello hey there bye goodbye good morning afternoon evening night day thank thanks you very so "
        "much a lot ok okay yes no nope yeah yep sure please great perfect nice cool fine that that's is all "
        "right how are and it well sorry welcome see later again for your help have"
    )
)


def statements(text: str) -> tuple[str, ...]:
    """The sentences of a user message that state something about the user or the user's case.

    Args:
        text: One user message.

    Returns:
        The statements in order, in the user's words, without a greeting before or a question behind them.
    """
    found: list[str] = []
    for sentence in _SENTENCE_END.split(text[:_MOST_CHARACTERS].replace("’", "'")):
        alone = _GREETING.sub("", sentence.strip())
        statement = _TURN_TO_QUESTION.split(alone, maxsplit=1)[0].strip(" ,;:–-")
        if _is_statement(statement) and statement not in found:
            found.append(statement)
    return tuple(found)


def worth_remembering(text: str) -> bool:
    """Whether a user message says enough to be found again: three words, not all small talk, no secret.

    Args:
        text: One user message.
    """
    words = _words(text)
    return len(words) >= _FEWEST_WORDS and not _SMALL_TALK.issuperset(words) and not holds_secret(text)


def holds_secret(text: str) -> bool:
    """Whether a text names a password or the like, or holds a number that can be that of a payment card.

    A card number has 13 to 19 digits, the last of which is a checksum of the others (Luhn, ISO/IEC 7812-1).
    """
    long_numbers = (match.group() for match in _LONG_NUMBER.finditer(text))
    return _SECRET.search(text) is not None or any(_passes_luhn(number) for number in long_numbers)


def _is_statement(sentence: str) -> bool:
    length = len(_words(sentence.replace("'", " ")))  # "I'm vegetarian" has three words
    if not _FEWEST_WORDS <= length <= _MOST_WORDS or holds_secret(sentence):
        return False
    if sentence.endswith("?") or _QUESTION.match(sentence) or _CONDITION.match(sentence):
        return False
    if _NAMING.search(sentence) or _ASKED_TO_REMEMBER.match(sentence):
        return True
    if _COMMAND.match(sentence) or _PASSING.search(sentence):
        return False
    return _ABOUT_SELF.search(sentence) is not None


def _words(text: str) -> list[str]:
    return _WORD.findall(text.replace("’", "'").casefold())


def _passes_luhn(number: str) -> bool:
    digits = [int(character) for character in number if character.isdecimal()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0
