"""Flow files: what is wrong with one is said with its file and line."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

import pytest
from pydantic import JsonValue

from agentkit.commands import Cancel, SetSlot, StartFlow
from agentkit.errors import BotFileError, PromptError
from agentkit.service.checking import check_flows
from agentkit.service.expressions import Expressions
from agentkit.service.graph import mermaid, svg
from agentkit.service.loading import load_flows, patterns
from tests.service.kiosk import FLOWS, TOOLS, Talk, kiosk

GOOD: Final = """name: help
description: Helps.
intents: [help]
slots:
  order_id: {pattern: '\\d{4}', ask: Which?}
  kind: {type: choice, choices: [big, small], ask: Big or small?}
steps:
  - collect: order_id
  - call: look_up_order
    as: order
  - confirm: Really?
  - call: cancel_order
  - say: "Order {{ order.state }}."
"""

WRONG: Final = {
    "an unknown key": ("intents: [help]", "intent: [help]", 3, "there is no such setting"),
    "a default of another type": ("ask: Big or small?", "ask: Big?, default: huge", 6, "none of the choices"),
    "a default that does not match": ("ask: Which?", "ask: Which?, default: '12'", 5, "not match the pattern"),
    "an unknown slot": ("collect: order_id", "collect: order_if", 8, "there is no slot `order_if`"),
    "an unknown step": ("- collect: order_id", "- collct: order_id", 8, "a step is `end` or begins with"),
    "a key that a step does not have": ("as: order", "save: order", 10, "there is no such setting"),
    "an unknown tool": ("call: look_up_order", "call: look_up", 9, "there is no tool `look_up`"),
    "an unknown intent": ("[help]", "[hepl]", 3, "there is no intent `hepl`"),
    "an effect without a question": ("  - confirm: Really?\n", "", 11, "nobody is asked"),
    "a name without a value": ("order.state", "ordr.state", 13, "there is no slot or result `ordr`"),
    "a text that is no template": ("{{ order.state }}", "{{ order.state }", 13, "not valid Jinja"),
    "a pattern that is none": ("'\\d{4}'", "'(\\d'", 5, "not a regular expression"),
    "choices without the type": ("type: choice, ", "", 6, "go together"),
    "a type that there is not": ("type: choice", "type: chioce", 6, "should be"),
    "a goto to nowhere": ("- confirm: Really?", "- goto: nowhere\n  - confirm: Really?", 11, "id `nowhere`"),
    "an argument that a tool does not have": ("as: order", "with: {number: 7}", 10, "argument of `look_up_order`"),
    "another name than the file": ("name: help", "name: halp", 1, "its file `help.yaml`"),
    "a result with the name of a slot": ("as: order", "as: kind", 10, "the name is taken"),
    "a checked value's result with the name of a slot": (
        "ask: Which?", "ask: Which?, validate: {tool: look_up_order, as: kind}", 5, "the name is taken",
    ),
    "a slot with the name of a setting": ("kind:", "language:", 4, "has a meaning of its own"),
    "the name of another meaning": ("name: help", "name: question", 1, "a message may mean by itself"),
    "cancel outside of a pattern": ("- confirm: Really?", "- cancel\n  - confirm: Really?", 11, "only a pattern"),
}  # fmt: skip


def flow(folder: Path, text: str, name: str = "help") -> Path:
    (folder / f"{name}.yaml").write_text(text)
    return folder


def test_a_good_flow_is_read(tmp_path: Path) -> None:
    book = load_flows(flow(tmp_path, GOOD), TOOLS, intents=["help"])
    assert book.by_intent == {"help": "help"}
    assert check_flows(book)[0].kind == "unused"  # `kind` is never collected


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_is_reported_with_its_line(what: str, tmp_path: Path) -> None:
    old, new, line, message = WRONG[what]
    assert old in GOOD
    with pytest.raises(BotFileError, match=r"help\.yaml") as caught:
        load_flows(flow(tmp_path, GOOD.replace(old, new, 1)), TOOLS, intents=["help"])
    assert caught.value.line == line, str(caught.value)
    if what != "a type that there is not":
        assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("policies: {a: {before: [cancel], holds: 'true', refusal: No.}}", "there is no tool `cancel`"),
        ("policies: {a: {before: [cancel_order], holds: 'true'}}", "say what follows"),
        ("policies: {a: {before: [cancel_order], holds: '1 +', refusal: No.}}", "not valid Jinja"),
        ("policies: {a: {before: [cancel_order], hold: 'true', refusal: No.}}", "no such setting"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (flow(tmp_path, GOOD) / "policies.yaml").write_text(text)
    with pytest.raises(BotFileError, match=r"policies\.yaml:1") as caught:
        load_flows(tmp_path, TOOLS)
    assert message in str(caught.value)


@pytest.mark.parametrize("flow_of_it", ["cancel_order", "track"])
def test_a_rule_guards_a_tool_that_only_looks_in_a_step_and_for_a_slot(
    flow_of_it: str, tmp_path: Path
) -> None:
    shutil.copytree(FLOWS, tmp_path, dirs_exist_ok=True)
    (tmp_path / "policies.yaml").write_text(
        "policies: {own: {before: [look_up_order], holds: arguments.order_id != '1042', refusal: Not yours.}}"
    )
    talk = Talk(kiosk(tmp_path))
    said = talk.say(StartFlow(flow=flow_of_it), SetSlot(slot="order_id", value="1042", said="1042"))
    assert said == "Not yours."
    assert talk.calls == []


def test_one_intent_starts_one_flow(tmp_path: Path) -> None:
    flow(tmp_path, GOOD)
    flow(tmp_path, GOOD.replace("name: help", "name: more"), "more")
    with pytest.raises(BotFileError, match="already starts the flow `help`"):
        load_flows(tmp_path, TOOLS)


def test_a_pattern_of_the_bot_takes_the_place_of_the_one_that_ships(tmp_path: Path) -> None:
    flow(tmp_path, "name: pattern_denied\ndescription: No.\nsteps: [{say: Then not.}]\n", "pattern_denied")
    book = load_flows(tmp_path, TOOLS)
    assert book.flows["pattern_denied"].flow.description == "No."
    assert "pattern_cancelled" in book.flows


FOUND: Final = {
    "a loop without exit": ("  - say: Round.\n    id: again\n  - goto: again\n", "loop", 4),
    "a loop in which nothing changes": (
        "  - collect: x\n    id: top\n  - if: x == '1'\n    then: [end]\n  - goto: top\n", "loop", 4,
    ),
    "a step that no way leads to": ("  - say: Hello.\n  - end\n  - say: Never.\n", "unreachable", 6),
    "a value that may be unset": (
        "  - if: x is defined\n    then: [{collect: x}]\n  - say: '{{ x }}'\n", "unset", 6,
    ),
    "a flow that says nothing": ("  - end\n", "dead_end", 3),
}  # fmt: skip


@pytest.mark.parametrize("what", FOUND)
def test_what_is_wrong_with_a_flow_that_works_is_found(what: str, tmp_path: Path) -> None:
    steps, kind, line = FOUND[what]
    slots = "slots: {x: {ask: What?}}\n" if "collect" in steps else ""
    text = f"name: help\ndescription: Helps.\nsteps:\n{steps}{slots}"
    found = check_flows(load_flows(flow(tmp_path, text), TOOLS))
    assert (kind, line) in [(each.kind, each.line) for each in found], found


def test_a_rule_whose_values_may_be_unset_is_found(tmp_path: Path) -> None:
    (flow(tmp_path, GOOD) / "policies.yaml").write_text(
        "policies: {a: {before: [cancel_order], holds: parcel.state == 'open', refusal: No.}}"
    )
    assert "policy" in [each.kind for each in check_flows(load_flows(tmp_path, TOOLS))]


def test_a_rule_before_the_tool_that_checks_a_value_is_found(tmp_path: Path) -> None:
    checked = GOOD.replace("ask: Which?", "ask: Which?, validate: {tool: look_up_order, as: seen}")
    rule = "policies: {{a: {{before: [look_up_order], holds: {holds}, refusal: No.}}}}"
    for holds, lines in (("kind == 'big'", [5, 9]), ("order_id != '1042'", [])):
        (flow(tmp_path, checked) / "policies.yaml").write_text(rule.format(holds=holds))
        found = check_flows(load_flows(tmp_path, TOOLS))
        assert [each.line for each in found if each.kind == "policy"] == lines


def test_the_patterns_that_ship_have_nothing_wrong() -> None:
    assert [each for each in check_flows(kiosk()) if each.flow.startswith("pattern_")] == []


def test_every_step_is_in_the_pictures() -> None:
    loaded = kiosk().flows["send_gift"]
    picture, text = svg(loaded), mermaid(loaded)
    assert picture.count("<rect") + picture.count("<circle") == len(loaded.nodes) + 2  # background and end
    assert all(f"  n{number}" in text for number in range(len(loaded.nodes)))
    assert "-- no -->" in text


@pytest.mark.parametrize(
    "expression",
    ["x.__class__", "''.__class__.__mro__", "lipsum.__globals__", "(1).__class__.__base__.__subclasses__()",
     "9 ** 9999",      "'a' * 10000000", "missing", "missing.deeper", "1 / 0", "{}.pop('x')", "range(10000000) | list"],
)  # fmt: skip
def test_an_expression_can_reach_nothing_and_fails_with_its_place(expression: str) -> None:
    with pytest.raises(PromptError, match=r"flows/a\.yaml:3"):
        Expressions().value(expression, "flows/a.yaml:3", {"x": "text"})


def test_a_field_comes_before_a_method_and_words_follow_the_language() -> None:
    english, german = Expressions(), Expressions("de-AT")
    values: dict[str, JsonValue] = {"order": {"items": ["a", "b"]}, "n": 1234.5, "d": "2026-12-04"}
    assert english.value("order.items | length", "here", values) == 2
    assert (
        english.text("{{ n | money }} on {{ d | spoken_day }}", "here", values)
        == "1,234.50 on 4 December 2026"
    )
    assert (
        german.text("{{ n | money }} am {{ d | spoken_day }}", "here", values)
        == "1.234,50 am 4. Dezember 2026"
    )


def test_patterns_ship_in_german_and_other_languages_fall_back_to_english() -> None:
    german, french = kiosk(language="de-AT"), kiosk(language="fr")
    assert {name for name in german.flows if name.startswith("pattern_")} == set(patterns("en"))
    assert set(patterns("de")) == set(patterns("en"))
    talk = Talk(german)
    talk.say(StartFlow(flow="cancel_order"))
    assert talk.say(Cancel()) == "In Ordnung, das lassen wir (cancelling an order)."
    assert [each for each in check_flows(german) if each.flow.startswith("pattern_")] == []
    assert french.flows["pattern_silence"].flow.description == "The message says nothing."


def test_the_example_of_the_document_is_a_flow_that_works(tmp_path: Path) -> None:
    document = (Path(__file__).resolve().parents[2] / "docs" / "flows.md").read_text()
    blocks = re.findall(r"```yaml\n# flows/(\S+)\n(.*?)```", document, flags=re.DOTALL)
    assert [name for name, _ in blocks] == ["cancel_order.yaml", "policies.yaml"]
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    book = load_flows(tmp_path, TOOLS, intents=["cancel_order"])
    assert check_flows(book) == []
    listed = set(re.findall(r"`(pattern_[a-z_]+)`", document)) - {"pattern_"}
    assert listed == set(patterns()), "the document lists the patterns that ship"
