"""Answers from evidence: nothing reaches the user that was not checked against what was found."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from agentkit.agent.decide import Answer, decide
from agentkit.agent.prompting import prompt_messages, prompt_tools
from agentkit.agent.replies import Composed
from agentkit.agent.steps import evidence_texts, generate
from agentkit.events import Declined, Event, GroundingChecked, PassageFound, Recollection
from agentkit.knowledge.answering import Evidence, answer_from_evidence
from agentkit.knowledge.grounding import resting_on, unsupported
from agentkit.messages import assistant, user
from agentkit.models.protocols import FreeText, GenerationRequest

if TYPE_CHECKING:
    from agentkit.agent.route import Perception
    from agentkit.agent.turn import Turn


def answer_from_passages(
    turn: Turn,
    seen: Perception,
    passages: Sequence[PassageFound] | None = None,
    *,
    question: str | None = None,
) -> Generator[Event, None, Composed]:
    """Answer from the knowledge, or decline: the same path that `agentkit eval grounding` measures.

    Args:
        turn: The turn.
        seen: What was perceived.
        passages: The evidence; None takes all that was found.
        question: The part of the message that asks it; None: all of it.
    """
    wiring = turn.wiring
    found = seen.passages if passages is None else passages
    if not found:
        yield Declined(reason="no_evidence")
        return wiring.replies.declined("no_evidence")
    answer = answer_from_evidence(
        turn.text if question is None else question,
        [_evidence(passage) for passage in found],
        generator=wiring.generator,
        encoder=wiring.encoder,
        judge=wiring.judge,
        prompts=wiring.prompts,
        question_vector=seen.vector,
        deadline=turn.deadline,
    )
    yield from answer.events
    if answer.declined:
        yield Declined(reason="not_answered")
        return wiring.replies.declined("not_answered")
    facts = facts_of(seen)
    cited = [passage for passage in found if _citation(passage) in answer.citations]
    text = wiring.replies.with_facts(wiring.replies.from_knowledge(answer.text, cited), facts)
    return Composed(text, answer.source, (*answer.citations, *(f"memory:{f.memory_id}" for f in facts)))


def _evidence(found: PassageFound) -> Evidence:
    is_pair = found.kind == "pair"
    return Evidence(found.text, _citation(found), found.heading, pair=is_pair, asked=found.asked)


def _citation(found: PassageFound) -> str:
    return f"{found.document}#{found.heading}"


def facts_of(seen: Perception) -> list[Recollection]:
    """The recalled fact that a reply is prefaced with, if there is one."""
    return [memory for memory in seen.memories if memory.kind == "fact"][:1]


def answer_from_results(turn: Turn, seen: Perception, proposal: str) -> Generator[Event, None, Composed]:
    """Check a generated reply against the tool results; one retry, then the results themselves are quoted."""
    wiring = turn.wiring
    good = [result for result in turn.results() if result.status == "ok"]
    if not good:
        yield Declined(reason="no_evidence")
        return wiring.replies.declined("no_evidence")
    said = evidence_texts(good)
    evidence = [*said, *(p.text for p in seen.passages), *(m.text for m in seen.memories)]
    sources = tuple(dict.fromkeys(f"tool:{result.name}" for result in good))
    for attempt in range(2):
        wrong = unsupported(proposal, evidence, turn.text)
        yield GroundingChecked(supported=not wrong, unsupported=wrong)
        if not wrong:
            used = resting_on(proposal, evidence, turn.text) if seen.passages else ()
            cited = [passage for row, passage in enumerate(seen.passages, len(said)) if row in used]
            text = wiring.replies.from_knowledge(proposal, cited)
            return Composed(text, "generated", (*sources, *dict.fromkeys(map(_citation, cited))))
        if attempt == 0:
            retried = yield from _try_again(turn, seen, proposal, wrong)
            if retried is None:
                break
            proposal = retried
    return Composed(wiring.replies.plain_result(good[-1]), "quoted", sources)


def _try_again(
    turn: Turn, seen: Perception, proposal: str, wrong: Sequence[str]
) -> Generator[Event, None, str | None]:
    if turn.tokens_left <= 0:
        return None
    note = turn.wiring.prompts.render("correct_reply", unsupported=list(wrong))
    tools = prompt_tools(turn, seen, None)
    most = turn.tokens_left
    request = GenerationRequest(
        messages=prompt_messages(turn, None, tools, most, (assistant(proposal), user(note))),
        tools=[tool.spec for tool in tools],
        constraint=FreeText(),
        max_tokens=most,
        deadline=turn.deadline,
        static=1,
    )
    finished = yield from generate(turn, request)
    decision = decide(finished, retries_left=0)
    return decision.text if isinstance(decision, Answer) else None
