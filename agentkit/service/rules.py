"""What must hold of a flow before a bot starts with it: every name leads somewhere, and no effect is unasked for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches

from agentkit.errors import BotFileError, PromptError
from agentkit.service.book import FlowBook, LoadedFlow, NamedPolicy, variations
from agentkit.service.expressions import expression_of
from agentkit.service.flow import (
    RESERVED,
    Call,
    Check,
    Collect,
    Confirm,
    Goto,
    HandOffStep,
    If,
    Say,
    Slot,
    Text,
)
from agentkit.service.program import Node, walk
from agentkit.service.slots import misfit
from agentkit.yaml_files import Location

GIVEN = frozenset({"profile", "contact", "today", "tone", "language"})
"""Names that every text and expression may read."""

IN_PATTERNS = frozenset(
    {"choices", "examples", "explained", "flow", "flows", "question", "reason", "slot", "times", "tool", "value"}
)  # fmt: skip
"""What the machine tells a pattern."""


def check_flow(loaded: LoadedFlow, book: FlowBook, intents: Collection[str] | None) -> None:
    """Refuse a flow that could not work.

    Raises:
        BotFileError: Names file and line.
    """
    known = variables_of(loaded)
    for number, intent in enumerate(loaded.flow.intents):
        if intents is not None and intent not in intents and not loaded.flow.is_pattern:
            raise _unknown(loaded, "intent", intent, intents, ("intents", number))
    for name, slot in loaded.flow.slots.items():
        _check_slot(loaded, book, name, slot, known)
    labels = _labels(loaded)
    for node in loaded.nodes:
        _check_step(loaded, book, node, known, labels)


def check_policy(named: NamedPolicy, book: FlowBook) -> None:
    """Refuse a rule that guards no tool or cannot be evaluated.

    Raises:
        BotFileError: Names file and line.
    """
    policy, at = named.policy, ("policies", named.name)
    for number, tool in enumerate(policy.before):
        if tool not in book.tools:
            message, hint = _unknown_words("tool", tool, book.tools)
            raise named.document.error(message, at=(*at, "before", number), hint=hint)
    texts = variations(policy.refusal) if policy.refusal is not None else ()
    try:
        book.expressions.names(policy.holds, named.where, is_expression=True)
        for text in texts:
            book.expressions.names(text, named.where, is_expression=False)
    except PromptError as problem:
        raise named.document.error(problem.message, at=at, hint=problem.hint) from None


def variables_of(loaded: LoadedFlow) -> frozenset[str]:
    """All names that may have a value somewhere in a flow."""
    saved = [node.step.save for node in loaded.nodes if isinstance(node.step, Call)]
    checks = [slot.check.save for slot in loaded.flow.slots.values() if slot.check is not None]
    told = IN_PATTERNS if loaded.flow.is_pattern else frozenset()
    names = {name for name in (*saved, *checks) if name is not None}
    return frozenset(loaded.flow.slots) | names | GIVEN | told | {"failure"}


def texts_of(step: object) -> list[tuple[str, Text]]:
    """The texts of a step, by the name that they have in the file."""
    match step:
        case Say():
            return [("say", step.say)]
        case Confirm():
            return [("confirm", step.confirm)]
        case HandOffStep():
            return [("hand_off", step.hand_off)]
        case _:
            return []


def _check_slot(loaded: LoadedFlow, book: FlowBook, name: str, slot: Slot, known: Collection[str]) -> None:
    at: Location = ("slots", name)
    if slot.pattern:
        try:
            re.compile(slot.pattern)
        except re.error as problem:
            message = f"not a regular expression: {problem}"
            raise loaded.document.error(message, at=(*at, "pattern")) from None
    if slot.default is not None and (reason := misfit(slot, slot.default)) is not None:
        raise loaded.document.error(
            f"the default {slot.default!r} cannot be a value of `{name}`: {reason}",
            at=(*at, "default"),
            hint=f"give one that fits the type `{slot.type}`, or none: then it is asked for",
        )
    for field, expression in (("from", slot.source), ("choices_from", slot.choices_from)):
        if expression is not None:
            _check_names(loaded, book, expression, (*at, field), known, is_expression=True)
    for field, text in (("ask", slot.ask), ("refused", slot.refused)):
        if text is not None:
            told = {*known, "value", "choices"}
            for each in variations(text):
                _check_names(loaded, book, each, (*at, field), told, is_expression=False)
    if slot.check is not None:
        tool = book.tools.get(slot.check.tool)
        if tool is None:
            raise _unknown(loaded, "tool", slot.check.tool, book.tools, (*at, "validate", "tool"))
        if tool.effect != "read":
            raise loaded.document.error(
                f"`{tool.name}` has an effect; a value is checked by a tool that only looks",
                at=(*at, "validate", "tool"),
                hint="call it in a step, after a confirmation",
            )
        _check_result(loaded, slot.check.save, (*at, "validate"))
        _check_arguments(loaded, book, slot.check, slot.check.tool, (*at, "validate"), known)


def _check_step(
    loaded: LoadedFlow, book: FlowBook, node: Node, known: Collection[str], labels: Collection[str]
) -> None:
    at, step = node.at, node.step
    for field, text in texts_of(step):
        for each in variations(text):
            _check_names(loaded, book, each, (*at, field), known, is_expression=False)
    match step:
        case Collect() if step.collect not in loaded.flow.slots:
            raise _unknown(loaded, "slot", step.collect, loaded.flow.slots, (*at, "collect"))
        case Goto() if step.goto not in labels:
            raise _unknown(loaded, "step with the id", step.goto, labels, (*at, "goto"))
        case If():
            _check_names(loaded, book, step.condition, (*at, "if"), known, is_expression=True)
        case Call():
            if step.call not in book.tools:
                raise _unknown(loaded, "tool", step.call, book.tools, (*at, "call"))
            _check_result(loaded, step.save, at)
            if book.has_effect(step.call) and not node.covered_by:
                raise loaded.document.error(
                    f"`{step.call}` has an effect, and nobody is asked whether it shall happen",
                    at=(*at, "call"),
                    hint="put a `confirm` before it, in the same list of steps",
                )
            _check_arguments(loaded, book, step, step.call, at, known)
        case "cancel" if not loaded.flow.is_pattern:
            raise loaded.document.error("only a pattern can cancel another flow", at=at, hint="write `end`")
        case _:
            pass


def _check_result(loaded: LoadedFlow, name: str | None, at: Location) -> None:
    """Refuse the name of a result that something else would hide."""
    if name in RESERVED or name in loaded.flow.slots:
        raise loaded.document.error(
            f"a result cannot be called `{name}`: the name is taken",
            at=(*at, "as"),
            hint="choose a name that is no slot and none of: " + ", ".join(sorted(RESERVED)),
        )


def _check_arguments(
    loaded: LoadedFlow, book: FlowBook, call: Call | Check, tool: str, at: Location, known: Collection[str]
) -> None:
    parameters = book.tools[tool].spec.parameters
    properties = parameters.get("properties", {})
    for name, written in call.arguments.items():
        if name not in properties:
            raise _unknown(loaded, f"argument of `{tool}`", name, properties, (*at, "with", name))
        if isinstance(written, str) and "{" in written:
            inner = expression_of(written)
            _check_names(
                loaded, book, inner or written, (*at, "with", name), known, is_expression=inner is not None
            )
    for name in parameters.get("required", ()):
        if name not in call.arguments and name not in loaded.flow.slots:
            raise loaded.document.error(
                f"`{tool}` needs `{name}`",
                at=(*at, "call" if isinstance(call, Call) else "tool"),
                hint=f"give it under `with`, or call a slot `{name}`",
            )


def _check_names(
    loaded: LoadedFlow,
    book: FlowBook,
    text: str,
    at: Location,
    known: Collection[str],
    *,
    is_expression: bool,
) -> None:
    try:
        used = book.expressions.names(text, loaded.where(at), is_expression=is_expression)
    except PromptError as problem:
        raise loaded.document.error(problem.message, at=at, hint=problem.hint) from None
    for name in sorted(used - set(known)):
        raise _unknown(loaded, "slot or result", name, known, at)


def _labels(loaded: LoadedFlow) -> set[str]:
    found: set[str] = set()
    for at, step in walk(loaded.flow.steps):
        label = None if isinstance(step, str) else step.id
        if label is not None and label in found:
            raise loaded.document.error(
                f"two steps have the id `{label}`", at=(*at, "id"), hint="rename one of them"
            )
        found |= {label} if label is not None else set()
    return found


def _unknown(loaded: LoadedFlow, what: str, name: str, known: Iterable[str], at: Location) -> BotFileError:
    message, hint = _unknown_words(what, name, known)
    return loaded.document.error(message, at=at, hint=hint)


def _unknown_words(what: str, name: str, known: Iterable[str]) -> tuple[str, str]:
    names = sorted(known)
    near = get_close_matches(name, names, 1)
    listed = f"there are: {', '.join(names) or 'none'}"
    return f"there is no {what} `{name}`", f"did you mean `{near[0]}`? {listed}" if near else listed


def used_names(loaded: LoadedFlow, book: FlowBook, node: Node) -> Iterator[tuple[str, Location]]:
    """The names that a step reads, each with its place; of a slot what its question and its tool read."""
    found: list[tuple[str, bool, Location]] = []
    for field, text in texts_of(node.step):
        found += [(each, False, (*node.at, field)) for each in variations(text)]
    match node.step:
        case If():
            found.append((node.step.condition, True, (*node.at, "if")))
        case Call():
            found += _written_arguments(node.step, node.at)
        case Collect():
            at: Location = ("slots", node.step.collect)
            slot = loaded.flow.slots[node.step.collect]
            if slot.ask is not None:
                found += [(each, False, (*at, "ask")) for each in variations(slot.ask)]
            if slot.check is not None:
                found += _written_arguments(slot.check, (*at, "validate"))
        case _:
            pass
    own = {"choices", node.step.collect} if isinstance(node.step, Collect) else set()
    for text, is_expression, place in found:
        names = book.expressions.names(text, loaded.where(place), is_expression=is_expression)
        yield from ((name, place) for name in sorted(names - own))


def _written_arguments(call: Call | Check, at: Location) -> list[tuple[str, bool, Location]]:
    found: list[tuple[str, bool, Location]] = []
    for name, written in call.arguments.items():
        if isinstance(written, str) and "{" in written:
            inner = expression_of(written)
            found.append((inner or written, inner is not None, (*at, "with", name)))
    return found
