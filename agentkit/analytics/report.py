"""The figures of a report: frozen values that are also its JSON form. Shares are 0 to 1, times are seconds."""

from __future__ import annotations

from datetime import date, datetime

from agentkit.messages import Value


class Share(Value):
    """How many of how many."""

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """The share; None of nothing."""
        return self.count / self.of if self.of else None


class Spread(Value):
    """A time in seconds: how often it was taken, the middle of it, and what nine of ten stay below."""

    count: int
    median: float | None
    ninth_decile: float | None


class Counted(Value):
    """How often something was."""

    name: str
    count: int


class SlotFigures(Value):
    """How well a value is got from customers.

    Args:
        flow, slot: Which.
        asked: How often it was asked for the first time.
        asked_again: How often it had to be asked for once more.
        refused: Values that were not accepted.
        corrected: How often a customer took a value back for another one.
        given: How often a value was settled.
    """

    flow: str
    slot: str
    asked: int
    asked_again: int
    refused: int
    corrected: int
    given: int

    @property
    def failures(self) -> int:
        """What went wrong with it, in all."""
        return self.asked_again + self.refused


class FlowFigures(Value):
    """How a process ended, of all times that it began; those that did not end are still open or were left."""

    flow: str
    started: int
    completed: int
    cancelled: int
    refused: int
    failed: int
    handed_off: int


class Period(Value):
    """The intents of one day, or of the week that begins with it."""

    begins: date
    turns: int
    intents: tuple[Counted, ...]


class QuestionGroup(Value):
    """Questions of one meaning that the bot did not answer.

    Args:
        example: The one that is nearest to all of them.
        count: How many there are.
        questions: Some of them, each once.
        last: When the newest was asked.
    """

    example: str
    count: int
    questions: tuple[str, ...]
    last: datetime


class Report(Value):
    """What the conversations say.

    Args:
        bot: Its name.
        since: The first time that counts; None: all that is kept.
        made_at: When it was made.
        conversations: In which a customer said something.
        customers: Different ones.
        turns: Messages of customers that were answered.
        contained: Conversations that needed no person.
        handed_off: Conversations that went to one.
        fallbacks: Turns in which the bot did not know what to say or to do.
        without_generation: Turns in which the generator wrote nothing.
        answered_by_people: Turns that a person answered.
        answer_time: From the message to the bot's reply.
        answer_time_without_generation: The same where the generator wrote nothing.
        wait_for_a_person: From the hand-off to the first word of a person.
        waiting: Hand-offs that wait now.
        callbacks: Customers who wait to be called.
        reasons: Why conversations went to people.
        fallback_kinds: Why the bot did not know.
        policies: Rules that stood against a call.
        intents: In all; `None` stands for messages that are none of the bot's subjects.
        periods: Intents over time, oldest first.
        flows: Processes, the most frequent first.
        slots: Values, those that fail most first.
        unanswered: What to write next, the most frequent first.
    """

    bot: str
    since: datetime | None
    made_at: datetime
    conversations: int
    customers: int
    turns: int
    contained: Share
    handed_off: Share
    fallbacks: Share
    without_generation: Share
    answered_by_people: int
    answer_time: Spread
    answer_time_without_generation: Spread
    wait_for_a_person: Spread
    waiting: int
    callbacks: int
    reasons: tuple[Counted, ...]
    fallback_kinds: tuple[Counted, ...]
    policies: tuple[Counted, ...]
    intents: tuple[Counted, ...]
    periods: tuple[Period, ...]
    flows: tuple[FlowFigures, ...]
    slots: tuple[SlotFigures, ...]
    unanswered: tuple[QuestionGroup, ...]
