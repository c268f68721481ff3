"""intents.yaml: what is read, and how mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentkit.errors import BotFileError
from agentkit.intents import Binding, IntentExample, load_examples

GOOD = """
intents:
  track_order:
    description: The customer wants to know where an order is.
    tools: [track_parcel, look_up_order]
    examples:
      - where is my order 1042
      - "  Where is   my order 1042 "
      - no
  opening_hours:
    answer: "We open at {{ opens }}."
    examples: [when do you open]
  returns:
    knowledge: true
    documents: [returns.md]
    examples: [how do I return a chair]
  person:
    hand_off: true
    examples: [I want a human]
  small_talk:
    examples: [how are you]
out_of_scope:
  - what is the weather
"""


def write(folder: Path, content: str) -> Path:
    path = folder / "intents.yaml"
    path.write_text(content, encoding="utf-8")
    return path


def test_examples_and_bindings_are_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    file = load_examples(write(tmp_path, GOOD))
    assert file.examples == (
        IntentExample("where is my order 1042", "track_order"),
        IntentExample("no", "track_order"),
        IntentExample("when do you open", "opening_hours"),
        IntentExample("how do I return a chair", "returns"),
        IntentExample("I want a human", "person"),
        IntentExample("how are you", "small_talk"),
        IntentExample("what is the weather", None),
    )
    assert list(file.bindings) == ["track_order", "opening_hours", "returns", "person", "small_talk"]
    assert file.bindings["track_order"] == Binding(
        description="The customer wants to know where an order is.", tools=("track_parcel", "look_up_order")
    )
    assert [binding.answered_by for binding in file.bindings.values()] == [
        "tools",
        "answer",
        "knowledge",
        "hand_off",
        "generator",
    ]


def test_a_file_without_out_of_scope_examples_is_complete(tmp_path: Path) -> None:
    file = load_examples(write(tmp_path, "intents:\n  greet:\n    examples: [hello]\n"))
    assert file.examples == (IntentExample("hello", "greet"),)


def test_a_wrong_binding_can_be_named_with_its_line(tmp_path: Path) -> None:
    file = load_examples(write(tmp_path, GOOD))
    error = file.document.error("there is no such tool", at=("intents", "track_order", "tools", 1))
    assert error.line == 5
    assert error.field == "intents.track_order.tools[1]"


@pytest.mark.parametrize(
    ("content", "line", "field", "message", "hint"),
    [
        ("", None, None, "empty", "fill it in"),
        ("intents: {}\n", 1, "intents", "no intent is given", "add one"),
        ("intents:\n", 1, "intents", "should be a group of settings, found nothing", ""),
        ("out_of_scope: [a]\n", 1, "intents", "is required", "add `intents:`"),
        ("intents:\n  a:\n    examples: []\n", 3, "intents.a.examples", "needs examples", "ten or more"),
        ("intents:\n  a:\n    examples:\n", 3, "intents.a.examples", "should be a list", ""),
        ("intents:\n  a:\n    description: b\n", 2, "intents.a.examples", "is required", "add `examples:`"),
        ("intents:\n  a:\n    examples: ['  ']\n", 3, "intents.a.examples[0]", "empty", "write it"),
        ("intents:\n  a:\n    examples: [1042]\n", 3, "intents.a.examples[0]", "number (1042)", "quotes"),
        ("intents:\n  a:\n    exmples: [b]\n", 3, "intents.a.exmples", "no such setting", "`examples`"),
        ("intents:\n  2 b:\n    examples: [b]\n", 2, "intents.2 b", "cannot be the name", "letter"),
        (
            "intents:\n  greet:\n    examples: [b]\n  Greet:\n    examples: [c]\n",
            4,
            "intents.Greet",
            "differs from `greet` in letter case only",
            "merge",
        ),
        (
            "intents:\n  a:\n    examples: [Hello there]\n  b:\n    examples:\n    - x\n    - hello  THERE\n",
            7,
            "intents.b.examples[1]",
            "also an example of `a` (line 3)",
            "where it belongs",
        ),
        (
            "intents:\n  a:\n    examples: [hello]\nout_of_scope:\n- hello\n",
            5,
            "out_of_scope[0]",
            "also an example of `a`",
            "where it belongs",
        ),
        (
            "intents:\n  a:\n    tools: [t]\n    hand_off: true\n    examples: [b]\n",
            4,
            "intents.a.hand_off",
            "two ways to answer one intent: `tools` and `hand_off`",
            "keep one",
        ),
        (
            "intents:\n  a:\n    documents: [x.md]\n    examples: [b]\n",
            3,
            "intents.a.documents",
            "`knowledge: true`",
            "add",
        ),
        ("intents:\n  a:\n    answer: ' '\n    examples: [b]\n", 3, "intents.a.answer", "empty", "write it"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, content: str, line: int | None, field: str | None, message: str, hint: str
) -> None:
    with pytest.raises(BotFileError) as caught:
        load_examples(write(tmp_path, content))
    assert message in caught.value.message
    assert (caught.value.line, caught.value.field) == (line, field)
    assert hint in caught.value.hint


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BotFileError, match="there is no such file"):
        load_examples(tmp_path / "intents.yaml")
