"""What a message asks for: rules first, the encoder second, the generator where neither is sure.

1. a message whose every word is a value, a phrase or a word of the subject is understood by rules
2. its clauses are what the encoder surely names, or answers to what the bot asked
3. what neither explains is given to the generator, as a closed choice
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agentkit.commands import (
    CannotHandle,
    ChitChat,
    Clarify,
    Command,
    Confirm,
    CorrectSlot,
    Deny,
    HandOff,
    KnowledgeQuestion,
    SetSlot,
    StartFlow,
)
from agentkit.events import UnderstoodBy
from agentkit.prompts import PromptLibrary
from agentkit.service.sketch import FlowSketch
from agentkit.service.understanding.answers import Answer, settled, subject_of
from agentkit.service.understanding.choosing import chosen_flow
from agentkit.service.understanding.generation import Decider, without_each_other
from agentkit.service.understanding.phrases import asks, cover, spoken
from agentkit.service.understanding.reading import Frame, read
from agentkit.service.understanding.situation import Ask, Situation, Understood
from agentkit.service.understanding.values import piece
from agentkit.service.understanding.wishes import CLEAR, CONCEIVABLE, Wish, likely_flows, wishes_in
from agentkit.service.understanding.words import words_of

_READ: Final = 2000
"""Characters of a message that are read: its beginning and its end, where wishes stand."""


_PASSING: Final = 2
"""Words beside a value that need no explanation ("it arrived broken")."""
_LIKELY: Final = 0.4
"""Probability of an intent that decides together with a value of its flow."""
_ON_TOPIC: Final = 0.25
"""Probability of being in scope from which a question without an intent goes to the knowledge."""
_MOST_FLOWS: Final = 3
_MOST_ASKED: Final = 3
"""Generations for one message."""


def understand(situation: Situation, *, ask: Ask | None = None, prompts: PromptLibrary) -> Understood:
    """The commands of a message.

    Args:
        situation: The message and all that may be used to understand it.
        ask: Runs one constrained generation and may add a deadline to it; None: rules and encoder decide alone.
        prompts: Where the words for the generator come from.

    Returns:
        At least one command. A value that stands in one was read from the message.
    """
    text = situation.text.strip()
    if len(text) > _READ:
        return Understood((CannotHandle(reason="too_long"),), "rules")
    if not spoken(text):
        puzzled = "?" in text and situation.awaiting is not None
        silent = Clarify() if puzzled else CannotHandle(reason="unclear" if text else "empty")
        return Understood((silent,), "rules")
    decider = Decider(ask, prompts) if ask is not None else None
    if flow := chosen_flow(situation, text):
        return _Understanding(situation, decider, "rules").starting(flow, text)
    if situation.is_open and (answer := Answer(situation, text)).explained:
        return Understood(tuple(answer.commands()), "rules")
    if bare := _bare_answer(situation, text):
        return Understood((bare,), "rules")
    return _Understanding(situation, decider).of(text)


def _bare_answer(situation: Situation, text: str) -> Command | None:
    """A yes or a no to nothing, which is no intent either."""
    if situation.is_open or (situation.prediction is not None and situation.prediction.intent is not None):
        return None
    said = cover(text, (), frozenset())
    if said.left or len(set(said.meanings)) != 1:
        return None
    answers: dict[str, Command] = {"confirm": Confirm(), "deny": Deny()}
    return answers.get(said.meanings[0])


@dataclass
class _Understanding:
    """One message on its way.

    Args:
        situation: Where it was said.
        decider: The generator; None: there is none.
    """

    situation: Situation
    decider: Decider | None
    by: UnderstoodBy = "rules"
    generations: int = 0

    def of(self, text: str) -> Understood:
        """Its commands, wish by wish; a clause that asks for nothing is passed over where others do."""
        answers: list[Command] = []  # they belong to the active flow, so they come before any that starts
        wanted: list[Command] = []
        unexplained: list[Wish] = []
        wishes = wishes_in(self.situation, text)
        named = [self._own(wish, Answer(self.situation, wish.text)) for wish in wishes]
        if len(wishes) > 1 and not any(named):
            wishes, named = [Wish(text, self.situation.prediction)], [[]]
        for wish, own in zip(wishes, named, strict=True):
            answer = Answer(self.situation, wish.text)
            if own:
                wanted += own
            elif said := [*answer.commands(), *self._doubts(answer)]:
                answers += said
            elif len(wishes) > 1 and self._may_start(wish):
                wanted += self._unexplained(wish, wish.text)
            else:
                unexplained.append(wish)
        commands = [*answers, *wanted] or self._unexplained(unexplained[0], text)
        return Understood(tuple(_telling(commands)), self.by)

    def starting(self, flow: str, text: str) -> Understood:
        """The flow that was picked, with the values that the same words give."""
        commands = self._started(Wish(text, self.situation.prediction, "", "flow", flow))
        return Understood(tuple(commands), self.by)

    def _decided(self, by: UnderstoodBy) -> None:
        order: tuple[UnderstoodBy, ...] = ("rules", "encoder", "generator")
        self.by = max(self.by, by, key=order.index)

    def _asking(self) -> Decider | None:
        """The generator, if it may be asked once more."""
        if self.decider is None or self.generations >= _MOST_ASKED:
            return None
        self.generations += 1
        self._decided("generator")
        return self.decider

    def _own(self, wish: Wish, answer: Answer) -> list[Command]:
        """What a wish asks for by the encoder's word; nothing where it is an answer."""
        is_open = self.situation.is_open
        if wish.intent is None or (is_open and wish.kind == "flow" and wish.flow == self.situation.active):
            return []
        if is_open and (answer.explained or _answers_in_passing(wish, answer)):
            return []
        self._decided("encoder")
        match wish.kind:
            case "flow":
                return self._started(wish)
            case "knowledge" if not is_open and not asks(wish.text) and (flow := self._fitting(wish)):
                return self._started(Wish(wish.text, wish.prediction, "", "flow", flow))
            case "knowledge":
                return [KnowledgeQuestion(text=wish.text)]
            case "chat":
                return [ChitChat(intent=wish.intent)]
            case "person":
                return [HandOff(reason=wish.intent)]
            case "other":
                return []

    def _started(self, wish: Wish) -> list[Command]:
        """The flow with the values that the same words give, and once more for each further value of a list."""
        flow = self.situation.flows[wish.flow]
        reading = read(wish.text, flow, Frame(self.situation.today, self.situation.language))
        commands: list[Command] = [StartFlow(flow=flow.name)]
        said = cover(wish.text, reading.places, subject_of(flow) | _described(flow))
        texts = [slot for slot in flow.slots.values() if slot.type == "text" and not slot.pattern]
        places: dict[str, tuple[int, int]] = {}
        for slot in texts if said.left else ():
            decider = self._asking()
            place = decider.value(wish.text, slot, reading.places) if decider is not None else None
            if place is not None and _holds_any(said.left, wish.text[slice(*place)]):
                places[slot.name] = place
        for name, (start, end) in without_each_other(wish.text, places).items():
            commands.append(SetSlot(slot=name, value=wish.text[start:end], said=wish.text[start:end]))
        commands += settled(reading, wish.text)
        for further in reading.listed:
            value = wish.text[further.start : further.end]
            commands.append(StartFlow(flow=flow.name))
            commands.append(SetSlot(slot=further.slot.name, value=further.value, said=value))
        return commands

    def _doubts(self, answer: Answer) -> list[Command]:
        """Of several values for one slot the one that the generator takes."""
        found: list[Command] = []
        for candidates in answer.open.values():
            decider = self._asking()
            if decider is None:
                continue
            meanings = {
                piece(answer.text, each): each.slot.description or each.slot.name for each in candidates
            }
            chosen = decider.meaning(answer.text, meanings, self._question)
            found += [
                answer.given(each)
                for each in candidates
                if chosen is not None and piece(answer.text, each) == chosen
            ][:1]
        return found

    @property
    def _question(self) -> str:
        return self.situation.awaiting.text if self.situation.awaiting is not None else ""

    def _unexplained(self, wish: Wish, text: str) -> list[Command]:
        """What neither a rule nor the encoder explains: one closed choice for the generator, where there is one."""
        answer = Answer(self.situation, text)
        if len(wish.rivals) > 1:
            self._decided("encoder")
            return [Clarify(flows=wish.rivals)]
        free = answer.free_text()
        if free and not asks(text):
            return free
        if not self.situation.is_open and (flow := self._fitting(wish)):
            self._decided("encoder")
            return self._started(Wish(text, wish.prediction, "", "flow", flow))
        if not free and not asks(text) and self.situation.awaiting is not None and not self._may_start(wish):
            return [CannotHandle()]  # a value or a yes was asked for, and the message holds neither
        if not free and asks(text) and not self._may_start(wish):
            return self._best_guess(wish, text, free)
        meanings = self._meanings(wish, may_answer=bool(free))
        decider = self._asking() if meanings else None
        if decider is None:
            return self._best_guess(wish, text, free)
        match decider.meaning(text, meanings, self._question):
            case "answer":
                return free
            case "question":
                return [KnowledgeQuestion(text=text)]
            case None:
                return self._best_guess(wish, text, [])
            case flow:
                return self._started(Wish(text, wish.prediction, "", "flow", flow))

    def _meanings(self, wish: Wish, *, may_answer: bool) -> dict[str, str]:
        found: dict[str, str] = {"answer": "it answers what was asked"} if may_answer else {}
        for name in self._likely(wish):
            found[name] = self.situation.flows[name].description
        found["question"] = "it asks for information"
        return found

    def _likely(self, wish: Wish) -> list[str]:
        """The flows that a wish may want: those with a place for more of its values first, then the likelier ones."""
        likely = likely_flows(self.situation, wish.prediction)
        frame = Frame(self.situation.today, self.situation.language)
        places = {name: len(read(wish.text, self.situation.flows[name], frame).places) for name in likely}
        ranked = sorted(likely, key=lambda name: (-places[name], likely.index(name)))
        return [name for name in ranked if name != self.situation.active][:_MOST_FLOWS]

    def _fitting(self, wish: Wish) -> str:
        """The flow that the encoder thinks of and whose slots the values of the message fit; empty where two do."""
        prediction = wish.prediction
        if prediction is None or prediction.in_scope < _ON_TOPIC:
            return ""
        frame = Frame(self.situation.today, self.situation.language)
        likely = {
            flow: odds for intent, odds in prediction.ranking if (flow := self.situation.starts(intent))
        }
        places = {flow: len(read(wish.text, self.situation.flows[flow], frame).values) for flow in likely}
        most = max(places.values(), default=0)
        best = [flow for flow, count in places.items() if count == most]
        first = max(likely, key=lambda flow: likely[flow], default="")
        if most >= 2 and len(best) == 1:
            return best[0]
        others = [odds for flow, odds in likely.items() if flow != first]
        ahead = first and likely[first] >= _LIKELY and likely[first] >= 2 * max(others, default=0.0)
        return first if ahead and places[first] else ""

    def _may_start(self, wish: Wish) -> bool:
        """Whether the message may want another process."""
        prediction = wish.prediction
        least = _LIKELY if self.situation.is_open else CONCEIVABLE
        return prediction is None or any(
            probability >= least and self.situation.starts(intent) not in ("", self.situation.active)
            for intent, probability in prediction.ranking
        )

    def _best_guess(self, wish: Wish, text: str, free: list[Command]) -> list[Command]:
        prediction = wish.prediction
        on_topic = prediction is None or prediction.in_scope >= _ON_TOPIC
        if asks(text) and on_topic:
            return [KnowledgeQuestion(text=text)]
        return free or [CannotHandle(reason="unclear" if on_topic else "out_of_scope")]


def _answers_in_passing(wish: Wish, answer: Answer) -> bool:
    """Whether a message answers what was asked, whatever the encoder reads into it: it asks nothing itself, and holds
    what was asked for or nothing that a process could begin with."""
    if asks(wish.text):
        return False
    if wish.kind in ("knowledge", "chat"):
        return True
    if not answer.gives_what_was_asked:
        return False
    if answer.corrects:
        return True
    sure = wish.prediction is not None and wish.prediction.probability >= CLEAR
    return not sure and len(answer.cover.left) <= _PASSING


def _holds_any(unexplained: Sequence[str], text: str) -> bool:
    """Whether words say more than that the flow is wanted."""
    return not {word.text for word in words_of(text)}.isdisjoint(unexplained)


def _described(flow: FlowSketch) -> frozenset[str]:
    return frozenset(word.text for word in words_of(flow.description))


def _before_a_start(commands: list[Command]) -> list[Command]:
    starts = [i for i, each in enumerate(commands) if isinstance(each, StartFlow)]
    return commands[: starts[0]] if starts else commands


def _telling(commands: list[Command]) -> list[Command]:
    """Without a greeting, what is unclear beside a wish, and a yes to what the same message changes."""
    others: list[Command] = [each for each in commands if not isinstance(each, (ChitChat, CannotHandle))]
    if any(isinstance(each, (SetSlot, CorrectSlot)) for each in _before_a_start(others)):
        others = [each for each in others if not isinstance(each, (Confirm, Deny))]
    return _once(others) or commands[:1]


def _once(commands: list[Command]) -> list[Command]:
    """Without a start that adds nothing to an earlier one of the same flow."""
    kept: list[Command] = []
    for number, each in enumerate(commands):
        gives = number + 1 < len(commands) and isinstance(commands[number + 1], SetSlot)
        if gives or not (isinstance(each, StartFlow) and each in kept):
            kept.append(each)
    return kept
