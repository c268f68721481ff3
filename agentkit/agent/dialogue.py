"""Drives the dialogue machine: does what its moves ask for, and tells it what became of that.

A turn that is resumed starts from the same state and finds its recorded steps, so it makes the same calls with the same
ids. The state after a turn is in its trace, in the same transaction as everything else of the turn.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Final, assert_never

from agentkit.agent.answer import answer_from_passages
from agentkit.agent.calls import Paused
from agentkit.agent.flow_calls import call_tool
from agentkit.agent.phrasing import phrased
from agentkit.agent.questions import Before
from agentkit.agent.replies import Composed
from agentkit.agent.route import Perception, of_documents
from agentkit.agent.steps import note
from agentkit.agent.turn import Turn
from agentkit.commands import CannotHandle, ChitChat, Command, KnowledgeQuestion
from agentkit.errors import ConstraintError, ContextOverflow, ModelError
from agentkit.events import CommandsUnderstood, Declined, DialogueMoved, Event, HandedOff, ReplySource
from agentkit.intents import Prediction
from agentkit.messages import Assistant, User, text_of
from agentkit.models.protocols import GenerationRequest
from agentkit.service.book import FlowBook
from agentkit.service.dialogue import Dialogue
from agentkit.service.moves import AskKnowledge, CallTool, Chat, Elsewhere, HandOver, Move, Wait
from agentkit.service.state import DialogueState, loaded_state
from agentkit.service.understanding import Situation, Understood, understand

_NOT_OURS: Final = (KnowledgeQuestion, ChitChat, CannotHandle)
"""With no flow going on, these go where messages go in a bot without flows."""


def converse(
    turn: Turn, seen: Perception, before: Before
) -> Generator[Event, None, Composed | Paused | None]:
    """Follow the bot's flows; None where they have nothing to do with the message.

    Args:
        turn: The turn.
        seen: What was perceived.
        before: How the turn before ended.
    """
    book = turn.wiring.flows
    if book is None:
        return None
    state = loaded_state(dict(before.dialogue)) if before.dialogue else DialogueState()
    today = turn.wiring.now().date()
    said = [text_of(each) for each in turn.history if isinstance(each, Assistant) and not each.calls]
    dialogue = Dialogue(
        book,
        state,
        profile=turn.profile,
        today=today,
        seed=turn.turn_id,
        last=said[-1] if said else "",
        heard=[turn.text, *(text_of(each) for each in reversed(turn.history) if isinstance(each, User))],
    )
    turn.dialogue = dialogue
    understood = yield from _understood(turn, seen, book, dialogue.state)
    yield CommandsUnderstood(commands=understood.commands, by=understood.by)
    commands = understood.commands
    if _is_elsewhere(book, dialogue.state, commands, before):
        yield DialogueMoved(state=dialogue.state.dumped())
        return None
    if any(isinstance(each, CannotHandle) and each.reason == "out_of_scope" for each in commands):
        yield Declined(reason="out_of_scope")
    composed = yield from _follow(turn, seen, dialogue, dialogue.take(commands))
    if isinstance(composed, Paused):
        return composed
    yield DialogueMoved(state=dialogue.state.dumped())
    return composed


def _is_elsewhere(book: FlowBook, state: DialogueState, commands: Sequence[Command], before: Before) -> bool:
    if state.top is not None or state.queue:
        return False
    if before.question is not None and all(isinstance(each, CannotHandle) for each in commands):
        return True
    return all(
        isinstance(each, _NOT_OURS)
        and not (isinstance(each, ChitChat) and (each.intent or "") in book.pattern_by_intent)
        for each in commands
    )


def _understood(
    turn: Turn, seen: Perception, book: FlowBook, state: DialogueState
) -> Generator[Event, None, Understood]:
    wiring = turn.wiring
    events: list[Event] = []

    def ask(request: GenerationRequest) -> str:
        text, written = note(turn, request)
        events.extend(written)
        return text

    top = state.top
    situation = Situation(
        text=turn.text,
        flows=book.sketches(state),
        today=wiring.now().date(),
        prediction=seen.prediction,
        answered_by={name: binding.answered_by for name, binding in wiring.bindings.items()},
        active=top.flow if top is not None else None,
        awaiting=state.awaiting.sketch() if state.awaiting is not None else None,
        filled=dict(top.slots) if top is not None else {},
        language=book.language,
        classify=lambda texts: _predictions(turn, texts),
    )
    try:
        understood = understand(situation, ask=ask, prompts=wiring.prompts)
    except (ConstraintError, ContextOverflow, ModelError):
        # What the generator could not write is not understood; the trace shows what it wrote.
        understood = Understood((CannotHandle(),), "generator")
    yield from events
    return understood


def _predictions(turn: Turn, texts: Sequence[str]) -> list[Prediction]:
    intents = turn.wiring.intents
    if intents is None or not texts:
        return []
    vectors = turn.wiring.encoder.encode(list(texts))
    return [intents.predict(text, vector) for text, vector in zip(texts, vectors, strict=True)]


def _follow(
    turn: Turn, seen: Perception, dialogue: Dialogue, move: Move
) -> Generator[Event, None, Composed | Paused | None]:
    """Do what the machine asks for until it is the user's turn."""
    citations: list[str] = []
    while True:
        yield from dialogue.new_events()
        match move:
            case CallTool():
                outcome = yield from call_tool(turn, seen, move)
                if isinstance(outcome, Paused):
                    return _with_what_was_said(dialogue, outcome)
                if outcome.status == "ok":
                    citations.append(f"tool:{move.tool}")
                move = dialogue.take_outcome(outcome)
            case AskKnowledge(text=text):
                answer = yield from _from_knowledge(turn, seen, text)
                citations += answer.citations
                move = dialogue.take_said(answer.text)
            case Chat(intent=intent):
                move = dialogue.take_said(_small_talk(turn, intent))
            case HandOver(reason=reason, priority=priority):
                yield HandedOff(reason=reason, priority=priority)
                return (yield from _composed(turn, dialogue, "hand_off", citations))
            case Wait():
                source: ReplySource = "question" if dialogue.state.awaiting is not None else "template"
                return (yield from _composed(turn, dialogue, source, citations))
            case Elsewhere():
                return None
            case other:
                assert_never(other)


def _composed(
    turn: Turn, dialogue: Dialogue, source: ReplySource, citations: Sequence[str]
) -> Generator[Event, None, Composed]:
    texts: list[str] = []
    for said in dialogue.said:
        texts.append((yield from phrased(turn, said.text)) if said.free else said.text)
    if not texts and source == "hand_off":
        texts = [turn.wiring.replies.hand_off().text]
    return Composed("\n".join(texts), source, tuple(dict.fromkeys(citations)))


def _with_what_was_said(dialogue: Dialogue, paused: Paused) -> Paused:
    text = "\n".join([*(said.text for said in dialogue.said), paused.composed.text])
    return replace(paused, composed=replace(paused.composed, text=text))


def _from_knowledge(turn: Turn, seen: Perception, question: str) -> Generator[Event, None, Composed]:
    wiring = turn.wiring
    if question.strip() != turn.text.strip() and wiring.knowledge is not None:
        vector = wiring.encoder.encode([question])[0]
        found = wiring.knowledge.search(vector, question, wiring.settings.max_passages)
        near = tuple(each for each in found if each.similarity >= wiring.settings.passage_similarity)
        prediction = wiring.intents.predict(question, vector) if wiring.intents is not None else None
        seen = replace(seen, vector=vector, passages=near, prediction=prediction)
    binding = wiring.bindings.get((seen.prediction and seen.prediction.intent) or "")
    if binding is not None and binding.knowledge:
        seen = replace(seen, passages=of_documents(seen.passages, binding.documents))
    return (yield from answer_from_passages(turn, seen, question=question))


def _small_talk(turn: Turn, intent: str | None) -> str:
    """The stored answer of an intent, if it has one."""
    binding = turn.wiring.bindings.get(intent or "")
    if intent is None or binding is None or binding.answer is None:
        return ""
    return turn.wiring.replies.stored_answer(binding.answer, intent, turn.profile).text
